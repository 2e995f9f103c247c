"""A person's word on a hold: one counts, and whose it may be."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.house import House, body_of, inside

from passgate.approvals.desk import NotDecided
from passgate.approvals.held import Held
from passgate.proxy.preference import wait_preferred

CONFIG: dict[str, Any] = {"audit": {"durability": "relaxed"}}


async def hold(house: House, agent: str = "agent_7", **options: Any) -> str:
    passport = house.mint(agent=agent, constraints={"core:approval:required": True})
    return str(body_of(await house.answered("GET", "/v1/search", passport))["hold"]["id"])


async def decide(
    house: House, hold_id: str, *, approve: bool = True, approver: str = "ann"
) -> Held | NotDecided:
    return await house.approvals.decide(hold_id, approve=approve, approver=approver, reason="")


@pytest.mark.parametrize("other", [True, False])
def test_of_two_at_a_time_one_counts(tmp_path: Path, other: bool) -> None:
    """Whoever comes second is told that it is decided, whatever both said; one line says who."""

    async def work(house: House) -> None:
        known = await hold(house)
        first, second = await asyncio.gather(
            decide(house, known, approver="ann"),
            decide(house, known, approve=other, approver="bob"),
        )
        assert isinstance(first, Held)
        assert (first.state, first.approver) == ("approved", "ann")
        assert isinstance(second, NotDecided)
        assert second.why == "ended"
        again = await decide(house, known, approve=False)
        assert isinstance(again, NotDecided)

    house = inside(tmp_path, work, **CONFIG)
    assert [line["approver"] for line in house.lines("approval")] == ["ann"]


def test_what_is_due_is_too_late(tmp_path: Path) -> None:
    """At the very moment, swept or not; and one that is being written is not swept away."""

    async def work(house: House) -> None:
        known = await hold(house)
        house.clock.advance(300)
        late = await decide(house, known)
        assert isinstance(late, NotDecided)
        assert "denied" in late.detail
        known = await hold(house, "agent_8")
        deciding = asyncio.ensure_future(decide(house, known))
        await asyncio.sleep(0)
        house.clock.advance(300)
        house.approvals.sweep(house.clock())
        decided = await deciding
        assert isinstance(decided, Held)
        assert decided.state == "approved"

    inside(tmp_path, work, **CONFIG)


@pytest.mark.parametrize("approver", ["agent_7", "Agent_7", "agent_7/buyer", "AGENT_7/BUYER"])
def test_an_agent_decides_nothing_about_itself(tmp_path: Path, approver: str) -> None:
    """Nor does one that it acts for, in whichever letters; the hold waits on."""

    async def work(house: House) -> None:
        known = await hold(house, "agent_7/buyer")
        refused = await decide(house, known, approver=approver)
        assert isinstance(refused, NotDecided)
        assert refused.why == "agent"
        assert isinstance(await decide(house, known, approver="agent_70"), Held)

    inside(tmp_path, work, **CONFIG)


def test_what_cannot_be_put_on_disk_is_not_decided(tmp_path: Path) -> None:
    """The person is told, and may decide again; without a log nobody decides either."""

    async def work(house: House) -> None:
        known = await hold(house)
        unknown = await decide(house, "appr_x")
        assert isinstance(unknown, NotDecided)
        assert unknown.why == "unknown"
        book = house.approvals._book
        connection, book._connection = book._connection, None
        refused = await decide(house, known)
        assert isinstance(refused, NotDecided)
        assert refused.why == "storage"
        book._connection = connection
        house.log.healthy = False
        assert isinstance(await decide(house, known), NotDecided)
        house.log.healthy = True
        assert isinstance(await decide(house, known), Held)

    inside(tmp_path, work, **CONFIG)


def test_a_reload_holds_for_what_comes_after_it(tmp_path: Path) -> None:
    """What waits keeps the time that it was given; its grant gets that of the moment."""
    from passgate.approvals import ApprovalSettings

    async def work(house: House) -> None:
        known = await hold(house)
        house.approvals.adopt(ApprovalSettings(ttl_s=10, grant_ttl_s=20))
        house.clock.advance(100)
        decided = await decide(house, known)
        assert isinstance(decided, Held)
        assert decided.lasts_s == 20
        other = house.approvals.known(await hold(house, "agent_8"), house.clock())
        assert other is not None
        assert other.lasts_s == 10

    inside(tmp_path, work, **CONFIG)


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0),
        ([b"wait=10"], 10),
        ([b"respond-async, Wait = 10 ; x=1"], 10),
        ([b'wait="7"'], 7),
        ([b"wait=1", b"wait=9"], 1),
        ([b"wait=99999999"], 55),
        ([b"wait=9999999999"], 0),
        ([b"wait=-1"], 0),
        ([b"wait=1.5"], 0),
        ([b"wait"], 0),
        ([b"await=5"], 0),
        ([b"wait=x, wait=3"], 3),
    ],
)
def test_a_preference_is_read_or_none(values: list[bytes], seconds: int) -> None:
    """RFC 7240: the first counts, what cannot be read is none, and nobody waits for a minute."""
    headers = [(b"Host", b"a"), *[(b"PREFER", value) for value in values]]
    assert wait_preferred(headers) == seconds
