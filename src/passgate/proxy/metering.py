"""Charges the minutes of one exchange as they begin, and says when there is none left to give.

The first minute is charged with the decision. Each other one is charged two seconds ahead, so that
its line is on disk before it begins; one that then does not begin is given back. What cannot be
charged is tried again until the minute is there, and ends the exchange then.
"""

from collections.abc import Awaitable, Coroutine
from typing import Any, Final, Protocol

import structlog

from passgate.clock import Clock
from passgate.core.constraints import refusal_for
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.metered import Judge
from passgate.core.pricing import started_minutes
from passgate.core.reasons import Refusal
from passgate.ledger.protocol import Ledger, Reservation, Shortfall, Taken
from passgate.log import Log
from passgate.tally import Tally

_AHEAD_MS: Final = 2_000
_logger: Final = structlog.get_logger("passgate")


class Books(Protocol):
    """Where a minute is put down; the enforcer."""

    ledger: Ledger
    log: Log
    tally: Tally
    clock: Clock

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs what cannot be done at once."""


class Meter:
    """The minutes of one exchange. `paid` of them are charged, the first by the decision.

    `charges` are what each takes, `cents` what it costs. `strict`: a minute begins only once its
    line is on disk.
    """

    __slots__ = (
        "_began",
        "_books",
        "_cents",
        "_charges",
        "_decision_id",
        "_durable",
        "_first_cents",
        "_judge",
        "_over",
        "_refusal",
        "_strict",
        "_taken",
        "_waiting",
        "paid",
    )

    def __init__(
        self,
        books: Books,
        decision_id: str,
        first_cents: int,
        cents: int,
        charges: tuple[Charge, ...],
        judge: Judge,
        *,
        strict: bool,
    ) -> None:
        self._books = books
        self._decision_id = decision_id
        self._first_cents = first_cents
        self._cents = cents
        self._charges = charges
        self._judge = judge
        self._strict = strict
        self._began = books.clock().boot
        self._durable = 1
        self._refusal: Refusal | None = None
        self._taken: list[Reservation] = []
        self._waiting = False
        self._over = False
        self.paid = 1

    def begin(self, boot: float) -> None:
        """The request is forwarded at this moment of the boot clock: the first minute begins."""
        self._began = boot

    def look(self) -> Refusal | None:
        """Called every tick: charges what begins soon; why the exchange must end now, if so."""
        now = self._books.clock()
        elapsed_ms = self._elapsed_ms(now)
        soon = started_minutes(elapsed_ms + _AHEAD_MS)
        while self.paid < soon and not self._waiting and self._charge(now):
            pass
        begun = started_minutes(elapsed_ms)
        if self.paid < begun:
            return self._refusal or Refusal("ledger_unavailable")
        if self._durable < begun:
            return Refusal("log_unavailable")
        return None

    def end(self, now: Instant, *, sent: bool) -> tuple[int, int]:
        """Ends it: how many minutes have begun, and what those after the first have cost in cents.

        What was charged ahead and has not begun is given back; all of it where nothing was `sent`.
        """
        self._over = True
        ledger = self._books.ledger
        minutes = min(started_minutes(self._elapsed_ms(now)), self.paid)
        for number, reservation in enumerate(self._taken, 2):
            if not sent:
                ledger.release(reservation, now)
            else:
                ledger.settle(reservation, None if number <= minutes else 0, now)
        return minutes, (minutes - 1) * self._cents if sent else 0

    def _elapsed_ms(self, now: Instant) -> int:
        return int((now.boot - self._began) * 1000)

    def _charge(self, now: Instant) -> bool:
        """Charges one more minute; False where that is not done now."""
        books = self._books
        self._refusal = self._judge(self._first_cents + self.paid * self._cents)
        if self._refusal is not None:
            return False
        if not self._charges:
            self._durable += 1  # nothing is taken, so nothing has to be on record first
            self.paid += 1
            return True
        if not books.log.healthy:
            self._refusal = Refusal("log_unavailable")
            return False
        taken = books.ledger.reserve(self._charges, now)
        if isinstance(taken, Awaitable):
            self._waiting = True
            books.spawn(self._charge_later(taken))
            return False
        return self._charged(taken)

    async def _charge_later(self, taken: Awaitable[Taken]) -> None:
        answer: Taken | None = None
        try:
            answer = await taken
        except Exception:
            _logger.exception("minute_not_charged", decision_id=self._decision_id)
        self._waiting = False
        if answer is None:
            self._refusal = Refusal("ledger_unavailable")
        elif self._over and isinstance(answer, Reservation):
            self._books.ledger.release(answer, self._books.clock())
        else:
            self._charged(answer)

    def _charged(self, taken: Taken) -> bool:
        if isinstance(taken, Shortfall):
            self._refusal = refusal_for(taken.charge, taken.retry_after_s)
            return False
        if not isinstance(taken, Reservation):
            self._refusal = Refusal("ledger_unavailable")
            return False
        books = self._books
        self.paid = number = self.paid + 1
        self._taken.append(taken)
        # By this name the fold and a snapshot know it, and the decision's outcome ends it.
        taken.decision_id = f"{self._decision_id}+{number}"
        books.tally.charged(taken.charges)
        members = {
            "charges": [{"amount": c.amount, "counter": c.counter} for c in taken.charges],
            "decision_id": self._decision_id,
            "minute": number,
        }
        if self._strict:
            books.log.append_event("charge", members, notify=self._written)
        else:
            books.log.append_event("charge", members)
            self._durable = number
        return True

    def _written(self, durable: bool) -> None:
        """Lines become durable in their order, each told of once."""
        if durable:
            self._durable += 1
