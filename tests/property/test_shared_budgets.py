"""Gates that share budgets: no limit is exceeded, whoever is killed and whatever the server loses.

The model is a sum: what was put on record, less what was given back. It knows no leases.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.awaiting import eventually
from tests.support.counter_server import CounterServer, running
from tests.support.gates_sharing import SharingGate, charge, counted

from passgate.core.constraints.base import Charge
from passgate.ledger.protocol import Reservation, Shortfall
from passgate.ledger.valkey.settings import OnLoss

LIMITS = {
    "spend/total/agent|i|a": 3000,
    "spend/monthly/agent|i|a": 900,
    "spend/86400/agent|i|a": 1200,
    "total/total/passport|i|p": 120,
    "rate/86400/agent|i|a": 400,
}
CHARGES = st.lists(
    st.builds(
        lambda name, cents: charge(name, cents if name.startswith("spend") else 1, LIMITS[name]),
        st.sampled_from(sorted(LIMITS)),
        st.sampled_from([1, 5, 20, 60, 150]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda c: c.counter,
).map(tuple)
WHICH = st.integers(0, 1)


class SharingMachine(RuleBasedStateMachine):
    server: CounterServer
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.name = f"run{next(self.numbers)}"
        self.used = dict.fromkeys(LIMITS, 0)
        self.unrecorded = dict.fromkeys(LIMITS, 0)
        self.open: list[tuple[SharingGate, int, Reservation]] = []
        self.lives = {0: 0, 1: 0}
        self.gates: list[SharingGate] = []

    @initialize()
    def two_gates_start(self) -> None:
        for which in (0, 1):
            gate = SharingGate(
                Path(self.directory.name, str(which)),
                self.server,
                name=self.name,
                on_loss=OnLoss(rate="deny"),
                timeout_s=4.0,
            )
            self.runner.run(gate.start())
            self.gates.append(gate)
        self.runner.run(eventually(lambda: all(g.shared.gates == 2 for g in self.gates)))

    def teardown(self) -> None:
        self.runner.run(self.ended())
        for counter, used in self.used.items():
            left = counted(self.server, counter, self.name)
            assert used <= left, counter
            if not counter.split("/")[1].isdigit():
                # Of a sliding window, what a gate had leased when it died comes back by time alone.
                assert left <= used + self.unrecorded[counter], counter
        self.runner.close()
        self.directory.cleanup()

    async def ended(self) -> None:
        """Everybody comes back, says what it knows, and gives back what it does not need."""
        for gate in self.gates:
            if gate.ledger is None:
                await gate.start(meet=False)
        for gate in self.gates:
            await self.settled(gate)
        for gate in self.gates:
            await gate.stop()

    async def settled(self, gate: SharingGate) -> None:
        ledger = gate.running

        def heard() -> bool:
            ledger._link.wake()
            return gate.shared.up and not gate.shared.missing and ledger._desk.idle

        await eventually(heard)

    def gate(self, which: int) -> SharingGate:
        return self.gates[which]

    @rule(which=WHICH, charges=CHARGES, times=st.integers(1, 6), recorded=st.integers(0, 9))
    def agents_ask(
        self, which: int, charges: tuple[Charge, ...], times: int, recorded: int
    ) -> None:
        """Several at once, of which the last may die unrecorded with its gate."""
        gate = self.gate(which)
        if gate.ledger is None:
            return

        async def all_at_once() -> list[object]:
            return list(
                await asyncio.gather(
                    *(gate.take(*charges, record=bool(recorded or n)) for n in range(times))
                )
            )

        for number, taken in enumerate(self.runner.run(all_at_once())):
            if not isinstance(taken, Reservation):
                continue
            kept = bool(recorded or number)
            for one in charges:
                assert self.used[one.counter] + one.amount <= one.limit, one.counter
                self.used[one.counter] += one.amount
            if kept:
                self.open.append((gate, self.lives[which], taken))
            else:
                for one in charges:
                    self.used[one.counter] -= one.amount
                    self.unrecorded[one.counter] += one.amount
        if not recorded:
            self.a_gate_is_killed(which)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), how=st.sampled_from([None, 0, 3, "release"]))
    def a_request_ends(self, data: st.DataObject, how: object) -> None:
        gate, life, taken = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if gate.ledger is None or life != self.lives[self.gates.index(gate)]:
            return  # it died with its gate: charged in full for good

        async def end() -> None:
            if how == "release":
                gate.release(taken)
            else:
                assert how is None or isinstance(how, int)
                gate.settle(taken, how)

        self.runner.run(end())
        for one in taken.charges:
            if how == "release":
                self.used[one.counter] -= one.amount
            elif isinstance(how, int) and one.kind == "spend":
                self.used[one.counter] -= max(0, one.amount - how)

    @rule(which=WHICH)
    def a_gate_is_killed(self, which: int) -> None:
        if self.gate(which).ledger is not None:
            self.lives[which] += 1
            self.runner.run(self.gate(which).kill())

    @rule(which=WHICH)
    def a_gate_comes_back(self, which: int) -> None:
        if self.gate(which).ledger is None:
            self.runner.run(self.gate(which).start(meet=False))

    @rule()
    def connections_break(self) -> None:
        self.server.command("CLIENT", "KILL", "TYPE", "normal")

    @rule()
    def the_server_forgets_everything(self) -> None:
        self.server.command("FLUSHALL")

    @rule()
    def all_is_well_for_a_moment(self) -> None:
        """Those that live are heard; only if all do does everybody know everything."""
        if all(gate.ledger is not None for gate in self.gates):
            for gate in self.gates:
                self.runner.run(self.settled(gate))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CounterServer]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_no_limit_is_exceeded_and_nothing_is_lost(server: CounterServer) -> None:
    """And when all have come back, the server counts what is on record, to the cent."""
    SharingMachine.server = server
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis does not say
        SharingMachine,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_shared_shortfall_says_what_is_left(server: CounterServer, tmp_path: Path) -> None:
    """What another gate spent counts here, and what is left is told in its own words."""

    async def scenario() -> None:
        a, b = (SharingGate(tmp_path / which, server, name="short") for which in "ab")
        await a.start()
        await b.start()
        budget = charge("spend/total/agent|i|a", 30, 100)
        taken = [await gate.take(budget) for gate in (a, b, a, b)]
        assert [type(one) for one in taken] == [Reservation] * 3 + [Shortfall]
        assert isinstance(taken[3], Shortfall)
        assert (taken[3].remaining, taken[3].retry_after_s) == (10, None)
        await a.stop()
        await b.stop()

    asyncio.run(scenario())
