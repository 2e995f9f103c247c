"""Lists of what an issuer has revoked, told apart by content, and the rule for taking a newer one.

A list is taken whole or refused whole: an entry of an unknown kind may be a revocation that this
gate would miss, and a refused list shows itself by its age.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passgate.core import strict_json
from passgate.core.ed25519 import signature_fits
from passgate.core.instant import Instant
from passgate.core.jws import A_NAME, REVOCATIONS_TYPES, is_name, read
from passgate.core.trust import Revocations

MAX_LIST_BYTES = 16 << 20

KINDS = ("passport", "agent", "key", "issuer")
"""What a list can revoke, as `kind` of its entries."""

# An issuer's writer moves `iat` on by a second per list, so it may run ahead of the clock, but one
# with a wrong clock must not shut out its own later lists for longer than this.
_MAX_AHEAD_S = 86_400

_STATUS_LIST_TYPE = "statuslist+jwt"
_CLAIMS = frozenset({"iss", "iat", "exp", "revoked"})
_ENTRY = frozenset({"kind", "id", "at", "reason"})


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list that was read, and verified where it is signed.

    `issued_at`, `expires_at` (Unix seconds) and `kid` are of the signature; a plain list has None
    and "" there.
    """

    passports: frozenset[str]
    agents: frozenset[str]
    keys: frozenset[str]
    issuer_revoked: bool
    issued_at: int | None
    expires_at: int | None
    kid: str

    def read_at(self, when: Instant) -> Revocations:
        """The list as part of a `Trust`, read or confirmed `when`."""
        expires_at = None if self.expires_at is None else float(self.expires_at)
        return Revocations(
            self.passports, self.agents, self.keys, self.issuer_revoked, when, expires_at
        )


def read_revocation_list(
    raw: bytes, issuer: str, keys: Mapping[str, bytes], *, now: float, plain_allowed: bool
) -> RevocationList:
    """The list in `raw`: `revocations+jwt` signed with one of `keys`, or `{"passport_ids": [...]}`.

    `issuer` is whose list it must be, `now` Unix seconds. A plain list counts only where
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
    jws = read(text, REVOCATIONS_TYPES | {_STATUS_LIST_TYPE})
    if jws.typ == _STATUS_LIST_TYPE:
        raise ValueError("status lists (statuslist+jwt) are not in this version")
    key = keys.get(jws.kid)
    if key is None:
        raise ValueError("the revocation list is signed by a key that the issuer does not have now")
    if not signature_fits(jws.signature, jws.signing_input, key):
        raise ValueError("the signature of the revocation list does not verify")
    return read_claims(jws.claims, issuer, now=now, kid=jws.kid)


def read_claims(claims: Mapping[str, Any], issuer: str, *, now: float, kid: str) -> RevocationList:
    """The list in the claims of a `revocations+jwt` whose signature by `kid` has been verified.

    Raises `ValueError` with a sentence for one that is not `issuer`'s own, or not as it should be.
    """
    if not claims.keys() <= _CLAIMS:
        raise ValueError("the revocation list has claims that this version does not know")
    if claims.get("iss") != issuer:
        raise ValueError("the revocation list is of another issuer")
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if type(issued_at) is not int or type(expires_at) is not int or not 0 <= issued_at < expires_at:
        raise ValueError("the revocation list needs `iat` and a later `exp`, in whole seconds")
    if issued_at > now + _MAX_AHEAD_S:
        raise ValueError("the revocation list is issued more than a day in the future")
    entries = claims.get("revoked")
    if type(entries) is not list:
        raise ValueError("the revocation list needs a list `revoked`")
    by_kind: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for position, entry in enumerate(entries, start=1):
        kind, id_ = _read_entry(entry, f"entry {position} of the revocation list")
        by_kind[kind].add(id_)
    if by_kind["issuer"] - {issuer}:
        raise ValueError("the revocation list revokes another issuer than its own")
    return RevocationList(
        frozenset(by_kind["passport"]),
        frozenset(by_kind["agent"]),
        frozenset(by_kind["key"]),
        bool(by_kind["issuer"]),
        issued_at,
        expires_at,
        kid,
    )


def check_succession(
    new: RevocationList,
    *,
    highest_iat: int | None,
    signed_before: bool,
    revoked_keys: frozenset[str],
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
    try:
        document = strict_json.loads(text)
    except ValueError as error:
        raise ValueError(f"the revocation list is not unambiguous JSON: {error}") from None
    ids = document.get("passport_ids")
    if len(document) != 1 or type(ids) is not list:
        raise ValueError("a plain revocation list is a JSON object with only a list `passport_ids`")
    if not all(type(id_) is str and is_name(id_) for id_ in ids):
        raise ValueError(f"an id in the revocation list is not {A_NAME}")
    nothing: frozenset[str] = frozenset()
    return RevocationList(frozenset(ids), nothing, nothing, False, None, None, "")


def _read_entry(entry: object, name: str) -> tuple[str, str]:
    """`kind` and `id` of an entry; `at` and `reason` are for people and need only be sound."""
    if type(entry) is not dict or not entry.keys() <= _ENTRY:
        raise ValueError(f"{name} is not an object of kind, id, at and reason")
    kind, id_ = entry.get("kind"), entry.get("id")
    if type(kind) is not str or kind not in KINDS:
        raise ValueError(f"{name} is of a kind that this version does not know")
    if type(id_) is not str or not is_name(id_):
        raise ValueError(f"{name} needs an `id` that is {A_NAME}")
    if type(entry.get("at", 0)) is not int or type(entry.get("reason", "")) is not str:
        raise ValueError(f"{name} has an `at` or a `reason` of the wrong type")
    return kind, id_
