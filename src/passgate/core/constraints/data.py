"""What a request may do to data, how much of it there may be, and of which type."""

import re
from typing import Final

from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.values import count, either, flag, texts
from passgate.core.reasons import Refusal

READ_ONLY = "core:data:read_only"

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that ask for no change (safe ones, RFC 9110 section 9.2.1)."""

_WRITING_VERBS = (
    "write", "create", "update", "delete", "send", "post", "put", "patch", "remove",
)  # fmt: skip

_WRITES = Refusal("constraint_violated", "The request would write, and may only read.", READ_ONLY)


MAX_REQUEST_BYTES: Final = "core:data:max_request_bytes"
MAX_RESPONSE_BYTES: Final = "core:data:max_response_bytes"
CONTENT_TYPES: Final = "core:data:content_types"

REQUEST_TOO_LONG: Final = Refusal(
    "constraint_violated", "The request's body is longer than it may be.", MAX_REQUEST_BYTES
)
RESPONSE_TOO_LONG: Final = Refusal(
    "constraint_violated",
    "The answer is longer than it may be.",
    MAX_RESPONSE_BYTES,
    status=502,
)
_OTHER_TYPE: Final = Refusal(
    "constraint_violated", "The request's body is of a type that is not allowed.", CONTENT_TYPES
)
_TCHAR: Final = r"[!#$%&'+.^_`|~0-9a-z-]"
_MEDIA_TYPE: Final = re.compile(rf"{_TCHAR}+/(?:{_TCHAR}+|\*)")


def _judge_read_only(read_only: bool, context: Context) -> Refusal | None:
    if not read_only:
        return None
    # casefold: `shop:Delete_all` writes as much as `shop:delete_all`.
    name = context.action.rpartition(":")[2].casefold()
    if context.request.method in READING_METHODS and not name.startswith(_WRITING_VERBS):
        return None
    return _WRITES


def _judge_max_request_bytes(most: int, context: Context) -> Refusal | None:
    request = context.request
    body = request.body
    # A body of unknown length is counted as it comes.
    length = request.sorted.content_length if body is None else len(body)
    return REQUEST_TOO_LONG if length is not None and length > most else None


def _parse_content_types(raw: object) -> tuple[frozenset[str], ...]:
    types = [entry.lower() for entry in texts(raw)]
    if not all(_MEDIA_TYPE.fullmatch(entry) for entry in types):
        raise ValueError(
            "must be a list of media types without parameters, such as application/json or text/*"
        )
    return (frozenset(types),)


def _both(
    left: tuple[frozenset[str], ...], right: tuple[frozenset[str], ...]
) -> tuple[frozenset[str], ...]:
    return left + tuple(entry for entry in right if entry not in left)


def _judge_content_types(lists: tuple[frozenset[str], ...], context: Context) -> Refusal | None:
    headers = context.request.sorted
    body = context.request.body
    if not (headers.chunked or headers.content_length) if body is None else not body:
        return None
    sent = headers.content_type.partition(b";")[0].strip(b" \t").lower().decode("latin-1")
    family = sent.partition("/")[0] + "/*"
    for types in lists:
        if sent not in types and (family not in types or _MEDIA_TYPE.fullmatch(sent) is None):
            return _OTHER_TYPE
    return None


ROWS = (
    Constraint(
        key=READ_ONLY,
        order=60,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses=(
            "the method is not GET, HEAD or OPTIONS, or the action's last part begins with a"
            f" writing verb ({', '.join(_WRITING_VERBS)})"
        ),
        merging="true if either is",
        example=True,
        note="The verb is compared without regard to case: `shop:delete_item`, `shop:PostOrder`.",
        judge=_judge_read_only,
    ),
    Constraint(
        key=MAX_REQUEST_BYTES,
        order=63,
        parse=count,
        merge=min,
        value="a whole number of bytes; 0 for no body at all",
        refuses=(
            "the body is longer; one whose length is not known is cut off where it is, and with it"
            " the request to the upstream"
        ),
        merging="the least",
        example=65536,
        note=(
            "Counted are the bytes of the body as sent, and those from the client after an upgrade."
            " What was cut off had begun, so its charges stay."
        ),
        judge=_judge_max_request_bytes,
        bounds="request",
    ),
    Constraint(
        key=MAX_RESPONSE_BYTES,
        order=64,
        parse=count,
        merge=min,
        value="a whole number of bytes; 0 for no body at all",
        refuses=(
            "the answer's body is longer: 502 where its length is known at once, else it is cut off"
            " and its outcome says so (`constraint_violated`)"
        ),
        merging="the least",
        example=1048576,
        note=(
            "Counted are the bytes of the body as the upstream sends it, and those to the client"
            " after an upgrade. The upstream has acted by then, so charges stay."
        ),
        bounds="response",
    ),
    Constraint(
        key=CONTENT_TYPES,
        order=65,
        parse=_parse_content_types,
        merge=_both,
        value="a list of media types, and `text/*` for a whole family",
        refuses="the request has a body of another type, or of none",
        merging="the intersection: every list must match",
        example=["application/json", "text/*"],
        note=(
            "Compared without parameters and without regard to case. A request without a body"
            " passes; an empty list allows no body."
        ),
        judge=_judge_content_types,
    ),
)
"""The rows of this family."""
