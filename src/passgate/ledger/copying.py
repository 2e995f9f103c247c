"""A copy of the counters as they were at one moment, made bit by bit while they go on changing."""

from collections.abc import Iterator
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.ledger.counters import Counters
from passgate.ledger.operations import ONCE, Operation, Operations
from passgate.ledger.protocol import Reservation
from passgate.ledger.snapshot import OperationRow, Part

_SLICE: Final = 256  # counters copied in one turn of the loop: a few tenths of a millisecond


class Copy:
    """The counters as they were when this was made, read bit by bit while they change.

    Whoever is about to change a counter calls `keep` first, which sets aside what it was.
    """

    def __init__(
        self, counters: Counters, reservations: dict[int, Reservation], operations: Operations
    ) -> None:
        self._by_name = counters.by_name
        # While the rosters are frozen the names of now stay where they are and others come behind.
        self._ranges = [(names, len(names)) for names in counters.rosters()]
        self._open = list(reservations.values())
        self._operations = operations.all()
        # Of operations, only those with an open request can still change.
        self._decisions: dict[int, list[str]] = {}
        self._not_sent: set[int] = set()
        for reservation in self._open:
            operation = reservation.operation
            if operation is not None:
                self._decisions.setdefault(id(operation), []).append(reservation.decision_id)
                if not operation.sent:
                    self._not_sent.add(id(operation))
        self._kept: dict[str, tuple[int, int, bytes] | None] = {}

    def keep(self, charges: tuple[Charge, ...]) -> None:
        """Sets aside what the counters of `charges` are; None for one that does not exist yet."""
        for charge in charges:
            self._keep(charge.counter)

    def keep_of(self, reservation: Reservation) -> None:
        """Sets aside what the counters are that the end of a reservation may change."""
        self.keep(reservation.charges)
        if reservation.operation is not None:
            for name, _ in reservation.operation.spend:
                self._keep(name)

    def _keep(self, name: str) -> None:
        kept = self._kept
        if name not in kept:
            counter = self._by_name.get(name)
            kept[name] = None if counter is None else counter.state()

    def parts(self) -> Iterator[Part]:
        """Everything, in slices small enough for one turn of the loop each."""
        for start in range(0, len(self._open), _SLICE):
            reservations = self._open[start : start + _SLICE]
            yield Part(open=[_opened(r) for r in reservations if r.decision_id])
        for start in range(0, len(self._operations), _SLICE):
            yield Part(operations=[self._row(o) for o in self._operations[start : start + _SLICE]])
        kept, by_name = self._kept, self._by_name
        for names, end in self._ranges:
            for start in range(0, end, _SLICE):
                rows = []
                for name in names[start : min(start + _SLICE, end)]:
                    if name in kept:
                        state = kept[name]
                    else:
                        counter = by_name.get(name)  # missing: forgotten since, for it was dead
                        state = None if counter is None else counter.state()
                    if state is not None:
                        rows.append((name, *state))
                yield Part(counters=rows)

    def _row(self, operation: Operation) -> OperationRow:
        sent = id(operation) not in self._not_sent
        return (
            operation.name,
            operation.digest,
            operation.ms,
            operation.wall,
            sent,
            () if sent else operation.spend,
            tuple(self._decisions.get(id(operation), ())),
        )


def _opened(reservation: Reservation) -> tuple[str, int, float, tuple[tuple[str, int], ...]]:
    """An open decision as a snapshot keeps it; what its operation spent is kept with that."""
    charges = tuple(
        (charge.counter, charge.amount)
        for charge in reservation.charges
        if charge.amount
        and charge.kind != "concurrent"
        and (reservation.operation is None or not charge.counter.startswith(ONCE))
    )
    return (reservation.decision_id, reservation.taken_ms, reservation.taken_at.wall, charges)
