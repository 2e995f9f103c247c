"""What was forwarded is spent, and no more than the limit is, wherever the gate is killed.

Agents below one another ask at the same time, by keys and without; their decisions are appended,
come to the disk, are forwarded, and end; a snapshot is written part by part meanwhile. Between any
two of these steps the process may die, and the clock be set. The upstream keeps its own account.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.owed import owed

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.errors import DataError
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Conflict, Reservation
from passgate.ledger.snapshot import Head, Part

NOON = datetime(2028, 2, 28, 12, tzinfo=UTC).timestamp()
ROOT = "agent|i|a"
CHILDREN = (f"{ROOT}%2Fb", f"{ROOT}%2Fc")
LIMITS = {ROOT: 200, CHILDREN[0]: 90, CHILDREN[1]: 150}
COUNTERS = {f"spend/total/{subject}": limit for subject, limit in LIMITS.items()}


@dataclass
class Sent:
    """One request on its way: its line's number, and what its upstream is told."""

    reservation: Reservation
    line: int
    what: object  # what the upstream tells it apart by: its key and body, or itself
    forwarded: bool = False


class Disk:
    """The file of snapshots, of which each part waits until the machine lets it be written."""

    def __init__(self) -> None:
        self.newest: tuple[Head, list[bytes]] | None = None
        self.path = Path("ledger.db")
        self.waiting: asyncio.Future[None] | None = None

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def head(self) -> Head | None:
        return None if self.newest is None else self.newest[0]

    async def part(self, number: int) -> Part:
        assert self.newest is not None
        return msgspec.json.decode(self.newest[1][number], type=Part)

    async def replace(
        self, parts: Iterator[Part], *, position: int, wall: float, steady: float,
        ready: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        rows = []
        for part in parts:
            rows.append(msgspec.json.encode(part))
            await self.step(0.0)
        await ready()
        self.newest = Head(position, wall, steady, len(rows), ""), rows

    async def step(self, _: float) -> None:
        self.waiting = asyncio.get_running_loop().create_future()
        await self.waiting


class Gate(RuleBasedStateMachine):
    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.disk = Disk()
        self.log: list[dict[str, Any]] = []
        self.on_disk = 0
        self.wall, self.boot = NOON, 50.0
        self.on_way: list[Sent] = []
        self.account: dict[object, tuple[str, int]] = {}  # the upstream's: whose, and how much
        self.numbers = 0
        self.snapshot: asyncio.Task[None] | None = None

    @initialize()
    def begin(self) -> None:
        self.started()

    def teardown(self) -> None:
        self.ended()
        self.runner.close()

    def started(self) -> None:
        self.ledger: MemoryLedger = MemoryLedger()
        if self.durable:
            self.ledger = EmbeddedLedger(
                self.disk.path, lambda: len(self.log), lambda: self.on_disk,
                every_s=1e18, wait=self.disk.step,
            )  # fmt: skip
            self.ledger._file = self.disk  # type: ignore[assignment] # as good as a file
        self.runner.run(self.ledger.start(self.read, len(self.log)))
        self.append("start")

    def ended(self) -> None:
        """As `kill -9` ends it: whatever was about to be written is not."""
        tasks = [self.snapshot, getattr(self.ledger, "_keeping", None)]

        async def cancelled() -> None:
            for task in tasks:
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

        self.runner.run(cancelled())
        self.snapshot = None

    def read(self, start: int | None) -> Iterator[Mapping[str, Any]]:
        return iter(self.log[start:])

    def now(self) -> Instant:
        return Instant(self.wall, self.boot)

    def append(self, kind: str, **members: Any) -> None:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(self.wall * 1000))
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.log.append({"kind": kind, "seq": len(self.log), "time": time, **members})

    # A request, step by step.

    @rule(
        child=st.sampled_from(CHILDREN),
        cents=st.sampled_from([40, 40, 0, 100]),
        key=st.sampled_from(["k", "k", "", "l"]),
        body=st.sampled_from(["x", "x", "x", "y"]),
        dies=st.integers(0, 30).map(lambda n: n == 7),
    )
    def asks(self, child: str, cents: int, key: str, body: str, dies: bool) -> None:
        """Reserves for itself and everyone above it, and appends; or dies in between."""
        charges = tuple(
            Charge(f"spend/total/{subject}", "spend", "total", cents, LIMITS[subject], "k")
            for subject in (child, ROOT)
        )
        # The price is part of what is asked, as it is where a request declares it.
        once = Once(f"{child}/{key}", f"{body}{cents}") if key else None
        before = self.left()
        taken = self.ledger.reserve(charges, self.now(), once)
        if not isinstance(taken, Reservation):
            assert self.left() == before, "all or none"
            assert once is not None or not isinstance(taken, Conflict)
            return
        if taken.repeated:
            assert self.left() == before
        if dies and self.durable:
            self.dies_and_comes_back(lost=0, reboots=False)
            return
        self.numbers += 1
        taken.decision_id = f"att_{self.numbers}"
        members: dict[str, Any] = {}
        if once is not None:
            members["idempotency"] = {"name": once.name, "digest": once.digest}
            if taken.repeated:
                members["idempotency"]["repeated"] = True
        what = once or taken.decision_id
        self.on_way.append(Sent(taken, len(self.log), (what, child, cents)))
        self.append(
            "decision",
            decision="allow",
            decision_id=taken.decision_id,
            charges=[{"counter": c.counter, "amount": c.amount} for c in taken.charges],
            **members,
        )

    @rule(lines=st.sampled_from([1, 3, 50]))
    def disk_catches_up(self, lines: int) -> None:
        self.on_disk = min(len(self.log), self.on_disk + lines)

    @rule(data=st.data())
    def is_forwarded(self, data: st.DataObject) -> None:
        """Only what is on disk; the upstream does what has one key once."""
        ready = [sent for sent in self.on_way if sent.line < self.on_disk and not sent.forwarded]
        if not ready:
            return
        sent = data.draw(st.sampled_from(ready))
        sent.forwarded = True
        what = sent.what
        assert isinstance(what, tuple)
        self.account.setdefault(what, (what[1], what[2]))

    @precondition(lambda self: self.on_way)
    @rule(data=st.data(), stated=st.sampled_from([None, None, 0, 5, 70]))
    def ends(self, data: st.DataObject, stated: int | None) -> None:
        sent = self.on_way.pop(data.draw(st.integers(0, len(self.on_way) - 1)))
        members: dict[str, Any] = {"released": not sent.forwarded}
        if sent.forwarded:
            child, cents = self.account[sent.what]
            if stated is not None:
                self.account[sent.what] = child, min(cents, stated)
                members["settled_cents"] = stated
            self.ledger.settle(sent.reservation, stated, self.now())
        else:
            self.ledger.release(sent.reservation, self.now())
        self.append("outcome", decision_id=sent.reservation.decision_id, **members)

    # What goes on beside it.

    @precondition(lambda self: self.durable)
    @rule(steps=st.integers(1, 7))
    def a_snapshot_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.snapshot is None:
                assert isinstance(self.ledger, EmbeddedLedger)
                self.snapshot = self.runner.get_loop().create_task(self.ledger.snapshot())
            elif self.disk.waiting is not None and not self.disk.waiting.done():
                self.disk.waiting.set_result(None)
            self.runner.run(turns())
            if self.snapshot.done():
                with suppress(DataError):  # it waited too long for the log to come to the disk
                    self.snapshot.result()
                self.snapshot = None
                break

    @rule(seconds=st.sampled_from([0.5, 70.0, 3600.0, 86_400.0]))
    def time_passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    @rule(seconds=st.sampled_from([-7200.0, -1.0, 5.0, 90_000.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.wall += seconds

    @precondition(lambda self: self.durable)
    @rule(lost=st.integers(0, 50), reboots=st.booleans())
    def dies_and_comes_back(self, lost: int, reboots: bool) -> None:
        """Some of the lines that no disk confirmed are there all the same."""
        self.ended()
        del self.log[max(self.on_disk, len(self.log) - lost) :]
        self.on_disk = len(self.log)
        self.on_way.clear()
        if reboots:
            self.boot = 5.0
        self.started()

    # What must hold.

    def left(self) -> dict[str, int]:
        charges = tuple(
            Charge(name, "spend", "total", 0, limit, "k") for name, limit in COUNTERS.items()
        )
        return {b.charge.counter: b.remaining for b in self.ledger.balances(charges, self.now())}

    @invariant()
    def the_upstream_did_no_more_than_is_spent_and_no_more_than_the_limit(self) -> None:
        if not hasattr(self, "ledger"):
            return
        left = self.left()
        for subject, limit in LIMITS.items():
            done = sum(c for child, c in self.account.values() if child.startswith(subject))
            spent = limit - left[f"spend/total/{subject}"]
            assert done <= spent <= limit, subject

    @invariant()
    def everyone_above_has_spent_what_those_below_have(self) -> None:
        if not hasattr(self, "ledger"):
            return
        left = self.left()
        spent = {name: COUNTERS[name] - left[name] for name in COUNTERS}
        below = sum(spent[f"spend/total/{child}"] for child in CHILDREN)
        assert spent[f"spend/total/{ROOT}"] == below

    @invariant()
    def the_counters_are_what_the_log_says(self) -> None:
        """No more than that either: nothing leaks, whenever it died."""
        left = self.left() if hasattr(self, "ledger") else {}
        for name, remaining in left.items():
            assert COUNTERS[name] - remaining == owed(self.log).get(name, 0), name


class Forgetful(Gate):
    """In memory: it ends with everything, so it never comes back."""

    durable = False


async def turns() -> None:
    """Lets whatever can go on do so."""
    for _ in range(4):
        await asyncio.sleep(0)


def test_money_survives() -> None:
    """Both ledgers, under one account."""
    for machine, examples in ((Forgetful, 60), (Gate, 250)):
        run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis does not say
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
