"""Lists of what an issuer has revoked, told apart by content, and the rule for taking a newer one.

A list is taken whole or refused whole: an entry of an unknown kind may be a revocation that this
gate would miss, and a refused list shows itself by its age. Not compiled, as `list_text` says.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from passgate.core.ed25519 import signature_fits
from passgate.core.instant import Instant
from passgate.core.jws import (
    A_NAME,
    REVOCATIONS_TYPES,
    decoded,
    is_name,
    read_object,
    take_apart,
)
from passgate.core.keys import PublicKey
from passgate.core.list_text import read_members
from passgate.core.revoked_ids import RevokedIds
from passgate.core.status_list import (
    MAX_STATUS_LIST_BYTES,
    StatusList,
    read_status_claims,
)
from passgate.core.trust import Revocations

MAX_LIST_BYTES = 128 << 20
"""The longest list, signed or plain: a million entries as `passgate revoke` writes them.

Nothing of a signed one is decoded before its signature was found to fit. While that is looked at
it is in memory four times, and from then on once, and packed: reading takes it piece by piece.
"""

KINDS = ("passport", "agent", "key", "issuer")
"""What a list can revoke, as `kind` of its entries."""

# An issuer's writer moves `iat` on by a second per list, so it may run ahead of the clock, but one
# with a wrong clock must not shut out its own later lists for longer than this.
_MAX_AHEAD_S = 86_400

_STATUS_LIST_TYPE = "statuslist+jwt"
_CLAIMS = frozenset({"iss", "iat", "exp", "revoked"})
_PIECE_BYTES = 256 * 1024
_SHELF_BITS = 4  # so that 8 to 16 hashes are on a shelf
_ENTRY = frozenset({"kind", "id", "at", "reason"})


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list that was read, and verified where it is signed.

    `issued_at`, `expires_at` (Unix seconds) and `kid` are of the signature; a plain list has None
    and "" there. `ttl_s` is after how long the list itself wants to be read again.
    """

    passports: RevokedIds
    agents: RevokedIds
    keys: RevokedIds
    issuer_revoked: bool
    issued_at: int | None
    expires_at: int | None
    kid: str
    statuses: StatusList | None = None
    ttl_s: int | None = None

    def read_at(self, when: Instant) -> Revocations:
        """The list as part of a `Trust`, read or confirmed `when`."""
        expires_at = None if self.expires_at is None else float(self.expires_at)
        return Revocations(
            self.passports,
            self.agents,
            self.keys,
            self.issuer_revoked,
            when,
            expires_at,
            statuses=self.statuses,
        )


def read_revocation_list(
    raw: bytes,
    issuer: str,
    keys: Mapping[str, PublicKey],
    *,
    now: float,
    plain_allowed: bool,
    uri: str | None = None,
) -> RevocationList:
    """The list in `raw`: `revocations+jwt` or `statuslist+jwt` signed with one of `keys`, or
    `{"passport_ids": [...]}`.

    `issuer` is whose list it must be, `now` Unix seconds, `uri` the address that a status list must
    be of (None: of any, since it was read from a file). A plain list counts only where
    `plain_allowed`: it is as true as the way it came. An expired list is read, since it still names
    what was revoked; whether it is too old is judged per request. Raises `ValueError` with a
    sentence for everything else.
    """
    if len(raw) > MAX_LIST_BYTES:
        raise ValueError(f"the revocation list is larger than {MAX_LIST_BYTES} bytes")
    text = raw.strip(b" \t\r\n")  # editors and shells end files with a newline
    if text.startswith(b"{"):
        if not plain_allowed:
            raise ValueError(
                "a revocation list that is not signed counts only from a file or https"
            )
        return _read_plain(text)
    jws = take_apart(text, REVOCATIONS_TYPES | {_STATUS_LIST_TYPE})
    if jws.typ == _STATUS_LIST_TYPE and len(raw) > MAX_STATUS_LIST_BYTES:
        raise ValueError(f"the status list is larger than {MAX_STATUS_LIST_BYTES} bytes")
    key = keys.get(jws.kid)
    if not isinstance(key, bytes):
        raise ValueError(  # noqa: TRY004 - an id that names another kind of key, or none
            "the revocation list is signed by a key that the issuer does not have now"
        )
    if not signature_fits(jws.signature, jws.signing_input, key):
        raise ValueError("the signature of the revocation list does not verify")
    if jws.typ == _STATUS_LIST_TYPE:
        return _read_statuses(b"".join(decoded(jws.payload)), issuer, uri, now=now, kid=jws.kid)
    return _read_verified(decoded(jws.payload), issuer, now=now, kid=jws.kid)


def packed(hashes: Iterable[int]) -> RevokedIds:
    """The ids with these `hash()`es, in any order."""
    # By their first eight bits at first: to sort a million at once would hold up every request.
    # A negative number counts from the end, as list items do.
    shelves = [array("q") for _ in range(256)]
    for hashed in hashes:
        shelves[hashed >> 56].append(hashed)
    ascending = array("q")
    for first_bits in range(-128, 128):
        ascending.extend(sorted(set(shelves[first_bits])))
    bits = max(1, len(ascending).bit_length() - _SHELF_BITS)
    step, lowest = 1 << (64 - bits), -1 << 63
    begins = array("I")
    for shelf in range(1 << bits):
        begins.append(bisect_left(ascending, lowest + shelf * step, begins[-1] if begins else 0))
    begins.append(len(ascending))
    return RevokedIds(ascending, begins, bits)


def _read_verified(
    payload: Iterable[bytes], issuer: str, *, now: float, kid: str
) -> RevocationList:
    """The list in the payload of a `revocations+jwt` whose signature by `kid` has been verified."""
    found = Entries(issuer)
    claims = read_members(payload, "revoked", found.take)
    if not claims.keys() <= _CLAIMS:
        raise ValueError("the revocation list has claims that this version does not know")
    if claims.get("iss") != issuer:
        raise ValueError("the revocation list is of another issuer")
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if type(issued_at) is not int or type(expires_at) is not int or not 0 <= issued_at < expires_at:
        raise ValueError("the revocation list needs `iat` and a later `exp`, in whole seconds")
    _check_ahead(issued_at, now)
    if "revoked" not in claims:
        raise ValueError("the revocation list needs a list `revoked`")
    return RevocationList(
        packed(found.hashes["passport"]),
        packed(found.hashes["agent"]),
        packed(found.hashes["key"]),
        bool(found.hashes["issuer"]),
        issued_at,
        expires_at,
        kid,
    )


def _read_statuses(
    payload: bytes, issuer: str, uri: str | None, *, now: float, kid: str
) -> RevocationList:
    """The list in the payload of a `statuslist+jwt` whose signature by `kid` has been verified."""
    told = read_status_claims(read_object(payload, "status list"), issuer, uri)
    _check_ahead(told.issued_at, now)
    none = packed(())
    return RevocationList(
        none, none, none, False, told.issued_at, told.expires_at, kid, told.statuses, told.ttl_s
    )


def _check_ahead(issued_at: int, now: float) -> None:
    if issued_at > now + _MAX_AHEAD_S:
        raise ValueError("the revocation list is issued more than a day in the future")


def check_succession(
    new: RevocationList,
    *,
    highest_iat: int | None,
    signed_before: bool,
    revoked_keys: RevokedIds,
) -> None:
    """Raises `ValueError` unless `new` may take the place of what was accepted before it.

    `highest_iat` is the greatest `iat` ever accepted (None: never a signed list), `signed_before`
    says that the list now in force came signed from the same source, `revoked_keys` are the keys
    that it revokes. Without the first, an old list could be played back; without the second, a
    plain one could replace a signed one; without the third, a stolen key could undo its revocation.
    """
    if new.issued_at is None:
        if signed_before:
            raise ValueError("the revocation list is not signed, and the one before it was")
        return
    if new.kid in revoked_keys:
        raise ValueError("the revocation list is signed by a key that has been revoked")
    if highest_iat is not None and new.issued_at < highest_iat:
        raise ValueError(
            "the revocation list is older than one accepted before"
            f" (iat {new.issued_at}, expected at least {highest_iat})"
        )


def _read_plain(text: bytes) -> RevocationList:
    hashes: array[int] = array("q")

    def take(id_: Any) -> None:
        if type(id_) is not str or not is_name(id_):
            raise ValueError(f"an id in the revocation list is not {A_NAME}")
        hashes.append(hash(id_))

    whole = memoryview(text)
    pieces = (bytes(whole[at : at + _PIECE_BYTES]) for at in range(0, len(whole), _PIECE_BYTES))
    if read_members(pieces, "passport_ids", take).keys() != {"passport_ids"}:
        raise ValueError("a plain revocation list is a JSON object with only a list `passport_ids`")
    return RevocationList(packed(hashes), packed(()), packed(()), False, None, None, "")


class Entries:
    """The entries of what an issuer signed so far: of each kind the `hash()` of what is revoked."""

    def __init__(self, issuer: str) -> None:
        self.hashes: dict[str, array[int]] = {kind: array("q") for kind in KINDS}
        self._issuer = issuer
        self._count = 0

    def take(self, entry: Any) -> None:
        """Notes one; `at` and `reason` are for people and need only be sound. `ValueError` for
        what is no entry."""
        self._count += 1
        if type(entry) is not dict or not entry.keys() <= _ENTRY:
            raise self._wrong("is not an object of kind, id, at and reason")
        kind, id_ = entry.get("kind"), entry.get("id")
        if type(kind) is not str or kind not in KINDS:
            raise self._wrong("is of a kind that this version does not know")
        if type(id_) is not str or not is_name(id_):
            raise self._wrong(f"needs an `id` that is {A_NAME}")
        if type(entry.get("at", 0)) is not int or type(entry.get("reason", "")) is not str:
            raise self._wrong("has an `at` or a `reason` of the wrong type")
        if kind == "issuer" and id_ != self._issuer:
            raise ValueError("the revocation list revokes another issuer than its own")
        self.hashes[kind].append(hash(id_))

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"entry {self._count} of the revocation list {what}")
