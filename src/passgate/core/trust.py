"""Trust: one frozen snapshot of issuers, their keys and revocations, and how old each is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.instant import Instant
from passgate.core.keys import PublicKey
from passgate.core.kills import NO_KILLS, Kills
from passgate.core.presented import Credential
from passgate.core.revoked_ids import RevokedIds
from passgate.core.self_issued import is_self_issued
from passgate.core.status_list import StatusList

L3_LIST_MAX_STALE_S: Final = 60.0
"""The greatest age of a revocation list in profile L3."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """An issuer's public keys by `kid`, 32 raw bytes where it is Ed25519; weak ones never get here.

    `version` changes whenever the keys do (the hex SHA-256 of the canonical set); `read_at` is when
    the source was last read or confirmed. Beyond `max_age_s`, which a bundle sets, they are stale
    whatever the issuer's entry allows.
    """

    keys: Mapping[str, PublicKey]
    version: str
    read_at: Instant
    max_age_s: float = inf


@dataclass(frozen=True, slots=True)
class Revocations:
    """What an issuer has revoked. `expires_at` is Unix time (None: the list does not expire).

    `max_age_s` is what a bundle sets, as in `KeySet`.
    `statuses` is there where it tells by a status list; then the rest is empty.
    """

    passports: RevokedIds
    agents: RevokedIds
    keys: RevokedIds
    issuer_revoked: bool
    read_at: Instant
    expires_at: float | None
    max_age_s: float = inf
    statuses: StatusList | None = None


NO_FLOORS: Final = (0, 0, 0)
"""No assurance is asked for."""


PROOF: Final = "proof"
"""Who presents a passport of this issuer by reference proves to hold its key."""

BEARER: Final = "bearer"
"""The id of a passport of this issuer is enough to present it."""


@dataclass(frozen=True, slots=True)
class Passports:
    """The credentials of an issuer that may be presented by the id alone, each verified once.

    No bundle has them, so nothing but the issuer's own `max_stale_s` bounds their age.
    """

    by_id: Mapping[str, Credential]
    read_at: Instant
    max_age_s: float = inf


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer: what the operator allows it, and what was learnt from it.

    `keys` or `revocations` is None until its source was read once. `revocations_required` is
    compulsory at L2; with it, no list or a stale one refuses. Ages over `max_stale_s` refuse, and
    of a list also those over `list_max_stale_s`. `assurance` is the least identity, authenticator
    and federation level of its passports, 0 asking for none. With `catch_all` a csp token of its
    may hold a scope that names nothing, such as `*`.

    `delegators_prove` says that whoever presents an envelope that may delegate proves to hold its
    key, bound to it or not. `by_reference` is "" where it lists no passports, else `PROOF` or
    `BEARER`; `passports` are None until the list was read once. One that is `self_issued` is the
    key that signs: see `self_issuer`.
    """

    id: str
    tier: str
    formats: frozenset[str]
    permissions: tuple[str, ...]
    constraints: ConstraintSet
    max_stale_s: float
    revocations_required: bool
    keys: KeySet | None = None
    revocations: Revocations | None = None
    list_max_stale_s: float = inf
    assurance: tuple[int, int, int] = NO_FLOORS
    catch_all: bool = False
    delegators_prove: bool = False
    self_issued: bool = False
    by_reference: str = ""
    passports: Passports | None = None

    def stale_at(self, now: Instant) -> bool:
        """Whether anything that is to be known of it is not, is too old, or has expired."""
        keys, revocations = self.keys, self.revocations
        if keys is None or self.keys_are_stale(keys, now):
            return True
        if revocations is None:
            return self.revocations_required
        return self.list_is_stale(revocations, now)

    def keys_are_stale(self, keys: KeySet, now: Instant) -> bool:
        """Whether these keys of the issuer's are too old."""
        age = now.age_of(keys.read_at)
        return age > self.max_stale_s or age > keys.max_age_s

    def list_is_stale(self, revocations: Revocations, now: Instant) -> bool:
        """Whether this list of the issuer's is too old, or has expired."""
        age = now.age_of(revocations.read_at)
        if age > self.max_stale_s or age > self.list_max_stale_s or age > revocations.max_age_s:
            return True
        expires_at = revocations.expires_at
        return expires_at is not None and now.wall >= expires_at

    def age_at(self, now: Instant) -> float:
        """Seconds since the older of keys and revocations was read; 0 for what was never read."""
        keys, revocations = self.keys, self.revocations
        age = now.age_of(keys.read_at) if keys is not None else 0.0
        return age if revocations is None else max(age, now.age_of(revocations.read_at))


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything the gate believes about others, at one moment. Replaced whole, never changed.

    `kills` are the operator's own word on them, which no issuer can take back. `bundle` is the
    version of the trust bundle in force, 0 without one. `self_issued` is what is allowed to
    passports that agents issue themselves, None where these are not accepted.
    """

    issuers: Mapping[str, Issuer]
    version: int = 0
    kills: Kills = NO_KILLS
    bundle: int = 0
    self_issued: Issuer | None = None

    def issuer_of(self, issuer_id: str) -> Issuer | None:
        """The issuer of this id: one that is listed, or where they are accepted, a key itself."""
        issuer = self.issuers.get(issuer_id)
        template = self.self_issued
        if issuer is None and template is not None and is_self_issued(issuer_id):
            return replace(template, id=issuer_id)
        return issuer


NO_TRUST = Trust({})

SELF_ISSUED_TIER: Final = "L0"
_ALWAYS: Final = Instant(inf, inf)


def self_issuer(
    formats: frozenset[str], permissions: tuple[str, ...], constraints: ConstraintSet
) -> Issuer:
    """What all self-issued passports of these formats may at most, and owe; its id is anyone's.

    There is nothing to be read about them: each brings its key, which no list revokes.
    """
    return Issuer(
        id="",
        tier=SELF_ISSUED_TIER,
        formats=formats,
        permissions=permissions,
        constraints=constraints,
        max_stale_s=inf,
        revocations_required=False,
        keys=KeySet({}, "self-issued", _ALWAYS),
        self_issued=True,
    )


__all__ = [
    "NO_CONSTRAINTS",
    "NO_FLOORS",
    "NO_TRUST",
    "Issuer",
    "KeySet",
    "Revocations",
    "Trust",
    "self_issuer",
]
