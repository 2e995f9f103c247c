"""Passports that are presented by their id alone, among those that an issuer has listed.

A request never asks anyone: what is not known by then is unknown.
"""

from typing import Final

from passgate.core.instant import Instant
from passgate.core.presented import Credential
from passgate.core.reasons import Refusal
from passgate.core.signatures import STALE_RETRY_S
from passgate.core.strict_json import loads
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import Acceptance, verify

MAX_PASSPORTS_BYTES: Final = 8 << 20
"""The largest list of passports that is read."""

_UNKNOWN: Final = Refusal("passport_unknown")
_SEVERAL: Final = Refusal("passport_ambiguous", "Several issuers have a passport of that id.")
_NOT_READ: Final = Refusal(
    "trust_stale", "An issuer's passports have not been read yet.", retry_after_s=STALE_RETRY_S
)
_STALE: Final = Refusal(
    "trust_stale", "The issuer's passports are out of date.", retry_after_s=STALE_RETRY_S
)


def resolve(passport_id: str, trust: Trust, now: Instant) -> Credential | Refusal:
    """The credential of the one passport that is known by this id.

    Refuses with `passport_unknown` an id that no list has, with `passport_ambiguous` one that two
    issuers have given, and with `trust_stale` where its list is older than the issuer's
    `max_stale_s`, or may still come.
    """
    found: Credential | None = None
    owner: Issuer | None = None
    awaited = False
    for issuer in trust.issuers.values():
        if not issuer.by_reference:
            continue
        if issuer.passports is None:
            awaited = True
            continue
        credential = issuer.passports.by_id.get(passport_id)
        if credential is not None:
            if found is not None:
                return _SEVERAL
            found, owner = credential, issuer
    if found is None or owner is None or owner.passports is None:
        return _NOT_READ if awaited else _UNKNOWN
    if now.age_of(owner.passports.read_at) > owner.max_stale_s:
        return _STALE
    return found


def read_passports(body: bytes, issuer: Issuer) -> dict[str, Credential]:
    """The credentials in a JSON array, by the ids that they can be presented by.

    Each is verified as if it were presented, by the keys of `issuer`, whose own it must be; a
    delegated one is known by its own id and by its path. Raises `ValueError` where anything in the
    list is not as it should be: then nothing of it counts.
    """
    try:
        listed = loads(body)
    except ValueError:
        raise ValueError("the list of passports is not unambiguous JSON") from None
    if type(listed) is not list:
        raise ValueError("the list of passports is not a JSON array")
    trust = Trust({issuer.id: issuer})
    acceptance = Acceptance(issuer.formats)
    by_id: dict[str, Credential] = {}
    for number, text in enumerate(listed, 1):
        if type(text) is not str:
            raise ValueError(f"entry {number} of the list of passports is not a text")
        credential = Credential(text)
        passport = verify(credential, trust, acceptance)
        flaw = passport if isinstance(passport, Refusal) else passport.flaw
        if isinstance(passport, Refusal) or flaw is not None:
            assert flaw is not None
            raise ValueError(f"entry {number} of the list of passports is refused: {flaw.code}")
        for name in {passport.id, passport.id.rpartition("/")[2]}:
            if name in by_id:
                raise ValueError(f"entry {number} of the list of passports has the id of another")
            by_id[name] = credential
    return by_id
