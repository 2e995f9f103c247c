"""A ledger in this process alone: exact and fast, and forgotten when the process ends."""

from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.free_tier import FREE, choices
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.counters import MOST_PROOFS, MOST_UNVOUCHED, REPLAY, Counter, Counters
from passgate.ledger.operations import ONCE, Operation, Operations, Remembering
from passgate.ledger.protocol import (
    Balance,
    Conflict,
    ReadLines,
    Reservation,
    SharedCounters,
    Shortfall,
    Unavailable,
)
from passgate.ledger.sliding_window import GREATEST
from passgate.ledger.timeline import Timeline

_FULL_TABLE_RETRY_S: Final = 60


class MemoryLedger:
    """Counters that live as long as the process. One thread uses it; nothing here waits."""

    def __init__(
        self,
        most_unvouched: int = MOST_UNVOUCHED,
        remembering: Remembering = Remembering(),  # noqa: B008 - a value, never changed
        most_proofs: int = MOST_PROOFS,
    ) -> None:
        self.covered = 0
        self.forgotten = 0
        self.trouble = ""
        self.shared: SharedCounters | None = None
        self._time = Timeline()
        self._counters = Counters(most_unvouched, most_proofs)
        self._by_name = self._counters.by_name
        self._operations = Operations(remembering)

    async def start(self, read_lines: ReadLines, log_size: int) -> None:
        """Begins empty, whatever the log says."""

    def reopened(self) -> dict[str, Reservation]:
        """Nothing: what was reserved for holds is forgotten like everything else."""
        return {}

    async def stop(self) -> None:
        """Forgets nothing yet, and keeps nothing."""

    def reserve(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None = None,
    ) -> Reservation | Shortfall | Conflict | Unavailable:
        """Takes all charges or none; see `Ledger.reserve`.

        Charges that name one counter are added up. Raises ValueError for a name or an amount that
        no constraint can have made.
        """
        time = self._time
        ms = time.see(now)
        wall = time.wall
        operation: Operation | None = None
        if once is not None:
            operation = self._operations.find(once.name, ms)
            if operation is not None:
                if operation.digest != once.digest:
                    return Conflict(once)
                charges = tuple(
                    [repeated_charge(charge) for charge in charges if charge.kind != FREE]
                )
        by_name = self._by_name
        if charges and charges[0].kind == FREE:
            charges = self._chosen(charges, ms, wall)
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
        taken = Reservation(charges, at, True, ms, "", counters)
        if once is not None:
            taken.repeated = operation is not None
            taken.operation = self._operation_of(once, operation, charges, ms, wall)
        return taken

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
        operation = reservation.operation
        for charge in reservation.charges:
            kind = charge.kind
            if kind == "concurrent":
                self._give_back(charge, charge.amount, reservation)
            elif (
                kind == "spend"
                and spent_cents is not None
                and spent_cents < charge.amount
                and operation is None
            ):
                self._give_back(charge, charge.amount - max(spent_cents, 0), reservation)
        if operation is not None:
            self._end(operation, True, spent_cents)

    def release(self, reservation: Reservation, now: Instant) -> None:
        """Ends a reservation of which nothing reached the upstream; see `Ledger.release`."""
        if not reservation.open:
            return
        reservation.open = False
        operation = reservation.operation
        for charge in reservation.charges:
            if operation is None or not charge.counter.startswith(ONCE):
                self._give_back(charge, charge.amount, reservation)
        if operation is not None:
            self._end(operation, False, None)

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

    def _chosen(self, charges: tuple[Charge, ...], ms: int, wall: float) -> tuple[Charge, ...]:
        """What charges with a free call before them come to now."""
        free = charges[0]
        gratis, priced = choices(charges)
        counter = self._by_name.get(free.counter)
        used = 0 if counter is None else counter.used_at(ms, wall)
        return gratis if used + free.amount <= free.limit else priced

    def _operation_of(
        self,
        once: Once,
        known: Operation | None,
        charges: tuple[Charge, ...],
        ms: int,
        wall: float,
    ) -> Operation:
        """The operation that a request is one of, made where it is the first."""
        if known is None:
            spend = tuple(
                [(c.counter, c.amount) for c in charges if c.counter.startswith(ONCE) and c.amount]
            )
            known = self._operations.add(once.name, once.digest, ms, wall, spend)
        known.open += 1
        return known

    def _end(self, operation: Operation, sent: bool, cents: int | None) -> None:
        """Ends one request of an operation, and gives back what nobody owes any more."""
        for name, amount in operation.end(sent, cents):
            counter = self._by_name.get(name)
            if counter is not None:
                counter.give_back(operation.ms, operation.wall, amount)
        if not operation.open and not operation.sent:
            self._operations.forget(operation)

    def _give_back(self, charge: Charge, amount: int, reservation: Reservation) -> None:
        counter = self._by_name.get(charge.counter)
        if counter is not None:
            counter.give_back(reservation.taken_ms, reservation.taken_at.wall, amount)

    def _undone(
        self, charges: tuple[Charge, ...], index: int, ms: int, wall: float
    ) -> Shortfall | Unavailable:
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
            # A proof that cannot be remembered must not pass, and has not been seen before either.
            if refused.kind == REPLAY:
                return Unavailable(refused)
            return Shortfall(refused, 0, _FULL_TABLE_RETRY_S)
        left = max(0, min(refused.limit, GREATEST) - counter.used_at(ms, wall))
        return Shortfall(refused, left, self._wait_s(charges, ms, wall))

    def _wait_s(self, charges: tuple[Charge, ...], ms: int, wall: float) -> int | None:
        """When all charges fit: whoever waits for the first alone would meet the next one."""
        needed: dict[str, int] = {}
        longest = 0
        for charge in charges:
            name = charge.counter
            needed[name] = needed.get(name, 0) + charge.amount
        for charge in charges:
            amount = needed[charge.counter]
            counter = self._by_name.get(charge.counter)
            if counter is None:
                counter = self._counters.unused(charge.counter)
            wait_s = counter.wait_s(ms, wall, amount, min(charge.limit, GREATEST))
            if wait_s is None:
                return None
            longest = max(longest, wait_s)
        return longest


def repeated_charge(charge: Charge) -> Charge:
    """What a charge is for a request whose operation has been charged: spend of nothing."""
    if charge.kind != "spend" or not charge.amount:
        return charge
    return Charge(charge.counter, "spend", charge.window, 0, charge.limit, charge.constraint)
