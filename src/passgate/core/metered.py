"""Further minutes of a request that is priced by the minute: what each takes, and who says no.

A minute is judged as if the request had cost all of it from the start: what would refuse it then,
or ask a person first, ends it now.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from passgate.core.constraints import Compiled
from passgate.core.constraints.base import Charge
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.pricing import GREATEST_CENTS
from passgate.core.reasons import Refusal
from passgate.core.request import Request

Judge: TypeAlias = Callable[[int], Refusal | None]
"""Whether a request may go on at this cost in all, in cents."""


def minute_charges(charges: tuple[Charge, ...], cents: int) -> tuple[Charge, ...]:
    """What one more minute takes: from every budget that the request owes, and nothing else."""
    return tuple([replace(each, amount=cents) for each in charges if each.kind == "spend"])


def judge_cost(
    compiled: Compiled, request: Request, action: str, facts: Facts, now: Instant
) -> Judge:
    """Judges by what the passport owes, as at its decision: only the cost has changed."""
    held = {hold.constraint for hold in compiled.evaluate(request, action, facts, now).holds}

    def judge(cents: int) -> Refusal | None:
        if cents > GREATEST_CENTS:
            return Refusal("budget_exhausted", "Nothing may cost that much.")
        found = compiled.evaluate(request, action, replace(facts, cost_cents=cents), now)
        if found.refusal is not None:
            return found.refusal
        for hold in found.holds:
            if hold.constraint not in held:
                return Refusal("approval_required", hold.detail, constraint=hold.constraint)
        return None

    return judge
