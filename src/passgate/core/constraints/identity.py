"""Who may present: trust tier, assurance, proof of possession, and how far it was delegated."""

from typing import Final

from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.values import count, either, flag
from passgate.core.reasons import Refusal
from passgate.core.tiers import TIERS

MIN_TRUST_TIER: Final = "core:identity:min_trust_tier"
REQUIRE_PROOF: Final = "core:identity:require_proof"
MAX_DELEGATION_DEPTH: Final = "core:identity:max_delegation_depth"

_LOW_TIER: Final = Refusal(
    "constraint_violated", "The issuer's trust tier is too low.", MIN_TRUST_TIER
)
_NO_PROOF: Final = Refusal(
    "constraint_violated", "The request does not prove possession of a key.", REQUIRE_PROOF
)
_TOO_DEEP: Final = Refusal(
    "constraint_violated", "The passport was delegated too often.", MAX_DELEGATION_DEPTH
)


def _tier(raw: object) -> int:
    if raw not in TIERS:
        raise ValueError(f"must be one of {', '.join(TIERS)}")
    return TIERS.index(raw)


def _level(raw: object) -> int:
    level = count(raw)
    if not 1 <= level <= 3:
        raise ValueError("must be 1, 2 or 3")
    return level


def _judge_min_trust_tier(least: int, context: Context) -> Refusal | None:
    issuer = context.issuer
    tier = "" if issuer is None else issuer.tier
    return None if tier in TIERS and TIERS.index(tier) >= least else _LOW_TIER


def _judge_require_proof(required: bool, context: Context) -> Refusal | None:
    return _NO_PROOF if required and not context.facts.proven else None


def _judge_max_delegation_depth(most: int, context: Context) -> Refusal | None:
    return _TOO_DEEP if context.facts.chain_length > most else None


def _assurance(key: str, order: int, place: int, name: str, example: int) -> Constraint:
    refusal = Refusal("constraint_violated", f"The {name} assurance is too low or not known.", key)

    def judge(least: int, context: Context) -> Refusal | None:
        level = context.facts.assurance[place]
        return None if level is not None and level >= least else refusal

    return Constraint(
        key=key,
        order=order,
        parse=_level,
        merge=max,
        value="1, 2 or 3",
        refuses=f"the {name} assurance level (NIST SP 800-63) is lower, or not known",
        merging="the greatest",
        example=example,
        note="Only csp passports carry assurance levels; no other passport satisfies it.",
        judge=judge,
    )


ROWS: Final = (
    Constraint(
        key=MIN_TRUST_TIER,
        order=66,
        parse=_tier,
        merge=max,
        value="`L0`, `L1`, `L2` or `L3`",
        refuses="the tier of the passport's issuer is lower, or there is no passport",
        merging="the greatest",
        example="L2",
        note="The tier is `issuers[].tier` of the gate's own configuration, never the passport's.",
        judge=_judge_min_trust_tier,
    ),
    _assurance("core:identity:require_ial", 67, 0, "identity", 2),
    _assurance("core:identity:require_aal", 68, 1, "authenticator", 2),
    _assurance("core:identity:require_fal", 69, 2, "federation", 1),
    Constraint(
        key=REQUIRE_PROOF,
        order=70,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses="possession of the passport's key was not proven with this request",
        merging="true if either is",
        example=True,
        note=(
            "A passport that is bound to no key cannot satisfy it. A proof is one by DPoP, or an"
            " HTTP message signature, and is good once."
        ),
        judge=_judge_require_proof,
    ),
    Constraint(
        key=MAX_DELEGATION_DEPTH,
        order=71,
        parse=count,
        merge=min,
        value="a whole number; 0 for none that was delegated",
        refuses="the passport was delegated through more others",
        merging="the least",
        example=1,
        judge=_judge_max_delegation_depth,
    ),
)
"""The rows of this family."""
