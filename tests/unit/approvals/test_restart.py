"""Holds across a restart: what was held stays held, what was approved can be used once."""

import asyncio
import sqlite3
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.house import House, body_of

from passgate.approvals import Book
from passgate.approvals.held import Held
from passgate.errors import DataError
from passgate.ledger.embedded import EmbeddedLedger
from passgate.log import read_lines

HELD = {"core:approval:required": True, "core:cost:max_cumulative": 100}
CONFIG: dict[str, Any] = {
    "actions": {"routes": [{"match": "POST /v1/pay", "action": "api:pay", "cost_cents": 50}]}
}


class Durable(House):
    """A house whose counters are a fold over its log."""

    async def start_ledger(self) -> None:
        self.ledger = self.counters = EmbeddedLedger(
            self.directory / "ledger.db",
            lambda: self.log.size,
            lambda: self.log.status().durable,
            wait=self.clock.wait,
        )
        directory = self.directory / "log"
        await self.ledger.start(lambda start: read_lines(directory, start), self.log.size)

    async def close(self) -> None:
        await super().close()
        await self.counters.stop()

    async def kill(self) -> None:
        """Ends as kill -9 would: nothing more is written to book and ledger."""
        approvals = self.approvals
        assert approvals._keeping is not None
        approvals._keeping.cancel()
        await asyncio.gather(approvals._keeping, return_exceptions=True)
        approvals._keeping = None
        await approvals.stop()
        await self.keeper.close()
        await self.log.close()
        assert self.counters._keeping is not None
        self.counters._keeping.cancel()
        await asyncio.gather(self.counters._keeping, return_exceptions=True)
        await self.counters._file.close()


def spent(house: House) -> int:
    now = house.clock()
    return sum(
        counter.used_at(int(now.boot * 1000), now.wall)
        for name, counter in house.ledger._by_name.items()
        if name.startswith("spend/")
    )


def runs(directory: Path, *works: Callable[[Durable], Awaitable[Any]], kill: bool = False) -> None:
    """Each of `works` in a run of its own, over the same directory and on one clock."""

    async def whole() -> None:
        first = Durable(directory, CONFIG)
        for work in works:
            house = Durable(directory, CONFIG)
            house.clock = first.clock
            house.issuer = first.issuer
            await house.open()
            try:
                await work(house)
            finally:
                await (house.kill() if kill else house.close())

    asyncio.run(whole())


async def held(house: House, passport: str, body: bytes = b"1") -> str:
    answer = await house.answered("POST", "/v1/pay", passport, body=body)
    assert body_of(answer)["code"] == "approval_required", answer.body
    return str(body_of(answer)["hold"]["id"])


async def approve(house: House, hold: str) -> None:
    found = await house.approvals.decide(hold, approve=True, approver="ann", reason="")
    assert isinstance(found, Held), found


@pytest.mark.parametrize("kill", [False, True])
def test_from_hold_to_approval_to_the_one_request(tmp_path: Path, kill: bool) -> None:
    """Held in one run, approved in the next, used in a third; in a fourth it is used up."""
    known: dict[str, str] = {}

    async def hold(house: Durable) -> None:
        known["passport"] = house.mint(constraints=HELD)
        known["hold"] = await held(house, known["passport"])

    async def decide(house: Durable) -> None:
        assert spent(house) == 50
        assert await held(house, known["passport"]) == known["hold"]
        await approve(house, known["hold"])

    async def use(house: Durable) -> None:
        assert spent(house) == 50
        forward = await house.forwarded("POST", "/v1/pay", known["passport"], body=b"1")
        house.enforcer.finished(forward, 200, 0, "completed", sent=True)
        assert spent(house) == 50

    async def again(house: Durable) -> None:
        assert spent(house) == 50
        assert await held(house, known["passport"]) != known["hold"]
        assert spent(house) == 100

    async def full(house: Durable) -> None:
        assert spent(house) == 100
        answer = await house.answered("POST", "/v1/pay", known["passport"], body=b"2")
        assert body_of(answer)["code"] == "budget_exhausted"

    runs(tmp_path, hold, decide, use, again, full, kill=kill)


def test_a_crash_between_the_book_and_the_request_loses_the_grant_and_no_money(
    tmp_path: Path,
) -> None:
    """Marked as used and not forwarded: it is not used again, and nothing stays reserved."""
    known: dict[str, str] = {}

    async def crash(house: Durable) -> None:
        known["passport"] = house.mint(constraints=HELD)
        hold = await held(house, known["passport"])
        await approve(house, hold)
        found = house.approvals.known(hold, house.clock())
        assert found is not None
        assert await house.approvals.claim(found, house.clock())

    async def after(house: Durable) -> None:
        assert spent(house) == 0
        await held(house, known["passport"])
        assert spent(house) == 50

    runs(tmp_path, crash, after, kill=True)


def test_a_crash_before_the_book_knows_of_a_hold_leaves_nothing_reserved(tmp_path: Path) -> None:
    """Its line was written, its row is not there: the start gives back and says so."""

    async def crash(house: Durable) -> None:
        hold = await held(house, house.mint(constraints=HELD))
        await house.approvals._book.write(forget=[hold])

    async def after(house: Durable) -> None:
        assert spent(house) == 0
        assert house.approvals.listed(house.clock()) == []

    runs(tmp_path, crash, after, kill=True)


def test_what_was_due_meanwhile_ends_at_the_start(tmp_path: Path) -> None:
    """A pending hold is denied, a grant lapses, and both give back what was theirs."""
    known: dict[str, str] = {}

    async def before(house: Durable) -> None:
        known["passport"] = house.mint(constraints=HELD, ttl_s=7200)
        await held(house, known["passport"], b"1")
        await approve(house, await held(house, known["passport"], b"2"))
        house.clock.advance(400)

    async def after(house: Durable) -> None:
        answer = await house.answered("POST", "/v1/pay", known["passport"], body=b"1")
        assert body_of(answer)["code"] == "approval_denied"
        assert spent(house) == 50
        house.clock.advance(1500)

    async def later(house: Durable) -> None:
        assert spent(house) == 0
        await held(house, known["passport"], b"2")

    runs(tmp_path, before, after, later)


@pytest.mark.parametrize(("shift", "live"), [(0.0, True), (-60.0, False)])
def test_another_boot_of_the_machine_goes_by_the_wall_clock(
    tmp_path: Path, shift: float, live: bool
) -> None:
    """A wall clock that was set back meanwhile ends what waited: nobody knows for how long."""
    known: dict[str, str] = {}

    async def before(house: Durable) -> None:
        known["passport"] = house.mint(constraints=HELD)
        known["hold"] = await held(house, known["passport"])
        row = house.approvals.known(known["hold"], house.clock())
        assert row is not None
        row.boot_id = "another boot"
        row.boot = 10.0**9
        house.approvals._scribe.later(row.id)
        house.clock.set_wall(house.clock.wall + shift)

    async def after(house: Durable) -> None:
        found = house.approvals.known(known["hold"], house.clock())
        assert found is not None
        assert (found.state == "pending") is live

    runs(tmp_path, before, after)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE hold SET body = replace(body, 'agent_test', 'agent_evil')",
        "UPDATE hold SET digest = 'x'",
        "PRAGMA user_version = 9",
    ],
)
def test_a_changed_book_stops_the_start_and_is_named(tmp_path: Path, statement: str) -> None:
    """Attack: nobody approves by writing into the file without being noticed."""

    async def before(house: Durable) -> None:
        await held(house, house.mint(constraints=HELD))

    runs(tmp_path, before)
    with sqlite3.connect(tmp_path / "holds.db") as database:
        database.execute(statement)
    database.close()

    async def start() -> None:
        with pytest.raises(DataError, match=r"holds\.db.*(damaged|format 9)"):
            await Book(tmp_path / "holds.db").open()

    asyncio.run(start())


def test_the_body_is_gone_from_the_file_once_somebody_decided(tmp_path: Path) -> None:
    """What the person saw stands nowhere in the book afterwards; before, it does."""
    secret = b'{"card": "4111-secret-secret"}'

    async def work(house: Durable) -> None:
        hold = await held(house, house.mint(constraints=HELD), secret)
        (row,) = house.approvals.listed(house.clock())
        assert row.body == secret
        await approve(house, hold)

    runs(tmp_path, work)
    raw = (tmp_path / "holds.db").read_bytes()
    assert b64encode(secret)[:-4] not in raw
    assert secret not in raw
