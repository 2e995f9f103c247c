"""Minutes of an exchange: each charged as it begins, on record before, and never one too many."""

import asyncio
import errno
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.awaiting import eventually, settled
from tests.support.house import House, body_of, inside

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.fold import fold
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Reservation, Taken
from passgate.proxy.steps import Forward, Wait

RELAXED = {"audit": {"durability": "relaxed"}}
BUDGET = {"core:cost:max_cumulative": 11}
TERMS = {
    "core:pricing:per_call_cents": 5,
    "core:pricing:per_minute_cents": 2,
    "core:platform_fee:basis_points": 250,
}


def priced(directory: Path, **more: Any) -> dict[str, Any]:
    """A catalog in which a search costs 5 and 2 a minute."""
    offered = {"permissions": [{"key": "api:search", "constraints": {**TERMS, **more}}]}
    (directory / "catalog.yaml").write_text(yaml.safe_dump(offered))
    return {"catalog": {"file": str(directory / "catalog.yaml")}}


def spent(house: House) -> int:
    return sum(
        counter.used_at(0, house.clock().wall)
        for name, counter in house.ledger._by_name.items()
        if name.startswith("spend/")
    )


def refused(house: House, forward: Forward) -> str:
    """Why the exchange must end now, "" where it need not."""
    answer = house.enforcer.unpaid(forward)
    return "" if answer is None else str(body_of(answer)["code"])


async def search(house: House, **constraints: Any) -> Forward:
    forward = await house.forwarded("GET", "/v1/search", house.mint(constraints=constraints))
    assert forward.meter is not None
    return forward


def end(house: House, forward: Forward, *, outcome: str = "completed", sent: bool = True) -> None:
    house.enforcer.finished(forward, 200, 0, outcome, sent=sent)


def folded(house: House) -> int:
    """What the budgets hold after a crash now: the sum of the log's lines."""
    found = fold(house.lines())
    names = [name for name in found.counters.by_name if name.startswith("spend/")]
    wall = house.clock().wall
    return sum(found.counters.by_name[name].used_at(0, wall) for name in names)


def test_each_minute_is_charged_as_it_begins(tmp_path: Path) -> None:
    """The first with the decision, each other two seconds ahead; started minutes count."""

    async def work(house: House) -> None:
        forward = await search(house, **{"core:cost:max_cumulative": 100})
        for second, cents in ((0, 7), (57, 7), (58.5, 9), (60, 9), (118, 9), (119, 11), (130, 11)):
            house.clock.advance(second - (house.clock().boot - forward.sent_at))
            assert refused(house, forward) == ""
            assert spent(house) == cents, second
        end(house, forward)
        assert spent(house) == 11
        assert house.tally.settled_cents == 11

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))

    (decision,) = house.lines("decision")
    (outcome,) = house.lines("outcome")
    assert decision["cost_cents"] == 7
    assert decision["facts"]["platform_fee_cents"] == 1
    assert [line["minute"] for line in house.lines("charge")] == [2, 3]
    assert (outcome["settled_cents"], outcome["minutes"]) == (11, 3)
    assert outcome["platform_fee_cents"] == 1
    assert folded(house) == 11


def test_a_minute_that_never_began_is_given_back(tmp_path: Path) -> None:
    """It was charged ahead of time; the log says the same."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(59)
        assert refused(house, forward) == ""
        assert spent(house) == 9
        end(house, forward)
        assert spent(house) == 7

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))

    (outcome,) = house.lines("outcome")
    assert (outcome["settled_cents"], outcome["minutes"]) == (7, 1)
    assert folded(house) == 7


def test_the_minute_that_no_budget_covers_ends_it(tmp_path: Path) -> None:
    """When it begins, not before: what is paid for is to be had."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(179)
        assert refused(house, forward) == ""
        assert spent(house) == 11
        house.clock.advance(0.5)
        assert refused(house, forward) == ""
        house.clock.advance(0.501)
        assert refused(house, forward) == "budget_exhausted"
        end(house, forward, outcome="cut")
        assert spent(house) == 11

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))

    (outcome,) = house.lines("outcome")
    assert (outcome["outcome"], outcome["reason_code"]) == ("cut", "budget_exhausted")
    assert (outcome["settled_cents"], outcome["minutes"]) == (11, 3)
    assert folded(house) == 11


def test_room_that_comes_in_time_is_taken(tmp_path: Path) -> None:
    """Another request gives its share back between the first try and the minute."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={"core:cost:max_cumulative": 15})
        forward = await house.forwarded("GET", "/v1/search", passport)
        other = await house.forwarded("GET", "/v1/search", passport)
        house.clock.advance(59)
        assert refused(house, forward) == ""
        assert spent(house) == 14
        end(house, other, outcome="client_gone", sent=False)
        house.clock.advance(1.5)
        assert refused(house, forward) == ""
        assert spent(house) == 9
        end(house, forward)

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_other_requests_share_the_budget_with_its_minutes(tmp_path: Path) -> None:
    """A second call finds what the first one's minutes have left."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={"core:cost:max_cumulative": 14})
        forward = await house.forwarded("GET", "/v1/search", passport)
        house.clock.advance(61)
        assert refused(house, forward) == ""
        answer = await house.answered("GET", "/v1/search", passport)
        assert body_of(answer)["code"] == "budget_exhausted"
        end(house, forward)

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_the_limit_of_one_action_holds_for_a_stream(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        forward = await search(house, **{"core:cost:max_per_action": 9})
        house.clock.advance(119)
        assert refused(house, forward) == ""
        house.clock.advance(2)
        assert refused(house, forward) == "budget_exhausted"
        end(house, forward, outcome="cut")

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))
    (outcome,) = house.lines("outcome")
    assert (outcome["settled_cents"], outcome["minutes"]) == (9, 2)
    assert house.lines("charge") == []


@pytest.mark.parametrize(
    ("stated", "settled", "note"),
    [
        (b"20", 11, "clamped"),
        (b"11", 11, "applied"),
        (b"9", 9, "applied"),
        (b"4", 4, "applied"),
        (b"3", 4, "clamped"),
    ],
)
def test_a_correction_leaves_later_minutes_charged(
    tmp_path: Path, stated: bytes, settled: int, note: str
) -> None:
    """What the decision took may come back, and no more; a fold finds the same."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        forward.correctable = True
        house.clock.advance(121)
        assert refused(house, forward) == ""
        forward.stated_cost = stated
        end(house, forward)
        assert spent(house) == settled

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))
    (outcome,) = house.lines("outcome")
    assert (outcome["settled_cents"], outcome["cost_correction"]) == (settled, note)
    assert folded(house) == settled


def test_what_was_never_sent_costs_no_minute(tmp_path: Path) -> None:
    """It waited for a connection, and got none."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(61)
        assert refused(house, forward) == ""
        end(house, forward, outcome="upstream_failed", sent=False)
        assert spent(house) == 0

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path))
    assert folded(house) == 0
    assert "minutes" not in house.lines("outcome")[0]


def test_a_crash_keeps_every_minute_that_was_forwarded(tmp_path: Path) -> None:
    """Without an outcome each minute's line stays counted."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(121)
        assert refused(house, forward) == ""
        await eventually(lambda: len(house.lines("charge")) == 2)
        assert folded(house) == 11
        end(house, forward)

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_strict_has_each_minute_on_disk_before_it_begins(tmp_path: Path) -> None:
    """Where the disk fails, the minute does not begin."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(59)
        assert refused(house, forward) == ""
        await eventually(lambda: len(house.lines("charge")) == 1)
        await settled()
        house.clock.advance(2)
        assert refused(house, forward) == ""

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "no space")

        house.sync = full
        house.clock.advance(58)
        assert refused(house, forward) == ""
        await eventually(lambda: not house.log.healthy)
        house.clock.advance(2)
        assert refused(house, forward) == "log_unavailable"
        end(house, forward, outcome="cut")
        house.sync = lambda _: None
        await eventually(lambda: house.log.healthy)

    inside(tmp_path, work, **priced(tmp_path))


def test_no_minute_is_charged_while_no_line_can_be_written(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.log.healthy = False
        house.clock.advance(61)
        assert refused(house, forward) == "log_unavailable"
        assert spent(house) == 7
        house.log.healthy = True
        end(house, forward, outcome="cut")

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_a_passport_without_a_budget_is_metered_on_record(tmp_path: Path) -> None:
    """Nothing is reserved, so no line is needed before a minute."""

    async def work(house: House) -> None:
        forward = await search(house)
        house.clock.advance(200)
        assert refused(house, forward) == ""
        end(house, forward)

    house = inside(tmp_path, work, **priced(tmp_path))
    (outcome,) = house.lines("outcome")
    assert (outcome["settled_cents"], outcome["minutes"]) == (13, 4)
    assert house.lines("charge") == []


def test_a_free_call_has_free_minutes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        passport = house.mint(constraints=BUDGET)
        forward = await house.forwarded("GET", "/v1/search", passport)
        assert forward.meter is None
        house.clock.advance(600)
        assert refused(house, forward) == ""
        end(house, forward)
        assert spent(house) == 0
        await search(house, **BUDGET)

    house = inside(tmp_path, work, **RELAXED, **priced(tmp_path, **_free(1)))
    first = house.lines("decision")[0]
    assert (first["cost_cents"], first["facts"]["platform_fee_cents"]) == (0, 0)
    assert house.lines("outcome")[0]["settled_cents"] == 0


def _free(calls: int) -> dict[str, int]:
    return {"core:pricing:free_tier_calls": calls}


class Distant:
    """A ledger behind a round trip, which `gate` opens; then it does what `fails` says."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self.ledger = ledger
        self.gate = asyncio.Event()
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def reserve(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None = None,
        expires_s: float | None = None,
    ) -> Awaitable[Taken]:
        return self._later(charges, now)

    async def _later(self, charges: tuple[Charge, ...], now: Instant) -> Taken:
        await self.gate.wait()
        if self.fails:
            raise ConnectionError("the other side is gone")
        return self.ledger.reserve(charges, now)


@pytest.mark.interpreted(reason="puts another ledger in the place of the enforcer's")
def test_a_distant_ledger_has_until_the_minute_begins(tmp_path: Path) -> None:
    """An answer in time is as good as one at once; none, or a failure, ends the exchange."""

    async def work(house: House) -> None:
        forward = await search(house, **{"core:cost:max_cumulative": 100})
        distant = Distant(house.ledger)
        house.enforcer.ledger = distant
        house.clock.advance(59)
        assert refused(house, forward) == ""
        assert refused(house, forward) == ""
        distant.gate.set()
        await settled()
        assert spent(house) == 9
        house.clock.advance(2)
        assert refused(house, forward) == ""

        distant.gate.clear()
        house.clock.advance(58)
        assert refused(house, forward) == ""
        house.clock.advance(2)
        assert refused(house, forward) == "ledger_unavailable"
        end(house, forward, outcome="cut")
        distant.gate.set()
        await settled()
        assert spent(house) == 9  # what came too late is given back

        house.enforcer.ledger = house.ledger
        other = await search(house, **{"core:cost:max_cumulative": 100})
        house.enforcer.ledger = distant
        distant.fails = True
        house.clock.advance(59)
        assert refused(house, other) == ""
        await settled()
        house.clock.advance(2)
        assert refused(house, other) == "ledger_unavailable"
        end(house, other, outcome="cut")

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_a_reservation_is_named_after_its_decision(tmp_path: Path) -> None:
    """So that a snapshot in the middle of it knows which outcome ends it."""

    async def work(house: House) -> None:
        forward = await search(house, **BUDGET)
        house.clock.advance(61)
        refused(house, forward)
        assert forward.meter is not None
        (minute,) = forward.meter._taken
        assert isinstance(minute, Reservation)
        assert minute.decision_id == f"{forward.record.decision_id}+2"
        end(house, forward)

    inside(tmp_path, work, **RELAXED, **priced(tmp_path))


def test_the_first_minute_begins_when_it_is_forwarded(tmp_path: Path) -> None:
    """Not while the decision waits for the disk."""

    async def work(house: House) -> None:
        _, step, resumed = house.begin(
            house.wire("GET", "/v1/search", house.mint(constraints=BUDGET))
        )
        assert isinstance(step, Wait)
        house.clock.advance(50)
        forward = await asyncio.wait_for(resumed, 5)
        assert isinstance(forward, Forward)
        house.clock.advance(20)
        assert refused(house, forward) == ""
        end(house, forward)

    house = inside(tmp_path, work, **priced(tmp_path))
    assert house.lines("outcome")[0]["minutes"] == 1
