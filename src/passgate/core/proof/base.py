"""What all proofs of possession share: their rules, their window, and how one is burnt."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.proof.nonces import Nonces
from passgate.core.reasons import Refusal

DPOP: Final = "dpop"
SIGNATURE: Final = "signature"

BOUND: Final = "bound"
REQUIRED: Final = "required"


@dataclass(frozen=True, slots=True)
class ProofRules:
    """What a gate asks of proofs.

    `demand` is `bound` (only of passports that are bound to a key) or `required` (of all). A proof
    is good for `max_age_s` after it was made, give or take `skew_s` between the clocks.
    `public_url` is the origin that agents address where it is not the connection's own (no final
    slash). With `nonces`, a proof's nonce must be one of the gate's; `nonce_required` says that it
    must have one.
    """

    demand: str = BOUND
    max_age_s: int = 60
    skew_s: int = 30
    public_url: str | None = None
    nonces: Nonces | None = None
    nonce_required: bool = False


def invalid(detail: str) -> Refusal:
    """`proof_invalid` with a sentence that is safe for anyone."""
    return Refusal("proof_invalid", detail)


_NOT_NOW: Final = invalid("The proof was made too long ago, or in the future.")


def judge_moment(made_at: int, rules: ProofRules, now: Instant) -> Refusal | None:
    """Whether a proof of this Unix second is one of now."""
    wall = now.wall
    if made_at > wall + rules.skew_s or wall > made_at + rules.max_age_s + rules.skew_s:
        return _NOT_NOW
    return None


def burning(thumbprint: str, identifier: str, rules: ProofRules) -> Charge:
    """The one use that a proof has, as a charge: of this holder's key, by the proof's own id.

    It is remembered for as long as the proof could be accepted: from the earliest moment, when the
    holder's clock runs ahead, to the last, when it runs behind.
    """
    window_s = rules.max_age_s + 2 * rules.skew_s + 1
    # A hash, since an id may be as long as its maker likes; the key makes it the holder's own.
    name = sha256(f"{thumbprint} {identifier}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return Charge(f"replay/{window_s}/{name}", "replay", window_s, 1, 1, "proof")
