"""A ledger that a crash does not empty: the memory's counters, folded from the log at start."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.errors import DataError
from passgate.ledger.copying import Copy
from passgate.ledger.counters import MOST_UNVOUCHED
from passgate.ledger.fold import Fold, OpenDecision
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import (
    HOLD_PREFIX,
    Balance,
    Conflict,
    ReadLines,
    Reservation,
    Shortfall,
    Unavailable,
)
from passgate.ledger.snapshot import OperationRow, SnapshotFile

_FOLDED_PER_TURN: Final = 1_000
_LOOK_S: Final = 1.0
_PATIENCE: Final = 100  # tenths of that


class EmbeddedLedger(MemoryLedger):
    """Counters in memory; at start a snapshot and the log lines after it make them what they were.

    The caller takes charges and appends the decision's line, or ends a reservation and appends the
    outcome's line, in one turn of the event loop. So between turns the counters are exactly the
    fold of the log's first `log_position()` lines, and a snapshot begun there covers just these.
    `log_durable()` says how many of them are on disk.

    A snapshot counts only once all of these are, so after a crash the counters are what the log on
    disk says, neither lower nor higher.
    """

    def __init__(
        self,
        path: Path,
        log_position: Callable[[], int],
        log_durable: Callable[[], int],
        *,
        every_s: float = 30.0,
        every_lines: int = 200_000,
        most_unvouched: int = MOST_UNVOUCHED,
        remembering: Remembering = Remembering(),  # noqa: B008 - a value, never changed
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(most_unvouched, remembering)
        self.covered = 0  # lines before this one are in a snapshot: a start needs only the others
        self.trouble = ""  # why the last snapshot failed, "" when it did not
        self._file = SnapshotFile(path)
        self._log_position = log_position
        self._log_durable = log_durable
        self._every_s = every_s
        self._every_lines = every_lines
        self._wait = wait
        self._open: dict[int, Reservation] = {}
        self._reopened: dict[str, Reservation] = {}
        self._copy: Copy | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self, read_lines: ReadLines, log_size: int) -> None:
        """Makes the counters what they were, then takes snapshots until `stop`.

        Without a snapshot what the log has kept is counted, and `forgotten` says what that misses.
        Raises DataError where snapshot or log is damaged or held by another process, or where lines
        that were on disk are gone.
        """
        failure: BaseException | None = None
        try:
            await self._file.open()
            await self._load(read_lines, log_size)
        except BaseException as error:
            failure = error
        if failure is not None:
            await self._file.close()
            raise failure
        self._keeping = asyncio.create_task(self._keep())

    def reopened(self) -> dict[str, Reservation]:
        """What is reserved for holds since before the start; see `StandingLedger.reopened`."""
        return self._reopened

    async def stop(self) -> None:
        """Takes a last snapshot and closes the file. The log is to be on disk by then."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
            failure: BaseException | None = None
            try:
                if self.covered != self._log_position():
                    await self.snapshot()
            except BaseException as error:
                failure = error
            await self._file.close()
            if failure is not None:
                raise failure

    def reserve(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None = None,
    ) -> Reservation | Shortfall | Conflict | Unavailable:
        """Takes all charges or none; see `Ledger.reserve`."""
        if self._copy is not None:
            self._copy.keep(charges)
        taken = MemoryLedger.reserve(self, charges, now, once)
        if taken.__class__ is Reservation:
            self._open[id(taken)] = taken
        return taken

    def settle(self, reservation: Reservation, spent_cents: int | None, now: Instant) -> None:
        """Ends a reservation whose request reached the upstream; see `Ledger.settle`."""
        if self._copy is not None:
            self._copy.keep_of(reservation)
        self._open.pop(id(reservation), None)
        MemoryLedger.settle(self, reservation, spent_cents, now)

    def release(self, reservation: Reservation, now: Instant) -> None:
        """Ends a reservation of which nothing reached the upstream; see `Ledger.release`."""
        if self._copy is not None:
            self._copy.keep_of(reservation)
        self._open.pop(id(reservation), None)
        MemoryLedger.release(self, reservation, now)

    def balances(self, charges: tuple[Charge, ...], now: Instant) -> tuple[Balance, ...]:
        """What is left of each charge's counter; see `Ledger.balances`."""
        if self._copy is not None:
            self._copy.keep(charges)
        return MemoryLedger.balances(self, charges, now)

    async def snapshot(self) -> None:
        """Writes what the counters are in this turn of the loop, while they go on changing.

        Raises DataError where it cannot be written; the one before stays.
        """
        position = self._log_position()
        wall, steady = self._time.wall, self._time.steady
        self._copy = copy = Copy(self._counters, self._open, self._operations)
        self._counters.freeze(frozen=True)
        try:
            await self._file.replace(
                copy.parts(),
                position=position,
                wall=wall,
                steady=steady,
                ready=partial(self._on_disk, position),
            )
        finally:
            self._counters.freeze(frozen=False)
            self._copy = None
        self.covered = position

    async def _on_disk(self, position: int) -> None:
        """Waits for the lines before `position` to be on disk.

        A snapshot that knew more than the log would after a crash say something else than the
        evidence: that a charge was given back, say, where the line that says so is lost.
        """
        for _ in range(_PATIENCE):
            if self._log_durable() >= position:
                return
            await self._wait(_LOOK_S / 10)
        raise DataError("the log is not written to disk; the counters' snapshot waits for that")

    async def _load(self, read_lines: ReadLines, log_size: int) -> None:
        """Folds snapshot and log."""
        fold = Fold(self._counters, self._time, operations=self._operations)
        head = await self._file.head()
        if head is not None:
            if log_size < head.position:
                raise DataError(
                    f"{self._file.path}: the log had {head.position} lines on disk when this "
                    f"snapshot was taken, now it has {log_size}: lines were cut off. Put the log "
                    "back from a copy; or, to go on without them, move this file away"
                )
            self._time.restore(head.wall, head.steady)
            for number in range(head.parts):
                part = await self._file.part(number)
                for name, at, amount, older in part.counters:
                    self._counters.restore(name, (at, amount, older))
                for decision_id, at, seen, charges in part.open:
                    fold.open[decision_id] = OpenDecision(at, seen, charges)
                for row in part.operations:
                    self._restore(row, fold)
            fold.position = self.covered = head.position
        begin = None if head is None else fold.position
        for line in read_lines(begin):
            if begin is None:
                begin = fold.position = self.forgotten = line.get("seq", 0)
            fold.add(line)
            if not fold.position % _FOLDED_PER_TURN:
                await asyncio.sleep(0)
        if fold.position < log_size:
            raise DataError(
                f"the log has {log_size} lines, of which only {fold.position} can be read; "
                "check it with `passgate audit verify`"
            )
        fold.close()
        for name, opened in fold.open.items():
            # Of requests that were under way nobody will ever hear again.
            if name.startswith(HOLD_PREFIX):
                found = self._reopened[name] = _reservation_of(name, opened)
                self._open[id(found)] = found

    def _restore(self, row: OperationRow, fold: Fold) -> None:
        """Makes an operation what it was, and its open decisions again its own."""
        name, digest, ms, wall, sent, spend, decisions = row
        operation = self._operations.add(name, digest, ms, wall, spend)
        operation.sent = sent
        for decision_id in decisions:
            opened = fold.open[decision_id]
            operation.open += 1
            fold.open[decision_id] = OpenDecision(opened.ms, opened.wall, opened.charges, operation)

    async def _keep(self) -> None:
        """Takes a snapshot every so often, as long as the log grows; for ever."""
        waited = 0.0
        while True:
            await self._wait(_LOOK_S)
            waited += _LOOK_S
            lines = self._log_position() - self.covered
            # Copying costs a few lines' worth for each counter: the more there are, the rarer.
            many = max(self._every_lines, 4 * len(self._by_name))
            if not lines or (waited < self._every_s and lines < many):
                continue
            waited = 0.0
            try:
                await self.snapshot()
            except DataError as error:
                self.trouble = str(error)
            else:
                self.trouble = ""


def _reservation_of(name: str, opened: OpenDecision) -> Reservation:
    """What the lines say was taken, as far as giving it back needs it."""
    charges = tuple(
        Charge(counter, kind, window, amount, 0, "")
        for counter, amount in opened.charges
        for kind, window, _ in [counter.split("/", 2)]
    )
    at = Instant(opened.wall, opened.ms / 1000)
    return Reservation(charges, at, True, opened.ms, name)
