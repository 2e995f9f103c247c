"""From text to Passport: checks 4, 5 and 6, and 7 to 9 on what they made. No other way exists.

Everything is judged from one `Trust` and one `Instant`, handed in; nothing is fetched here.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from passgate.core import formats
from passgate.core.delegation import path_of
from passgate.core.format_rules import RULES
from passgate.core.formats.base import ChainError, Unverified
from passgate.core.instant import Instant
from passgate.core.jws import MalformedError, UnsupportedError, encode_base64url
from passgate.core.keys import identity_of
from passgate.core.kills import Kills, Link
from passgate.core.passport import _BY_VERIFICATION, Passport
from passgate.core.presented import Credential
from passgate.core.reasons import Refusal
from passgate.core.signatures import NO_KEYS, STALE_RETRY_S, trusted_issuer
from passgate.core.status_list import StatusList
from passgate.core.trust import Issuer, Revocations, Trust
from passgate.core.verified_cache import VerifiedCache

MAX_CREDENTIAL_BYTES: Final = 64 * 1024
"""The largest credential that any gate reads."""

_TOO_LARGE: Final = Refusal("passport_too_large")
_NOT_ASCII: Final = Refusal("passport_malformed", "A passport is ASCII text.")
_FORMAT_NOT_ACCEPTED: Final = Refusal(
    "passport_unsupported", "This gate does not accept passports in this format."
)
_EXPIRED: Final = Refusal("passport_expired")
_NOT_YET: Final = Refusal("passport_not_yet_valid")
_LIFETIME: Final = Refusal("passport_lifetime")
_AUDIENCE: Final = Refusal("audience_mismatch")
_REVOKED: Final = Refusal("passport_revoked")
_STALE_KEYS: Final = Refusal(
    "trust_stale", "The issuer's keys were last read too long ago.", retry_after_s=STALE_RETRY_S
)
_NO_LIST: Final = Refusal(
    "trust_stale", "The issuer's revocations have not been read yet.", retry_after_s=STALE_RETRY_S
)
_NO_STATUS: Final = Refusal(
    "trust_stale",
    "The issuer's status list does not say whether the passport is good.",
    retry_after_s=STALE_RETRY_S,
)
_STALE_LIST: Final = Refusal(
    "trust_stale", "The issuer's revocations are out of date.", retry_after_s=STALE_RETRY_S
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a gate accepts as a credential, whoever issued it."""

    formats: frozenset[str] = frozenset({"jwt"})
    max_credential_bytes: int = MAX_CREDENTIAL_BYTES


class Finding(NamedTuple):
    """One check's outcome, by its number and name in `docs/concepts/checks.md`; None: passed."""

    check: int
    name: str
    refusal: Refusal | None


def verify(
    credential: Credential | str,
    trust: Trust,
    acceptance: Acceptance,
    cache: VerifiedCache | None = None,
) -> Passport | Refusal:
    """The passport that `credential` is, after checks 4, 5 and 6; or the first refusal.

    On `key_unknown` the caller may ask `named_key` which key to fetch. Never raises, whatever the
    text is.
    """
    # A header that comes again brings its credential with the digest worked out.
    known = Credential(credential) if isinstance(credential, str) else credential
    text = known.text
    refusal = _unreadable(text, acceptance)
    if refusal is not None:
        return refusal
    if cache is None:
        return _verify_anew(text.encode("ascii"), trust, acceptance, None)
    passport = cache.find(known.digest)
    if passport is not None:
        # A reload may have narrowed what is accepted since the passport was kept.
        if passport.format not in acceptance.formats:
            return _FORMAT_NOT_ACCEPTED
        issuer = trusted_issuer(trust, passport.issuer, passport.format, passport.principal)
        if isinstance(issuer, Refusal):
            return issuer
        keys = issuer.keys
        if keys is not None and keys.version == passport.key_version:
            cache.hits += 1
            return passport
    cache.misses += 1
    return _verify_anew(text.encode("ascii"), trust, acceptance, cache)


def _verify_anew(
    raw: bytes, trust: Trust, acceptance: Acceptance, cache: VerifiedCache | None
) -> Passport | Refusal:
    unverified = _read(raw, acceptance)
    if isinstance(unverified, Refusal):
        return unverified
    issuer = trusted_issuer(trust, unverified.issuer, unverified.format, unverified.principal)
    if isinstance(issuer, Refusal):
        return issuer
    refusal = RULES[unverified.format].signed(unverified, issuer, trust)
    if refusal is not None:
        return refusal
    passport = _passport(unverified, issuer, raw)
    if cache is not None:
        cache.keep(passport)
    return passport


def examine(
    credential: str, trust: Trust, acceptance: Acceptance
) -> tuple[list[Finding], Passport | None]:
    """Checks 4, 5 and 6 with every outcome that can be known, for explanations.

    The passport is there if its shape and signature are right, so that further checks can be
    explained even where check 5 refuses; whoever decides uses `verify`.
    """
    unverified = _shape(credential, acceptance)
    if isinstance(unverified, Refusal):
        return [Finding(4, "shape", unverified)], None
    findings = [Finding(4, "shape", None)]
    issuer = trusted_issuer(trust, unverified.issuer, unverified.format, unverified.principal)
    findings.append(Finding(5, "issuer", issuer if isinstance(issuer, Refusal) else None))
    known = trust.issuer_of(unverified.issuer)
    if known is None:
        return findings, None
    refusal = RULES[unverified.format].signed(unverified, known, trust)
    findings.append(Finding(6, "signature", refusal))
    if refusal is not None:
        return findings, None
    return findings, _passport(unverified, known, credential.encode("ascii"))


def named_key(credential: str, acceptance: Acceptance) -> tuple[str, str] | None:
    """(issuer, kid) that a well-formed credential names, for a refetch; believe neither."""
    unverified = _shape(credential, acceptance)
    if isinstance(unverified, Refusal):
        return None
    return unverified.issuer, unverified.key_id


def _unreadable(credential: str, acceptance: Acceptance) -> Refusal | None:
    """Check 4, as far as nothing has to be read for it."""
    if len(credential) > acceptance.max_credential_bytes:
        return _TOO_LARGE
    return None if credential.isascii() else _NOT_ASCII


def _shape(credential: str, acceptance: Acceptance) -> Unverified | Refusal:
    """Check 4."""
    refusal = _unreadable(credential, acceptance)
    return _read(credential.encode("ascii"), acceptance) if refusal is None else refusal


def _read(raw: bytes, acceptance: Acceptance) -> Unverified | Refusal:
    """Check 4, but for the size."""
    try:
        return formats.read(raw, acceptance.formats)
    except ChainError as broken:
        return Refusal(broken.code, str(broken))
    except UnsupportedError as unsupported:
        return Refusal("passport_unsupported", str(unsupported))
    except MalformedError as malformed:
        return Refusal("passport_malformed", str(malformed))


def _passport(unverified: Unverified, issuer: Issuer, raw: bytes) -> Passport:
    """The passport that `unverified`, read from `raw`, has become."""
    parents = unverified.parents
    if not parents:
        digest = sha256(raw).hexdigest()
        return _sealed(unverified, issuer, digest, unverified.id, (), unverified.flaw)
    ids: list[str] = []
    chain: list[Passport] = []
    for parent in parents:
        ids.append(parent.id)
        text = parent.message + b"." + encode_base64url(parent.signature)
        digest = sha256(text).hexdigest()
        chain.append(_sealed(parent, issuer, digest, path_of(ids), tuple(chain), None))
    return _sealed(
        unverified,
        issuer,
        sha256(raw).hexdigest(),
        path_of([*ids, unverified.id]),
        tuple(chain),
        RULES[unverified.format].judge_chain((*parents, unverified)),
    )


def _sealed(
    link: Unverified,
    issuer: Issuer,
    digest: str,
    path: str,
    chain: tuple[Passport, ...],
    flaw: Refusal | None,
) -> Passport:
    """The only place that holds the seal."""
    expires_at = link.expires_at
    pins = link.pins
    if chain:
        # The parent's own is the least of those above it.
        expires_at = min(expires_at, chain[-1].expires_at)
        pins = {**chain[-1].pins, **pins}
    return Passport(
        _BY_VERIFICATION,
        link.format,
        issuer.id,  # equal, and one string for all of the issuer's passports
        link.agent,
        path,
        link.key_id,
        link.issued_at,
        expires_at,
        link.not_before,
        link.audience,
        link.permissions,
        link.constraints,
        link.grants,
        pins,
        digest,
        link.payload,
        "" if issuer.keys is None else issuer.keys.version,
        chain,
        link.holder,
        link.may_delegate,
        flaw,
        link.status,
        link.principal,
        link.model,
        key=None if issuer.keys is None else issuer.keys.keys.get(link.key_id),
    )


def check_times(
    passport: Passport, now: Instant, skew_s: float, max_lifetime_s: float
) -> Refusal | None:
    """Check 7: `exp`, `nbf` and `iat` within `skew_s`, and `exp - iat` within `max_lifetime_s`.

    At `exp` itself a passport has expired (RFC 7519 section 4.1.4). It holds for every link of a
    chain, of which none outlives its parent.
    """
    for parent in passport.chain:
        refusal = check_times(parent, now, skew_s, max_lifetime_s)
        if refusal is not None:
            return refusal
    wall = now.wall
    if wall - skew_s >= passport.expires_at:
        return _EXPIRED
    latest = wall + skew_s
    if passport.issued_at > latest:
        return _NOT_YET
    not_before = passport.not_before
    if not_before is not None and not_before > latest:
        return _NOT_YET
    if passport.expires_at - passport.issued_at > max_lifetime_s:
        return _LIFETIME
    return None


def check_audience(passport: Passport, accepted: frozenset[str]) -> Refusal | None:
    """Check 8: a passport that names audiences names one of `accepted`, and so do its ancestors."""
    for parent in passport.chain:
        if parent.audience and accepted.isdisjoint(parent.audience):
            return _AUDIENCE
    audience = passport.audience
    if audience and accepted.isdisjoint(audience):
        return _AUDIENCE
    return None


def check_revocation(passport: Passport, issuer: Issuer, now: Instant) -> Refusal | None:
    """Check 9: nothing of the passport is revoked, and what is known of its issuer is fresh.

    A passport is revoked by its id, its agent, the key it is signed with or the key it is bound to,
    by its place in a status list, and by each of these of an ancestor. One that names a place of
    which the list in force says nothing is not known to be good.

    What a list revokes stays revoked however old the list is. Keys and list are stale when older
    than the issuer's `max_stale_s`, a list also once it has expired, and a list that is compulsory
    when there is none.
    """
    revocations = issuer.revocations
    if revocations is not None:
        if _is_revoked(passport, revocations):
            return _REVOKED
        for parent in passport.chain:
            if _is_revoked(parent, revocations):
                return _REVOKED
    keys = issuer.keys
    if keys is None:
        return NO_KEYS
    if issuer.keys_are_stale(keys, now):
        return _STALE_KEYS
    if revocations is None:
        return _NO_LIST if issuer.revocations_required or _lacks_status(passport, None) else None
    if issuer.list_is_stale(revocations, now):
        return _STALE_LIST
    return _NO_STATUS if _lacks_status(passport, revocations.statuses) else None


def lacks_its_key(passport: Passport, issuer: Issuer) -> bool:
    """Whether the issuer has withdrawn the key that signed a passport, or an ancestor of it.

    What comes anew is verified by the keys of now; this is for what was verified before.
    """
    keys = issuer.keys
    if keys is None or keys.version == passport.key_version:
        return False
    for link in passport.lineage:
        known = link.key
        if known is not None:
            key = keys.keys.get(link.key_id)
            if key is None or identity_of(key) != identity_of(known):
                return True
    return False


def _lacks_status(passport: Passport, statuses: StatusList | None) -> bool:
    """Whether a link names a place in a status list of which `statuses` says nothing."""
    status = passport.status
    if status is not None and (statuses is None or not statuses.covers(status)):
        return True
    for parent in passport.chain:
        status = parent.status
        if status is not None and (statuses is None or not statuses.covers(status)):
            return True
    return False


def _is_revoked(passport: Passport, revocations: Revocations) -> bool:
    holder = passport.holder
    return (
        passport.id in revocations.passports
        or passport.agent in revocations.agents
        or passport.key_id in revocations.keys
        or (holder is not None and holder.thumbprint in revocations.keys)
        or (
            passport.status is not None
            and revocations.statuses is not None
            and revocations.statuses.revokes(passport.status)
        )
    )


def check_kills(passport: Passport, kills: Kills) -> Refusal | None:
    """The rest of check 9: no link of the passport's chain has been stopped by the operator."""
    return kills.judge_links([Link(each.issuer, each.agent, each.id) for each in passport.lineage])
