"""Questions to the gate itself: what its own endpoints may ask of ledger and holds, and how often.

Nothing here takes anything from a counter but the question itself.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog

from passgate.approvals.held import Held
from passgate.core.constraints import refusal_for
from passgate.core.constraints.base import Charge
from passgate.core.constraints.subjects import subject_of_address, subject_of_passport
from passgate.core.decision import Plan
from passgate.core.free_tier import choices, is_free
from passgate.core.passport import Passport
from passgate.core.proof import Proven
from passgate.core.reasons import Refusal
from passgate.ledger.protocol import Balance, Reservation, Shortfall, Taken
from passgate.proxy.remembering import consult
from passgate.proxy.steps import WAIT, Step
from passgate.record import Record

if TYPE_CHECKING:
    from passgate.proxy.case import Case
    from passgate.proxy.enforcer import Enforcer

_PER_MINUTE: Final = 120
_logger: Final = structlog.get_logger("passgate")


class Questions:
    """What one case asks, at the moment that is the case's."""

    __slots__ = ("_case", "_enforcer", "_record", "_resume")

    def __init__(
        self, case: "Case", enforcer: "Enforcer", record: Record, resume: Callable[[Step], None]
    ) -> None:
        self._case = case
        self._enforcer = enforcer
        self._record = record
        self._resume = resume

    def take(
        self, passport: Passport | None, proven: Proven | None, go_on: Callable[[], Step]
    ) -> Step:
        """Counts one question, of this passport or of whoever is at this address.

        The step is that of `go_on`, or a refusal where there were too many questions, as an answer
        costs more than a decision does, or where the proof that came with it was used before.
        """
        if passport is None:
            subject = subject_of_address(self._record.client)
        else:
            subject = subject_of_passport(passport.issuer, passport.id)
        charge = Charge(f"rate/60/checks|{subject}", "rate", 60, 1, _PER_MINUTE, "check")
        charges = (charge,) if proven is None else (charge, proven.charge)
        taken = self._enforcer.ledger.reserve(charges, self._case.now)
        if isinstance(taken, Awaitable):
            self._enforcer.spawn(self._later(taken, go_on))
            return WAIT
        return self._taken(taken, go_on)

    async def _later(self, taken: Awaitable[Taken], go_on: Callable[[], Step]) -> None:
        try:
            answer = await taken
        except Exception:
            _logger.exception("internal_error", decision_id=self._record.decision_id)
            self._resume(self._case.failed())
            return
        self._resume(self._case.run(lambda: self._taken(answer, go_on)))

    def _taken(self, taken: Taken, go_on: Callable[[], Step]) -> Step:
        case = self._case
        if isinstance(taken, Reservation):
            self._enforcer.ledger.settle(taken, None, case.now)
            return go_on()
        if not isinstance(taken, Shortfall):
            return case.refuse(Refusal("ledger_unavailable"))
        if taken.charge.kind == "replay":
            return case.refuse(refusal_for(taken.charge, None))
        wait_s = taken.retry_after_s or 60
        return case.refuse(Refusal("rate_limited", "Too many questions.", retry_after_s=wait_s))

    def balances(self, charges: tuple[Charge, ...]) -> tuple[Balance, ...]:
        """What is left of each charge's counter, taking nothing."""
        return self._enforcer.ledger.balances(charges, self._case.now)

    def shortfall(self, charges: tuple[Charge, ...]) -> Refusal | None:
        """What check 16 would say to these charges, taking nothing."""
        if is_free(charges):
            gratis, priced = choices(charges)
            charges = gratis if self.balances(gratis[:1])[0].remaining else priced
        for balance in self.balances(charges):
            if balance.remaining < balance.charge.amount:
                return refusal_for(balance.charge, balance.reset_s)
        return None

    def consult(self, plan: Plan) -> None:
        """Puts into a plan that was explained what memory holds against it."""
        consult(plan, self._enforcer.ledger, self._enforcer.paces, self._case.now)

    def held(self, hold_id: str) -> Held | None:
        """The hold with that id, while it is remembered."""
        return self._enforcer.approvals.known(hold_id, self._case.now)

    def open_holds(self, passport: Passport) -> list[Held]:
        """What waits for a person, or was approved and not used yet, of this passport."""
        return self._enforcer.approvals.open_of(
            passport.issuer, passport.id, passport.agent, self._case.now
        )

    def count_check(self) -> None:
        """Counts a dry run that is answered."""
        self._enforcer.tally.checks += 1
