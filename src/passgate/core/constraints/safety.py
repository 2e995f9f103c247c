"""When to stop although all is in order: where what is trusted is not fresh."""

from typing import Final

from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.values import flag
from passgate.core.reasons import Refusal

FAIL_CLOSED: Final = "core:safety:fail_closed"

_STALE: Final = Refusal(
    "constraint_violated", "What the gate knows of the issuer is not fresh.", FAIL_CLOSED
)


def _either(left: bool, right: bool) -> bool:
    return left or right


def _judge_fail_closed(fail_closed: bool, context: Context) -> Refusal | None:
    issuer = context.issuer
    # Without a passport nothing is believed of anybody, so nothing can be stale.
    if not fail_closed or issuer is None:
        return None
    return _STALE if issuer.stale_at(context.now) else None


ROWS: Final = (
    Constraint(
        key=FAIL_CLOSED,
        order=1,
        parse=flag,
        merge=_either,
        value="true (false asks for nothing)",
        refuses=(
            "keys or revocations of the passport's issuer were never read, are older than its"
            " `max_stale`, or have expired"
        ),
        merging="true if either is",
        example=True,
        note=(
            "Check 9 refuses stale trust with `trust_stale` wherever the gate's profile does; this"
            " refuses it in every profile. A request without a passport rests on no trust."
        ),
        judge=_judge_fail_closed,
    ),
)
"""The rows of this family."""
