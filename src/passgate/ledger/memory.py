"""A ledger in this process alone: exact and fast, and forgotten when the process ends."""

from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.ledger.counters import MOST_UNVOUCHED, Counter, Counters
from passgate.ledger.protocol import Balance, ReadLines, Reservation, Shortfall
from passgate.ledger.sliding_window import GREATEST
from passgate.ledger.timeline import Timeline

_FULL_TABLE_RETRY_S: Final = 60


class MemoryLedger:
    """Counters that live as long as the process. One thread uses it; nothing here waits."""

    def __init__(self, most_unvouched: int = MOST_UNVOUCHED) -> None:
        self.covered = 0
        self.forgotten = 0
        self.trouble = ""
        self._time = Timeline()
        self._counters = Counters(most_unvouched)
        self._by_name = self._counters.by_name

    async def start(self, read_lines: ReadLines, log_size: int) -> None:
        """Begins empty, whatever the log says."""

    async def stop(self) -> None:
        """Forgets nothing yet, and keeps nothing."""

    def reserve(self, charges: tuple[Charge, ...], now: Instant) -> Reservation | Shortfall:
        """Takes all charges or none; see `Ledger.reserve`.

        Charges that name one counter are added up. Raises ValueError for a name or an amount that
        no constraint can have made.
        """
        time = self._time
        ms = time.see(now)
        wall = time.wall
        by_name = self._by_name
        index = 0
        counters: list[Counter | None] = []
        for charge in charges:
            amount = charge.amount
            counter = by_name.get(charge.counter)
            if counter is None:
                if not amount:
                    index += 1
                    counters.append(None)
                    continue  # nothing of a counter that nobody has used: no need to make one
                counter = self._counters.admit(charge.counter, ms, wall)
            if counter is None or amount < 0 or not counter.take(ms, wall, amount, charge.limit):
                return self._undone(charges, index, ms, wall)
            counters.append(counter)
            index += 1
        # One instant serves all of a request, so another is made only if the clock was set back.
        at = now if now.wall == wall else Instant(wall, now.boot)
        return Reservation(charges, at, True, ms, "", counters)

    def left(self, reservation: Reservation) -> list[tuple[Charge, int, int | None]]:
        """What a reservation has left of each counter; see `Ledger.left`.

        Asked for nearly every answer, so it looks nothing up again: the counters are at hand, and
        have been moved on to the moment of the reservation.
        """
        ms = reservation.taken_ms
        wall = reservation.taken_at.wall
        found = []
        counters = reservation.counters
        for index, charge in enumerate(reservation.charges):
            counter = counters[index]
            if counter is None:
                counter = self._counters.unused(charge.counter)
            remaining, reset_s = counter.left(ms, wall, charge.limit)
            found.append((charge, remaining, reset_s))
        return found

    def settle(self, reservation: Reservation, spent_cents: int | None, now: Instant) -> None:
        """Ends a reservation whose request reached the upstream; see `Ledger.settle`.

        Charges go back to the moment when they were taken, so `now` changes nothing.
        """
        if not reservation.open:
            return
        reservation.open = False
        for charge in reservation.charges:
            kind = charge.kind
            if kind == "concurrent":
                self._give_back(charge, charge.amount, reservation)
            elif kind == "spend" and spent_cents is not None and spent_cents < charge.amount:
                self._give_back(charge, charge.amount - max(spent_cents, 0), reservation)

    def release(self, reservation: Reservation, now: Instant) -> None:
        """Ends a reservation of which nothing reached the upstream; see `Ledger.release`."""
        if not reservation.open:
            return
        reservation.open = False
        for charge in reservation.charges:
            self._give_back(charge, charge.amount, reservation)

    def balances(self, charges: tuple[Charge, ...], now: Instant) -> tuple[Balance, ...]:
        """What is left of each charge's counter; see `Ledger.balances`."""
        ms = self._time.see(now)
        wall = self._time.wall
        by_name = self._by_name
        balances = []
        for charge in charges:
            counter = by_name.get(charge.counter)
            if counter is None:
                counter = self._counters.unused(charge.counter)
            balances.append(Balance(charge, *counter.left(ms, wall, charge.limit)))
        return tuple(balances)

    def _give_back(self, charge: Charge, amount: int, reservation: Reservation) -> None:
        counter = self._by_name.get(charge.counter)
        if counter is not None:
            counter.give_back(reservation.taken_ms, reservation.taken_at.wall, amount)

    def _undone(self, charges: tuple[Charge, ...], index: int, ms: int, wall: float) -> Shortfall:
        """Gives back what was taken before the charge at `index`, and says that it does not fit."""
        for charge in charges[:index]:
            counter = self._by_name.get(charge.counter)
            if counter is not None:
                counter.give_back(ms, wall, charge.amount)
        refused = charges[index]
        if refused.amount < 0:
            raise ValueError(f"{refused.counter}: an amount of {refused.amount} is none")
        counter = self._by_name.get(refused.counter)
        if counter is None:
            return Shortfall(refused, 0, _FULL_TABLE_RETRY_S)
        needed = sum(c.amount for c in charges if c.counter == refused.counter)
        limit = min(refused.limit, GREATEST)
        left = max(0, limit - counter.used_at(ms, wall))
        return Shortfall(refused, left, counter.wait_s(ms, wall, needed, limit))
