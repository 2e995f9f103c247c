"""Shelf: the signed bytes of every version, by the names under which agents ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from passgate.catalog.snapshot import Signer, write_unpublished
from passgate.catalog.store import Versions
from passgate.core.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Signed:
    """One version as it is served; `body` is JSON. What is not `published` may change any time."""

    body: bytes
    content_hash: str
    published: bool = True


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is served: `in_force`, None where there is no catalog, and all versions by their names.

    Names are the version's number and its hash, each in its one spelling.
    """

    in_force: Signed | None
    by_name: Mapping[str, Signed]

    def find(self, name: str) -> Signed | None:
        """The version of this name: `2`, or `sha256:` and 64 hexadecimal digits."""
        # A colon is often escaped in a path, where it need not be (RFC 3986 section 3.3).
        plain = "sha256:" + name[9:] if name[:9].lower() == "sha256%3a" else name
        return self.by_name.get(plain)


NO_SHELF: Final = Shelf(None, {})


def fill_shelf(
    versions: Versions, unpublished: Catalog | None, canonical: bytes, gate_id: str, signer: Signer
) -> Shelf:
    """What is served of `versions`; without any, `unpublished` as version 0.

    `canonical` are the RFC 8785 bytes that the hash of `unpublished` is of.
    """
    newest = versions.newest
    if newest is None:
        if unpublished is None:
            return NO_SHELF
        only = Signed(
            write_unpublished(canonical, gate_id, signer), unpublished.content_hash, False
        )
        return Shelf(only, {"0": only, unpublished.content_hash: only})
    by_name: dict[str, Signed] = {}
    for each in versions.published:
        signed = Signed(each.body, each.catalog.content_hash)
        by_name[str(each.version)] = by_name[signed.content_hash] = signed
    return Shelf(by_name[str(newest.version)], by_name)
