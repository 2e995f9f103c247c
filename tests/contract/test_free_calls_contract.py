"""Free calls in every ledger: exactly so many cost nothing, whoever asks and whatever crashes."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually
from tests.support.counter_server import CounterServer

from passgate.core.constraints.base import Charge
from passgate.core.free_tier import free_charge, is_free, with_free
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger import LEDGERS, Premises
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.protocol import Reservation, Shortfall, StandingLedger, Taken
from passgate.ledger.valkey.settings import SharedSettings

NOW = Instant(1_800_000_000.0, 1_000.0)
AT = "2027-01-15T08:00:00.000Z"
SUBJECT = "catalog|iss_lab|agent-7|api%3Asearch"


def offer(*, free: int = 3, cost: int = 7, budget: int = 100, rate: int = 1000) -> Any:
    """Charges of a call that costs `cost` once the free ones are used up."""
    return with_free(
        (
            Charge("rate/60/agent|i|a", "rate", 60, 1, rate, "core:rate:max_per_minute"),
            Charge("spend/daily/agent|i|a", "spend", "daily", cost, budget, "k"),
        ),
        free_charge(SUBJECT, free),
    )


class Scene:
    """A ledger, and the log of what it has taken."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.shared: SharedSettings | None = None
        if kind == "valkey":
            self.server = CounterServer(directory / "server").start()
            self.shared = SharedSettings((("127.0.0.1", self.server.port),))
        self.path = directory / "ledger.db"
        self.lines: list[Mapping[str, Any]] = []
        self.ledger = self.made()

    def made(self) -> StandingLedger:
        size = self.lines.__len__
        return LEDGERS[self.kind](
            Premises(self.path, size, size, clock=lambda: NOW, shared=self.shared)
        )

    async def start(self) -> None:
        await self.ledger.start(lambda at: iter(self.lines[at or 0 :]), len(self.lines))
        shared = self.ledger.shared
        if shared is not None:
            await eventually(lambda: shared.up)

    async def crash(self) -> None:
        """Kill -9, and another start from what is on disk."""
        assert isinstance(self.ledger, EmbeddedLedger)
        assert self.ledger._keeping is not None
        self.ledger._keeping.cancel()
        await self.ledger._file.close()
        self.ledger = self.made()
        await self.start()

    async def call(self, charges: Any) -> Reservation | Shortfall:
        """One request, on record where it passes."""
        taken = await self.take(charges)
        assert isinstance(taken, Reservation | Shortfall)
        if isinstance(taken, Reservation):
            taken.decision_id = f"att_{len(self.lines)}"
            self.line(
                "decision",
                decision="allow",
                decision_id=taken.decision_id,
                charges=[{"counter": c.counter, "amount": c.amount} for c in taken.charges],
            )
        return taken

    async def take(self, charges: Any, once: Once | None = None) -> Taken:
        taken = self.ledger.reserve(charges, NOW, once)
        return await taken if isinstance(taken, Awaitable) else taken

    def end(self, taken: Reservation, *, sent: bool) -> None:
        if sent:
            self.ledger.settle(taken, None, NOW)
        else:
            self.ledger.release(taken, NOW)
        self.line("outcome", decision_id=taken.decision_id, released=not sent)

    def line(self, kind: str, **members: Any) -> None:
        self.lines.append({"kind": kind, "seq": len(self.lines), "time": AT, **members})

    def spent(self) -> int:
        charge = Charge("spend/daily/agent|i|a", "spend", "daily", 0, 100_000, "k")
        return 100_000 - self.ledger.balances((charge,), NOW)[0].remaining


@asynccontextmanager
async def scene(kind: str) -> Any:
    with tempfile.TemporaryDirectory() as directory:
        made = Scene(kind, Path(directory))
        await made.start()
        try:
            yield made
        finally:
            await made.ledger.stop()
            if made.shared is not None:
                made.server.kill()


def played(kind: str, play: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with scene(kind) as made:
            await play(made)

    asyncio.run(whole())


kinds = pytest.mark.parametrize("kind", sorted(LEDGERS))


@kinds
def test_the_first_calls_are_free_and_the_next_is_priced(kind: str) -> None:
    """Each counts for rates; what was taken is told by the reservation."""

    async def play(made: Scene) -> None:
        found = [await made.call(offer()) for _ in range(5)]
        assert all(isinstance(taken, Reservation) for taken in found)
        free = [taken for taken in found if isinstance(taken, Reservation)]
        assert [is_free(taken.charges) for taken in free] == [True, True, True, False, False]
        assert [taken.charges[-1].amount for taken in free] == [0, 0, 0, 7, 7]
        assert made.spent() == 14
        assert made.ledger.balances(offer()[1:2], NOW)[0].remaining == 995

    played(kind, play)


@kinds
def test_many_at_once_get_exactly_the_free_calls(kind: str) -> None:
    """None of two hundred callers shares a free call with another one."""

    async def play(made: Scene) -> None:
        found = await asyncio.gather(
            *(made.call(offer(free=60, budget=100_000)) for _ in range(200))
        )
        free = [taken for taken in found if isinstance(taken, Reservation)]
        assert len(free) == 200
        assert sum(is_free(taken.charges) for taken in free) == 60
        assert made.spent() == 140 * 7

    played(kind, play)


@kinds
def test_a_free_call_needs_no_budget_and_a_priced_one_does(kind: str) -> None:
    """The shortfall names what lacks, never the free calls that are used up."""

    async def play(made: Scene) -> None:
        for _ in range(3):
            assert isinstance(await made.call(offer(budget=6)), Reservation)
        short = await made.call(offer(budget=6))
        assert isinstance(short, Shortfall)
        assert short.charge.kind == "spend"
        assert made.spent() == 0

    played(kind, play)


@kinds
def test_a_refused_call_takes_no_free_one(kind: str) -> None:
    """All or none holds for them too."""

    async def play(made: Scene) -> None:
        assert isinstance(await made.call(offer(free=2, rate=1)), Reservation)
        short = await made.call(offer(free=2, rate=1))
        assert isinstance(short, Shortfall)
        assert short.charge.kind == "rate"
        assert made.ledger.balances(offer(free=2)[:1], NOW)[0].remaining == 1

    played(kind, play)


@kinds
def test_only_what_was_sent_uses_a_free_call_up(kind: str) -> None:
    """Released, it is there again; settled, it is gone."""

    async def play(made: Scene) -> None:
        taken = await made.call(offer(free=1))
        assert isinstance(taken, Reservation)
        made.end(taken, sent=False)
        again = await made.call(offer(free=1))
        assert isinstance(again, Reservation)
        assert is_free(again.charges)
        made.end(again, sent=True)
        priced = await made.call(offer(free=1))
        assert isinstance(priced, Reservation)
        assert not is_free(priced.charges)

    played(kind, play)


def test_a_crash_gives_no_free_call_back() -> None:
    """The count is folded from the log, with or without an outcome, and from a snapshot."""

    async def play(made: Scene) -> None:
        first = await made.call(offer())
        await made.call(offer())
        assert isinstance(first, Reservation)
        made.end(first, sent=True)
        await made.crash()
        assert made.ledger.balances(offer()[:1], NOW)[0].remaining == 1
        assert isinstance(made.ledger, EmbeddedLedger)
        await made.ledger.snapshot()
        await made.crash()
        third, fourth = await made.call(offer()), await made.call(offer())
        assert isinstance(third, Reservation)
        assert isinstance(fourth, Reservation)
        assert (is_free(third.charges), is_free(fourth.charges)) == (True, False)
        await made.crash()
        assert made.spent() == 7

    played("embedded", play)


@kinds
def test_a_repeated_operation_uses_one_free_call(kind: str) -> None:
    """However many of its requests pass, and although the first of them is given up unsent."""

    async def play(made: Scene) -> None:
        once = Once("once/agent|i|a/1", "digest")
        first = await made.take(offer(free=1), once)
        again = await made.take(offer(free=1), once)
        assert isinstance(first, Reservation)
        assert isinstance(again, Reservation)
        assert is_free(first.charges)
        assert (is_free(again.charges), again.repeated) == (False, True)
        assert made.spent() == 0
        made.ledger.release(first, NOW)
        made.ledger.settle(again, 0, NOW)
        assert made.ledger.balances(offer(free=1)[:1], NOW)[0].remaining == 0

        unsent = await made.take(offer(free=2), Once("once/agent|i|a/2", "digest"))
        assert isinstance(unsent, Reservation)
        assert made.ledger.balances(offer(free=2)[:1], NOW)[0].remaining == 0
        made.ledger.release(unsent, NOW)
        await eventually(lambda: made.ledger.balances(offer(free=2)[:1], NOW)[0].remaining == 1)

    played(kind, play)
