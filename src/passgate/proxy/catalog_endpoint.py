"""`GET /catalog` and `/catalog/{version or hash}`: signed versions, to whoever asks."""

import re
from typing import TYPE_CHECKING, Any, Final

from passgate.core.policy import Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.proxy.steps import Answer, Step

if TYPE_CHECKING:
    from passgate.proxy.case import Case

_ENTITY_TAG: Final = re.compile(rb'"[!\x23-\x7e\x80-\xff]*"')
_NO_CATALOG: Final = Refusal("action_unknown", "The gate has published no such catalog.")


def answer_catalog(case: "Case", request: Request, name: str) -> Step:
    """The catalog in force for the name "", or the version that `name` names, byte for byte.

    A name in any other spelling is none: 404. An answer in full is a question of this address.
    """
    shelf = case.world.shelf
    signed = shelf.find(name) if name else shelf.in_force
    if signed is None:
        return case.refuse(_NO_CATALOG)
    tag = b'"%b"' % signed.content_hash.encode()
    # What a version is never changes; which one is in force does.
    kept = b"public, max-age=31536000, immutable" if name and signed.published else b"no-cache"
    lines = b"ETag: %b\r\nCache-Control: %b\r\n" % (tag, kept)
    if tag in _entity_tags(request):
        return Answer(304, lines, b"")
    # Anybody may ask, and a catalog may be large.
    whole = Answer(200, b"Content-Type: application/json\r\n" + lines, signed.body)
    return case.asking().take(None, None, lambda: whole)


def describe_catalog(policy: Policy) -> dict[str, Any]:
    """What a passport can be pinned to now, and from which version on pins are honoured."""
    catalog = policy.catalog
    if catalog is None:
        return {}
    return {
        "catalog": {
            "version": catalog.version,
            "content_hash": catalog.content_hash,
            "min_version": catalog.min_version,
        }
    }


def _entity_tags(request: Request) -> set[bytes]:
    """The tags of `If-None-Match`, compared weakly (RFC 9110 section 13.1.2); `*` is none."""
    tags: set[bytes] = set()
    for name, value in request.headers:
        if name.lower() == b"if-none-match":
            tags.update(_ENTITY_TAG.findall(value))
    return tags
