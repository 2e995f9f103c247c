"""Answers for the core what only memory knows: paces, and whom an agent has dealt with before."""

from typing import Final

from passgate.core.constraints.base import Charge, Hold
from passgate.core.decision import Plan
from passgate.core.instant import Instant
from passgate.ledger.paces import Paces
from passgate.ledger.protocol import Ledger

_TOO_FAST: Final = "The agent is much faster than it used to be."


def consult(plan: Plan, ledger: Ledger, paces: Paces, now: Instant) -> None:
    """Puts into a plan the holds that its watches and recalls come to.

    What is new of its recalls is left in `plan.marks`, to be charged if the request is allowed and
    never while it is held. Nothing is counted here.
    """
    if plan.refusal is not None:
        return
    said: dict[str, str] = {}
    for watch in plan.watches:
        if paces.exceeded(watch, now):
            said[watch.constraint] = "hold"
            # The first in the order of constraints.
            plan.hold = Hold(watch.constraint, _TOO_FAST)
    for recall in plan.recalls:
        new = unknown(recall.marks, ledger, now)
        if new:
            plan.marks = (*plan.marks, *[mark for mark in new if mark not in plan.marks])
            plan.hold = plan.hold or Hold(recall.constraint, recall.detail)
        said[recall.constraint] = "hold" if new else "allow"
    if said:
        plan.evaluated = tuple(
            [
                (key, said.get(key, as_is) if as_is in {"watch", "recall"} else as_is)
                for key, as_is in plan.evaluated
            ]
        )


def unknown(marks: tuple[Charge, ...], ledger: Ledger, now: Instant) -> tuple[Charge, ...]:
    """The marks that were never charged."""
    balances = ledger.balances(marks, now)
    return tuple([each.charge for each in balances if each.remaining >= each.charge.limit])


def count(plan: Plan, paces: Paces, now: Instant) -> None:
    """A request that is watched has been allowed."""
    for watch in plan.watches:
        paces.count(watch, now)
