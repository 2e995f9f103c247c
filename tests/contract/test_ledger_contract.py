"""What every ledger owes, against a model that is a list of everything ever taken.

The model knows no buckets and no windows' state: it adds up what was taken within an interval. A
durable ledger is also killed at any point, with whatever of its log was not on disk lost.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
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
from tests.awaiting import eventually
from tests.support.counter_server import CounterServer, running

from passgate.clock import system_clock
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger import LEDGERS, Premises
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import Conflict, Reservation, Shortfall, StandingLedger
from passgate.ledger.valkey.ledger import ValkeyLedger
from passgate.ledger.valkey.settings import SharedSettings

MIDNIGHT = datetime(2028, 2, 28, tzinfo=UTC).timestamp()
COUNTERS = (
    ("rate/60/agent|i|a", 4),
    ("rate/60/address|192.0.2.1", 3),
    ("rate/7/agent|i|a", 2),
    ("spend/3600/agent|i|a", 100),
    ("spend/daily/agent|i|a", 120),
    ("spend/weekly/agent|i|a", 400),
    ("spend/monthly/agent|i|a", 900),
    ("spend/total/passport|i|p", 3000),
    ("total/total/passport|i|p", 60),
    ("concurrent/now/agent|i|a", 3),
)
SECONDS = st.sampled_from(
    [0.0, 0.25, 0.5, 1.0, 6.5, 7.0, 7.117, 30.0, 59.5, 60.0, 61.0, 3600.0, 86400.0]
)


def charge(which: int, amount: int) -> Charge:
    name, limit = COUNTERS[which]
    kind, window, _ = name.split("/")
    if kind != "spend":
        amount = 1
    return Charge(name, kind, int(window) if window.isdigit() else window, amount, limit, "k")


CHARGES = st.lists(
    st.builds(
        charge,
        st.integers(0, len(COUNTERS) - 1),
        st.sampled_from([0, 1, 20, 50, 60, 100, 120, 130]),
    ),
    max_size=5,
).map(tuple)
KEEP_MS = Remembering().keep_s * 1000
KEYS = st.none() | st.builds(
    Once, st.sampled_from(["agent|i|a/k", "agent|i|a/l"]), st.sampled_from(["d", "d", "e"])
)


@dataclass
class Entry:
    """Something taken, when (on both scales, in milliseconds), and what of it is left."""

    counter: str
    amount: int
    wall: int
    steady: int


@dataclass
class Asked:
    """An operation: what all of its requests spend together."""

    digest: str
    steady: int
    entries: list[Entry]
    open: int = 0
    sent: bool = False
    repeated: bool = False


@dataclass
class Held:
    reservation: Reservation
    entries: list[Entry]
    decision_id: str
    asked: Asked | None = None


def period(unit: str, ms: int) -> object:
    """The calendar window that a moment lies in, by the standard library's own arithmetic."""
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date()
    return {
        "daily": day,
        "weekly": day.isocalendar()[:2],
        "monthly": (day.year, day.month),
        "total": None,
    }[unit]


class LedgerMachine(RuleBasedStateMachine):
    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.clock_wall = MIDNIGHT - 100
        self.clock_boot = 50.0
        self.lead = self.clock_wall - self.clock_boot
        self.wall = self.steady = 0
        self.entries: list[Entry] = []
        self.in_flight = 0
        self.operations: dict[str, Asked] = {}
        self.held: list[Held] = []
        self.ended: list[Reservation] = []
        self.exact = True  # no crash yet: not one too many is counted
        self.log: list[dict[str, Any]] = []
        self.durable = 0
        self.decisions = 0
        self.floor = (0, 0)  # the latest times that a snapshot on disk has seen
        self.ledger = self.made()
        self.runner.run(self.ledger.start(self.read_log, 0))

    def made(self) -> StandingLedger:
        path = Path(self.directory.name, "ledger.db")
        return LEDGERS[self.kind](Premises(path, lambda: len(self.log), lambda: self.durable))

    def read_log(self, start: int | None) -> Iterator[Mapping[str, Any]]:
        return iter(self.log[start:])

    def teardown(self) -> None:
        self.durable = len(self.log)
        self.runner.run(self.ledger.stop())
        self.runner.close()
        self.directory.cleanup()

    # The model.

    def see(self) -> Instant:
        self.lead = max(self.lead, self.clock_wall - self.clock_boot)
        self.wall = max(self.wall, int(self.clock_wall * 1000))
        self.steady = max(self.steady, int((self.clock_boot + self.lead) * 1000))
        return Instant(self.clock_wall, self.clock_boot)

    def used(self, counter: str, *, extra_sixtieth: bool = False) -> int:
        """What was taken in the window that ends now; with a sixtieth more of a sliding one."""
        kind, window, _ = counter.split("/")
        if kind == "concurrent":
            return self.in_flight
        entries = [e for e in self.entries if e.counter == counter]
        if window.isdigit():
            length = int(window) * 1000
            if extra_sixtieth:
                length = length * 61 // 60 + 1
            return sum(e.amount for e in entries if self.steady - e.steady < length)
        now = period(window, self.wall)
        return sum(e.amount for e in entries if period(window, e.wall) == now)

    def append(self, kind: str, **members: Any) -> None:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(
            milliseconds=int(self.clock_wall * 1000)
        )
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.log.append({"kind": kind, "seq": len(self.log), "time": time, **members})

    # What happens.

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.clock_wall += seconds
        self.clock_boot += seconds

    @rule(seconds=st.sampled_from([-7200.0, -61.0, -1.5, 30.0, 3600.0]))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.clock_wall += seconds

    @rule(charges=CHARGES, once=KEYS)
    def a_request_reserves(self, charges: tuple[Charge, ...], once: Once | None) -> None:
        now = self.see()
        offered = charges
        before = self.shown(offered, now)
        taken = self.ledger.reserve(offered, now, once)
        known = None if once is None else self.known(once.name, taken)
        if once is not None and known is not None:
            if known.digest != once.digest:
                assert taken == Conflict(once)
                assert self.shown(offered, now) == before
                return
            charges = tuple(replace(c, amount=0) if c.kind == "spend" else c for c in charges)
        asked: dict[str, int] = {}
        for c in charges:
            asked[c.counter] = asked.get(c.counter, 0) + c.amount
        limits = dict(COUNTERS)
        if isinstance(taken, Shortfall):
            assert self.shown(offered, now) == before
            counter = taken.charge.counter
            assert taken.remaining < asked[counter]
            if self.exact:
                used = self.used(counter, extra_sixtieth=True)
                assert used + asked[counter] > limits[counter], "refused without need"
            never = {
                name
                for name, amount in asked.items()
                if amount > limits[name] or name.split("/")[1] == "total"
            }
            assert taken.retry_after_s is None or counter not in never
            # Of the others, one that is full for good may speak for all.
            assert taken.retry_after_s is not None or never
            assert taken.retry_after_s is None or taken.retry_after_s >= 1
            return
        assert isinstance(taken, Reservation)
        for counter, amount in asked.items():
            assert self.used(counter) + amount <= limits[counter], counter
        entries = []
        for c in charges:
            if c.kind == "concurrent":
                self.in_flight += 1
            else:
                entries.append(Entry(c.counter, c.amount, self.wall, self.steady))
        self.entries += entries
        self.decisions += 1
        taken.decision_id = f"att_{self.decisions}"
        assert (taken.repeated, taken.charges) == (known is not None, charges)
        held = Held(taken, entries, taken.decision_id)
        members = {}
        if once is not None:
            if known is None:
                known = Asked(once.digest, self.steady, split(entries)[0])
                self.operations[once.name] = known
            known.open += 1
            known.repeated |= taken.repeated
            held = Held(taken, entries, taken.decision_id, known)
            members["idempotency"] = {"name": once.name, "digest": once.digest}
            if taken.repeated:
                members["idempotency"]["repeated"] = True
        self.held.append(held)
        self.append(
            "decision",
            decision="allow",
            decision_id=taken.decision_id,
            charges=[{"counter": c.counter, "amount": c.amount} for c in charges],
            **members,
        )

    def known(self, name: str, taken: object) -> Asked | None:
        """The operation of that name, unless it is too old; the ledger may say where it is both.

        What is too old after a crash only the ledger knows: the log has no time since boot.
        """
        found = self.operations.get(name)
        if found is None or found.open:
            return found
        age = self.steady - found.steady
        if abs(age - KEEP_MS) <= 2 or (not self.exact and age > KEEP_MS // 2):
            said = isinstance(taken, Conflict) or (
                isinstance(taken, Reservation) and taken.repeated
            )
            return found if said else None
        return found if age < KEEP_MS else None

    @precondition(lambda self: self.held)
    @rule(data=st.data(), spent=st.sampled_from([None, 0, 10, 55, 1000]))
    def a_request_ends(self, data: st.DataObject, spent: int | None) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.ledger.settle(held.reservation, spent, self.see())
        settled = self.settles(held)
        if held.asked is not None:
            held.asked.sent = True
        if spent is not None:
            for entry in settled:
                entry.amount = min(entry.amount, spent)
        self.ends(held, released=False, settled_cents=spent)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_request_never_reaches_the_upstream(self, data: st.DataObject) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.ledger.release(held.reservation, self.see())
        asked = held.asked
        for entry in held.entries:
            if asked is None or not entry.counter.startswith("spend/"):
                entry.amount = 0
        if asked is not None and self.is_owed_by_nobody(asked):
            for entry in asked.entries:
                entry.amount = 0
            self.operations = {n: a for n, a in self.operations.items() if a is not asked}
        self.ends(held, released=True)

    def settles(self, held: Held) -> list[Entry]:
        """What the end of a request that was sent may lower."""
        if held.asked is None:
            return split(held.entries)[0]
        return [] if held.asked.sent else held.asked.entries

    def is_owed_by_nobody(self, asked: Asked) -> bool:
        """Whether what an operation spends comes back with its request that was never sent."""
        return asked.open == 1 and not asked.sent

    def ends(self, held: Held, **members: Any) -> None:
        charges = held.reservation.charges
        self.in_flight -= sum(c.kind == "concurrent" for c in charges)
        if held.asked is not None:
            held.asked.open -= 1
        self.ended.append(held.reservation)
        self.append("outcome", decision_id=held.decision_id, **members)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), release=st.booleans())
    def an_ended_reservation_ends_again(self, data: st.DataObject, release: bool) -> None:
        reservation = data.draw(st.sampled_from(self.ended))
        now = self.see()
        before = self.balances(now)
        if release:
            self.ledger.release(reservation, now)
        else:
            self.ledger.settle(reservation, 0, now)
        assert self.balances(now) == before

    def shown(self, charges: tuple[Charge, ...], now: Instant) -> object:
        return self.ledger.balances(charges, now)

    def balances(self, now: Instant) -> tuple[int, ...]:
        charges = tuple(charge(which, 0) for which in range(len(COUNTERS)))
        return tuple(b.remaining for b in self.ledger.balances(charges, now))

    @invariant()
    def what_is_left_is_never_more_than_the_model_says(self) -> None:
        now = self.see()
        for (counter, limit), left in zip(COUNTERS, self.balances(now), strict=True):
            assert left <= max(0, limit - self.used(counter)), counter
            if self.exact:
                least = max(0, limit - self.used(counter, extra_sixtieth=True))
                assert left >= least, counter


class DurableLedgerMachine(LedgerMachine):
    kind = "embedded"

    @rule()
    def the_disk_catches_up(self) -> None:
        self.durable = len(self.log)

    @rule()
    def a_snapshot_is_taken(self) -> None:
        ledger = self.ledger
        assert isinstance(ledger, EmbeddedLedger)
        self.see()
        self.ledger.balances((), self.see())
        self.durable = len(self.log)  # it waits for that
        self.runner.run(ledger.snapshot())
        self.floor = (self.wall, self.steady)

    @rule(clean=st.booleans(), data=st.data(), reboot=st.booleans())
    def the_gate_ends_and_starts_again(
        self, clean: bool, data: st.DataObject, reboot: bool
    ) -> None:
        if clean:
            self.durable = len(self.log)
            self.ledger.balances((), self.see())
            grown = self.ledger.covered != len(self.log)
            self.runner.run(self.ledger.stop())
            if grown:
                self.floor = (self.wall, self.steady)
        else:
            self.runner.run(killed(self.ledger))
            del self.log[data.draw(st.integers(self.durable, len(self.log))) :]
        if reboot:
            self.clock_boot = 5.0
        self.remember_what_is_on_disk()
        self.ledger = self.made()
        size = self.durable = len(self.log)
        self.runner.run(self.ledger.start(self.read_log, size))

    def remember_what_is_on_disk(self) -> None:
        """The model after a restart: the lines that are left, at their times, and no more."""
        self.entries, self.held, self.ended, self.in_flight = [], [], [], 0
        self.operations = {}
        self.exact = False
        open_: dict[str, tuple[list[Entry], Asked | None]] = {}
        wall = 0
        for line in self.log:
            name = line["decision_id"]
            if line["kind"] == "outcome":
                self.replay_end(line, *open_.pop(name))
                continue
            at = datetime.fromisoformat(line["time"]) - datetime.fromtimestamp(0, UTC)
            wall = max(wall, at // timedelta(milliseconds=1))
            entries = [
                Entry(c["counter"], c["amount"], wall, wall)
                for c in line["charges"]
                if not c["counter"].startswith("concurrent/")
            ]
            self.entries += entries
            open_[name] = entries, None
            if "idempotency" in line:
                key = line["idempotency"]
                spent, others = split(entries)
                if "repeated" not in key:
                    self.operations[key["name"]] = Asked(key["digest"], wall, spent)
                asked = self.operations[key["name"]]
                asked.open += 1
                open_[name] = others, asked
        for _, asked in open_.values():
            if asked is not None:
                asked.open, asked.sent = 0, True
        self.wall = max(wall, self.floor[0])
        self.steady = max(wall, *self.floor)
        self.lead = self.steady / 1000 - self.clock_boot

    def replay_end(self, line: dict[str, Any], entries: list[Entry], asked: Asked | None) -> None:
        if line["released"]:
            for entry in entries:
                entry.amount = 0
        paid = 0 if line["released"] else line["settled_cents"]
        if asked is not None:
            asked.open -= 1
            if asked.sent or (line["released"] and asked.open):
                return
            asked.sent = not line["released"]
            entries = asked.entries
            if line["released"]:
                self.operations = {n: a for n, a in self.operations.items() if a is not asked}
        for entry in split(entries)[0]:
            entry.amount = entry.amount if paid is None else min(entry.amount, paid)


def split(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """What is spent, and the rest."""
    spent = [entry for entry in entries if entry.counter.startswith("spend/")]
    return spent, [entry for entry in entries if not entry.counter.startswith("spend/")]


class OnLoop:
    """A ledger that is only used from within its loop, and is waited for."""

    def __init__(self, ledger: StandingLedger, runner: asyncio.Runner) -> None:
        self.ledger = ledger
        self.runner = runner

    def is_quiet(self) -> bool:
        """Whether the server has heard everything, and has answered."""
        assert isinstance(self.ledger, ValkeyLedger)
        return self.ledger._desk.idle and self.ledger._link._sent is None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.ledger, name)
        if name not in {"reserve", "settle", "release", "balances"}:
            return found

        async def call(*words: Any) -> Any:
            answer = found(*words)
            if isinstance(answer, Awaitable):
                answer = await answer
            if name == "release":  # the server says what comes back
                await eventually(self.is_quiet)
            return answer

        return lambda *words: self.runner.run(call(*words))


class SharedLedgerMachine(LedgerMachine):
    """One gate alone on a server: it owes what every ledger owes, by the server's own time."""

    kind = "valkey"
    server: CounterServer
    runs = 0

    def made(self) -> StandingLedger:
        type(self).runs += 1
        shared = SharedSettings((("127.0.0.1", self.server.port),), name=f"run{self.runs}")
        path = Path(self.directory.name, "ledger.db")
        premises = Premises(path, lambda: len(self.log), lambda: self.durable, shared=shared)
        ledger: Any = OnLoop(LEDGERS[self.kind](premises), self.runner)
        return ledger

    @initialize()
    def the_server_is_met(self) -> None:
        shared = self.ledger.shared
        assert shared is not None
        self.runner.run(eventually(lambda: shared.up))

    def shown(self, charges: tuple[Charge, ...], now: Instant) -> object:
        """Without when it is whole again: another word of the server may move that a little."""
        return [balance.remaining for balance in self.ledger.balances(charges, now)]

    def settles(self, held: Held) -> list[Entry]:
        """Its own: what another request of the operation took may be another gate's."""
        return split(held.entries)[0]

    def is_owed_by_nobody(self, asked: Asked) -> bool:
        """For the same reason an operation that was repeated stays charged."""
        return not asked.sent and not asked.repeated

    def see(self) -> Instant:
        now = system_clock()
        self.clock_wall = now.wall
        self.wall = self.steady = int(now.wall * 1000)
        return now

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        """It does so by itself: nobody sets the server's clock."""

    @rule(seconds=SECONDS)
    def the_wall_clock_is_set(self, seconds: float) -> None:
        """Nor does this machine's count."""


async def killed(ledger: StandingLedger) -> None:
    """Ends a ledger as kill -9 would: its lock is free, and nothing more is written."""
    assert isinstance(ledger, EmbeddedLedger)
    assert ledger._keeping is not None
    ledger._keeping.cancel()
    await asyncio.gather(ledger._keeping, return_exceptions=True)
    await ledger._file.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CounterServer]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_a_shared_ledger_keeps_them_too(server: CounterServer) -> None:
    """A gate alone on a real server sees no difference, but for asking it."""
    SharedLedgerMachine.server = server
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis does not say
        SharedLedgerMachine,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("machine", [LedgerMachine, DurableLedgerMachine])
def test_a_ledger_keeps_its_promises_whatever_happens(machine: type[LedgerMachine]) -> None:
    """Never over a limit in any window, all or none, ended once; and after a crash never less."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis does not say
        machine,
        settings=settings(
            max_examples=150 if machine is LedgerMachine else 60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
