"""Proof of possession: that whoever presents a passport holds the key that it is bound to.

Check 11. Two kinds are read, each in its own file: DPoP (RFC 9449) and HTTP message signatures
(RFC 9421). A proof is verified first and burnt afterwards: what is to be burnt is a charge like any
other, of one use in a window, so that it is taken once, survives a crash with the log, and is
shared where counters are.
"""

from dataclasses import dataclass
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.presented import Presented
from passgate.core.proof.base import BOUND, DPOP, REQUIRED, SIGNATURE, ProofRules, invalid
from passgate.core.proof.dpop import judge_dpop
from passgate.core.proof.message_signature import TAGS, Signed, find_signature, judge_signature
from passgate.core.reasons import Refusal
from passgate.core.request import Request

_MISSING: Final = Refusal("proof_missing")
_REQUIRED: Final = Refusal(
    "proof_missing", "This gate asks for a proof of possession with every passport."
)
_SCHEME: Final = Refusal("proof_missing", "A passport in the DPoP scheme comes with a DPoP header.")
_TWICE: Final = invalid("The request carries more than one proof.")
_UNBOUND: Final = invalid("The passport is bound to no key, so nothing can prove whose it is.")


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof that holds: its `kind`, such as `dpop`, and what burns it."""

    kind: str
    charge: Charge


def judge_proof(
    request: Request, passport: Passport, rules: ProofRules, now: Instant
) -> Proven | Refusal | None:
    """Check 11: the proof that `request` carries; None where there is none and none is needed.

    A passport that is bound to a key needs one everywhere, and every passport where `rules` say so.
    A proof that is presented counts, also where none is needed: a bad one refuses.
    """
    holder = passport.holder
    presented = request.sorted.presented
    proofs = [item.value for item in presented if item.kind == "proof"]
    signed = find_signature(request)
    if holder is None:
        return _unbound(presented, signed, rules, proved=bool(proofs))
    if len(proofs) > 1 or (proofs and signed is not None):
        return _TWICE
    if proofs:
        burnt = judge_dpop(proofs[0], request, holder, rules, now)
        return burnt if isinstance(burnt, Refusal) else Proven(DPOP, burnt)
    if any(item.kind == "dpop" for item in presented):
        return _SCHEME
    if signed is None:
        return _MISSING
    if isinstance(signed, Refusal):
        return signed
    burnt = judge_signature(signed, request, holder, rules, now)
    return burnt if isinstance(burnt, Refusal) else Proven(SIGNATURE, burnt)


def _unbound(
    presented: tuple[Presented, ...],
    signed: Signed | Refusal | None,
    rules: ProofRules,
    *,
    proved: bool,
) -> Refusal | None:
    """What a passport without a key comes to: nothing can prove whose it is.

    A web bot's signature beside it is for others, and the gate's own is taken for a mistake.
    """
    if proved or (isinstance(signed, Signed) and signed.input.parameters["tag"] == TAGS[0]):
        return _UNBOUND
    if any(item.kind == "dpop" for item in presented):
        return _SCHEME
    return _REQUIRED if rules.demand == REQUIRED else None


__all__ = ["BOUND", "DPOP", "REQUIRED", "SIGNATURE", "ProofRules", "Proven", "judge_proof"]
