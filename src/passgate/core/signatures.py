"""Checks 5 and 6: whether an issuer is trusted, and whether what it signed is signed by its keys.

Formats differ in who signs the links of a chain: the holder of each parent's key, or an issuer.
"""

from collections.abc import Mapping
from typing import Final

from passgate.core.ed25519 import signature_fits
from passgate.core.formats.base import Unverified
from passgate.core.keys import PublicKey, algorithm_of, fits
from passgate.core.passport import Principal
from passgate.core.reasons import Refusal
from passgate.core.trust import NO_FLOORS, Issuer, Trust

STALE_RETRY_S: Final = 10
"""After how many seconds a refusal for stale trust asks to be tried again."""

NO_KEYS: Final = Refusal(
    "trust_stale", "The issuer's keys have not been read yet.", retry_after_s=STALE_RETRY_S
)
"""What is said while nothing is known of an issuer's keys."""

_ISSUER_UNKNOWN: Final = Refusal("issuer_unknown")
_ISSUER_FORMAT: Final = Refusal(
    "issuer_untrusted", "The issuer is not trusted for passports in this format."
)
_ISSUER_REVOKED: Final = Refusal("issuer_revoked")
_ASSURANCE: Final = Refusal(
    "issuer_untrusted",
    "The issuer is not trusted for passports with so little assurance of who is behind them.",
)
_KEY_UNKNOWN: Final = Refusal("key_unknown")
_SIGNATURE_INVALID: Final = Refusal("signature_invalid")
_OTHER_ALGORITHM: Final = Refusal(
    "signature_invalid", "The passport's `alg` is not that of the key it names."
)
_NO_HOLDER_KEY: Final = Refusal("chain_invalid", "A parent in the chain names no key to sign with.")


def trusted_issuer(
    trust: Trust, issuer_id: str, format_name: str, principal: Principal | None = None
) -> Issuer | Refusal:
    """Check 5: the issuer's entry, if it is trusted for this format and has not been revoked.

    Where the entry asks for assurance, `principal` must have it.
    """
    issuer = trust.issuers.get(issuer_id) or trust.issuer_of(issuer_id)
    if issuer is None:
        return _ISSUER_UNKNOWN
    if format_name not in issuer.formats:
        return _ISSUER_FORMAT
    revocations = issuer.revocations
    if revocations is not None and revocations.issuer_revoked:
        return _ISSUER_REVOKED
    if issuer.assurance != NO_FLOORS and _falls_short(issuer, principal):
        return _ASSURANCE
    return issuer


def _falls_short(issuer: Issuer, principal: Principal | None) -> bool:
    """Whether any level is below the issuer's floor; one that is not known is below every floor."""
    if principal is None:
        return True
    return any(
        floor > 0 and (level is None or level < floor)
        for floor, level in zip(issuer.assurance, principal.assurance, strict=True)
    )


def signed_by_holders(unverified: Unverified, issuer: Issuer, trust: Trust) -> Refusal | None:
    """Check 6: the root's signature by a key of the issuer, each child's by its parent's holder."""
    keys = issuer.keys
    if keys is None:
        return NO_KEYS
    parents = unverified.parents
    root = parents[0] if parents else unverified
    known: Mapping[str, PublicKey] = keys.keys
    if issuer.self_issued:
        # No name but the root's own: under another one somebody else would speak.
        known = (root.own_keys if root.issuer == unverified.issuer else None) or {}
    key = known.get(root.key_id)
    if not isinstance(key, bytes):
        # A native passport names an Ed25519 key; under that name the issuer has none.
        return _KEY_UNKNOWN
    if not signature_fits(root.signature, root.message, key):
        return _SIGNATURE_INVALID
    if not parents:
        return None
    for parent, child in zip(parents, (*parents[1:], unverified), strict=True):
        holder = parent.holder
        if holder is None or holder.key is None:
            return _NO_HOLDER_KEY
        if child.key_id != holder.thumbprint:
            return _KEY_UNKNOWN
        if not signature_fits(child.signature, child.message, holder.key):
            return _SIGNATURE_INVALID
    return None


def signed_by_issuers(unverified: Unverified, issuer: Issuer, trust: Trust) -> Refusal | None:
    """Check 6: each link's signature by a key of the issuer that it names, which is trusted too.

    A key is looked up under its issuer alone: another issuer's key of that name does not count.
    """
    for link in (*unverified.parents, unverified):
        signer = issuer
        if link.issuer != issuer.id:
            other = trusted_issuer(trust, link.issuer, link.format, link.principal)
            if isinstance(other, Refusal):
                return other
            signer = other
        if signer.keys is None:
            return NO_KEYS
        key = signer.keys.keys.get(link.key_id)
        if key is None:
            return _KEY_UNKNOWN
        if algorithm_of(key) != link.algorithm:
            return _OTHER_ALGORITHM
        if not fits(key, link.signature, link.message):
            return _SIGNATURE_INVALID
    return None
