"""Who must prove to hold a passport's key: check 11, for every format and way of presenting."""

from typing import Final

from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.presented import Credential
from passgate.core.proof import BOUND, ProofRules, Proven, judge_proof
from passgate.core.proof.message_signature import TAGS, Signed, find_signature
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.trust import BEARER, Issuer

BINDING: Final = frozenset({"jwt"})
"""The formats in which a passport that names its holder's key is bound to it. In the others the key
is there for delegating, and for whoever asks that it be proven."""

_NO_KEY: Final = Refusal(
    "proof_missing", "A passport that names no key cannot be presented by reference."
)


def judge_possession(
    request: Request, passport: Passport, issuer: Issuer, rules: ProofRules, now: Instant
) -> Proven | Refusal | None:
    """The proof that `request` carries; None where there is none and none is needed.

    A proof that is presented counts, also where none is needed: a bad one refuses.
    """
    credential = request.sorted.credential
    referred = isinstance(credential, Credential) and credential.referred
    if referred and issuer.by_reference != BEARER:
        # An id is no secret.
        return _NO_KEY if passport.holder is None else judge_proof(request, passport, rules, now)
    if rules.demand == BOUND and not _must_prove(passport, issuer) and not _proves(request):
        return None
    return judge_proof(request, passport, rules, now)


def _must_prove(passport: Passport, issuer: Issuer) -> bool:
    if passport.holder is None:
        return False
    # Whoever was delegated to has the parent too, and could present that in place of its own.
    return passport.format in BINDING or (issuer.delegators_prove and passport.may_delegate)


def _proves(request: Request) -> bool:
    """Whether anything that came along is meant as a proof, for this gate and nobody else."""
    if any(item.kind in ("proof", "dpop") for item in request.sorted.presented):
        return True
    signed = find_signature(request)
    return isinstance(signed, Signed) and signed.input.parameters["tag"] == TAGS[0]
