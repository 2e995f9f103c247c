"""Token status lists: each passport has a place in a list of numbers, and 0 is the one good one.

After draft-ietf-oauth-status-list. Which list a passport belongs to is its URI; what another list
says in the same place is nothing to it.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from passgate.core.jws import MalformedError, decode_base64url

MAX_STATUSES: Final = 1 << 23
"""The most places that a list may have: 1 MiB of one bit each, 8 MiB of eight."""

MAX_STATUS_LIST_BYTES: Final = 16 << 20
"""The longest signed status list: as many places as may be, of eight bits that do not compress."""

BITS: Final = (1, 2, 4, 8)

_CLAIMS: Final = frozenset({"iss", "sub", "iat", "exp", "ttl", "status_list"})
# Where all lists of an issuer are found is for whoever looks for them.
_MEMBERS: Final = frozenset({"bits", "lst", "aggregation_uri"})


class StatusReference:
    """Where a passport's status stands: place `index` of the list whose address is `uri`."""

    __slots__ = ("index", "uri")

    def __init__(self, uri: str, index: int) -> None:
        self.uri = uri
        self.index = index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StatusReference):
            return NotImplemented
        return self.uri == other.uri and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.uri, self.index))

    def __repr__(self) -> str:
        return f"StatusReference({self.uri!r}, {self.index})"


@dataclass(frozen=True, slots=True)
class StatusList:
    """The statuses in the list at `uri`, of `bits` each, the first in the lowest bits of a byte."""

    uri: str
    bits: int
    packed: bytes

    def covers(self, reference: StatusReference) -> bool:
        """Whether the list says anything of what `reference` names."""
        return reference.uri == self.uri and reference.index < len(self.packed) * 8 // self.bits

    def value_at(self, index: int) -> int:
        """The status in a place that the list has."""
        first_bit = index * self.bits
        return (self.packed[first_bit >> 3] >> (first_bit & 7)) & ((1 << self.bits) - 1)

    def revokes(self, reference: StatusReference) -> bool:
        """Whether it says that what `reference` names is not valid: suspended is not, either."""
        return self.covers(reference) and self.value_at(reference.index) != 0


def unpack_statuses(uri: str, bits: object, lst: object) -> StatusList:
    """The list that `lst` is: zlib of the statuses, as base64url. Raises `ValueError`.

    However much it would unpack to, no more than `MAX_STATUSES` places ever come into being.
    """
    if type(bits) is not int or bits not in BITS:
        raise ValueError("the status list has no `bits` of 1, 2, 4 or 8")
    if type(lst) is not str or not lst.isascii():
        raise ValueError("the status list has no `lst` of base64url")
    try:
        compressed = decode_base64url(lst.encode("ascii"))
    except MalformedError:
        raise ValueError("the status list's `lst` is not base64url") from None
    most = MAX_STATUSES * bits // 8
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(compressed, most + 1)
    except zlib.error:
        raise ValueError("the status list's `lst` is not what zlib makes") from None
    if len(packed) > most:
        raise ValueError(f"the status list has more than {MAX_STATUSES} places")
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("the status list's `lst` ends too early, or too late")
    return StatusList(uri, bits, packed)


@dataclass(frozen=True, slots=True)
class StatusClaims:
    """What a status list says of itself: `ttl_s` is after how long it wants to be read again."""

    statuses: StatusList
    issued_at: int
    expires_at: int | None
    ttl_s: int | None


def read_status_claims(claims: Mapping[str, Any], issuer: str, uri: str | None) -> StatusClaims:
    """The list in the verified claims of a `statuslist+jwt` of `issuer`; `ValueError` if none.

    `uri` is the address that it must be of, where it was read at one; None takes its own word.
    """
    if not claims.keys() <= _CLAIMS:
        raise ValueError("the status list has claims that this version does not know")
    if claims.get("iss", issuer) != issuer:
        raise ValueError("the status list is of another issuer")
    subject = claims.get("sub")
    if type(subject) is not str or not subject:
        raise ValueError("the status list needs its own address as `sub`")
    if uri is not None and subject != uri:
        raise ValueError("the status list is of another address than the one it was read at")
    issued_at, expires_at, ttl_s = claims.get("iat"), claims.get("exp"), claims.get("ttl")
    if type(issued_at) is not int or issued_at < 0:
        raise ValueError("the status list needs `iat`, in whole seconds")
    if "exp" in claims and (type(expires_at) is not int or expires_at <= issued_at):
        raise ValueError("the status list has an `exp` that is no time after its `iat`")
    if "ttl" in claims and (type(ttl_s) is not int or ttl_s <= 0):
        raise ValueError("the status list has a `ttl` that is no number of seconds")
    listed = claims.get("status_list")
    if type(listed) is not dict or not listed.keys() <= _MEMBERS:
        raise ValueError("the status list needs `status_list`, an object of `bits` and `lst`")
    if type(listed.get("aggregation_uri", "")) is not str:
        raise ValueError("the status list has an `aggregation_uri` that is no text")
    statuses = unpack_statuses(subject, listed.get("bits"), listed.get("lst"))
    return StatusClaims(statuses, issued_at, expires_at, ttl_s)
