"""Deltas: what an issuer revoked between two of its lists, signed, so that it can be pushed.

A delta is numbered by the lists on both of its sides: `before` and `after` are their `iat`, which
grows from list to list. So a gate knows whether it misses anything by the list that it has, over
restarts on both ends. A delta only adds. One that leads from a list to itself adds nothing: it says
that the list was the newest at the delta's own `iat`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from passgate.core.instant import Instant
from passgate.core.jws import read
from passgate.core.keys import PublicKey, fits
from passgate.core.revocation import Entries
from passgate.core.revoked_ids import RevokedIds
from passgate.core.trust import Revocations

MAX_DELTA_BYTES: Final = 1 << 20
"""The longest delta; what would be longer is for the list."""

DELTA_TYPES: Final = frozenset({"revocations-delta+jwt"})
"""What `typ` of a delta must say."""

_CLAIMS: Final = frozenset({"iss", "iat", "exp", "before", "after", "revoked"})
# A wrong clock at the issuer must not make anything look fresh for longer than this.
_MAX_AHEAD_S: Final = 120
# Nor shut out its own later lists for longer than this, as `iat` of a list.
_MAX_LIST_AHEAD_S: Final = 86_400


class UnknownKeyError(ValueError):
    """The delta is signed by a key that may be one of the issuer's soon."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What was revoked from the list issued at `before` to the one issued at `after`.

    `issued_at` is when this was said, `expires_at` until when the list `after` is good; all in Unix
    seconds. Of what it revokes it holds the `hash()`es.
    """

    before: int
    after: int
    issued_at: int
    expires_at: int
    kid: str
    passports: frozenset[int]
    agents: frozenset[int]
    keys: frozenset[int]
    issuer_revoked: bool

    def added_to(self, known: Revocations) -> Revocations:
        """`known`, with what the delta adds; its age is left as it is."""
        return replace(
            known,
            passports=known.passports.with_more(self.passports),
            agents=known.agents.with_more(self.agents),
            keys=known.keys.with_more(self.keys),
            issuer_revoked=known.issuer_revoked or self.issuer_revoked,
            expires_at=float(self.expires_at),
        )

    def confirmed_at(self, now: Instant) -> Instant:
        """The moment up to which the list `after` is known to have been the newest.

        What was on its way for long is as old as it says; what is ahead is of now.
        """
        lag = max(0.0, now.wall - self.issued_at)
        return Instant(now.wall - lag, now.boot - lag)


def read_delta(
    raw: bytes, issuer: str, keys: Mapping[str, PublicKey], revoked_keys: RevokedIds, *, now: float
) -> Delta:
    """The delta in `raw`, signed by one of `keys` that is not among `revoked_keys`.

    `issuer` is whose it must be, `now` Unix seconds. Raises `ValueError` with a sentence,
    and for a key that is not among them `UnknownKeyError`.
    """
    if len(raw) > MAX_DELTA_BYTES:
        raise ValueError(f"the delta is larger than {MAX_DELTA_BYTES} bytes")
    jws = read(raw, DELTA_TYPES)
    key = keys.get(jws.kid)
    if not isinstance(key, bytes):
        raise UnknownKeyError("the delta is signed by a key that the issuer does not have now")
    if jws.kid in revoked_keys:
        raise ValueError("the delta is signed by a key that has been revoked")
    if not fits(key, jws.signature, jws.signing_input):
        raise ValueError("the signature of the delta does not verify")
    claims = jws.claims
    if claims.keys() != _CLAIMS:
        raise ValueError("the delta has not exactly the claims of one")
    if claims["iss"] != issuer:
        raise ValueError("the delta is of another issuer")
    issued_at, expires_at = claims["iat"], claims["exp"]
    before, after = claims["before"], claims["after"]
    for time in (issued_at, expires_at, before, after):
        if type(time) is not int or time < 0:
            raise ValueError("the delta has times that are no whole seconds")
    if before > after or after >= expires_at:
        raise ValueError("the delta leads back, or to a list that has expired before it was issued")
    if issued_at > now + _MAX_AHEAD_S:
        raise ValueError("the delta is issued in the future")
    if after > now + _MAX_LIST_AHEAD_S:
        raise ValueError("the delta leads to a list of more than a day in the future")
    if type(claims["revoked"]) is not list:
        raise ValueError("the delta needs a list `revoked`")
    if before == after and claims["revoked"]:
        raise ValueError("the delta revokes something, and leads nowhere")
    entries = Entries(issuer)
    for entry in claims["revoked"]:
        entries.take(entry)
    found = entries.hashes
    return Delta(
        before,
        after,
        issued_at,
        expires_at,
        jws.kid,
        frozenset(found["passport"]),
        frozenset(found["agent"]),
        frozenset(found["key"]),
        bool(found["issuer"]),
    )
