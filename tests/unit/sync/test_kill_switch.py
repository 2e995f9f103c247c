"""The kill switch: in force at once, on disk before it is confirmed, and on record."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from passgate.core.kills import MAX_KILLS, Kill, kills_of
from passgate.errors import OrderError
from passgate.sync.keeper import Keeper, TrustChange
from passgate.sync.kill_store import KillStore
from passgate.sync.kill_switch import KillSwitch
from passgate.testing import ManualClock


class SlowStore(KillStore):
    """A store on a disk that may fail, or wait until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full = False
        self.saving = threading.Event()
        self.may_save = threading.Event()
        self.may_save.set()
        self.saves = 0

    def save(self, entries: Iterable[Kill]) -> None:
        self.saving.set()
        assert self.may_save.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        self.saves += 1
        super().save(entries)


class Desk:
    """A switch, and what it told its neighbours."""

    def __init__(self, directory: Path) -> None:
        self.store = SlowStore(directory / "kills")
        self.keeper = Keeper((), None, kills=self.store.load())
        self.told: list[Mapping[str, Any]] = []
        self.changes: list[TrustChange] = []
        self.keeper.on_change(self.changes.append)
        self.switch = KillSwitch(self.keeper, self.store, ManualClock(), self._note)

    def _note(self, fields: Mapping[str, Any]) -> Awaitable[bool]:
        self.told.append(fields)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    def on_disk(self) -> list[tuple[str, str, str]]:
        return [kill.stops for kill in KillStore(self.store.path).load().entries]


def at_desk(directory: Path, work: Callable[[Desk], Awaitable[None]]) -> Desk:
    async def whole() -> Desk:
        desk = Desk(directory)
        await work(desk)
        return desk

    return asyncio.run(whole())


def test_an_order_is_in_force_on_disk_and_on_record(tmp_path: Path) -> None:
    """With who ordered it, when and why; a later gate begins with it."""

    async def work(desk: Desk) -> None:
        kill, fresh = await desk.switch.stop("agent", "agent-7", "iss_lab", "sold out", "ann")
        assert fresh
        assert kill.id.startswith("kill_")
        assert (kill.by, kill.reason, kill.at) == ("ann", "sold out", 1_800_000_000)
        assert desk.keeper.trust.kills.entries == (kill,)
        assert desk.on_disk() == [("agent", "agent-7", "iss_lab")]
        assert desk.told == [
            {
                "what": "kill",
                "kill": kill.id,
                "by": "ann",
                "reason": "sold out",
                "stops": {"kind": "agent", "target": "agent-7", "issuer": "iss_lab"},
                "version": desk.keeper.trust.version,
            }
        ]
        assert [change.what for change in desk.changes] == ["kills"]

    at_desk(tmp_path, work)
    assert Desk(tmp_path).keeper.trust.kills.active


def test_it_is_in_force_before_the_disk_has_it(tmp_path: Path) -> None:
    """A disk that hangs delays the answer alone; others that are ordered meanwhile hold as well."""

    async def work(desk: Desk) -> None:
        desk.store.may_save.clear()
        first = asyncio.ensure_future(desk.switch.stop("agent", "a", "", "", "ann"))
        await asyncio.to_thread(desk.store.saving.wait, 10)
        assert [kill.target for kill in desk.switch.kills] == ["a"]
        second = asyncio.ensure_future(desk.switch.stop("all", "", "", "", "ann"))
        again = asyncio.ensure_future(desk.switch.stop("agent", "a", "", "", "bob"))
        await asyncio.sleep(0)
        assert desk.keeper.trust.kills.everything
        assert len(desk.told) == 2
        assert not any(order.done() for order in (first, second, again))
        desk.store.may_save.set()
        await second
        assert (await again)[1] is False
        assert desk.on_disk() == [("agent", "a", ""), ("all", "", "")]

    at_desk(tmp_path, work)


def test_stopping_twice_changes_nothing(tmp_path: Path) -> None:
    """The same kill answers; neither the disk nor the record hears of it again."""

    async def work(desk: Desk) -> None:
        first, _ = await desk.switch.stop("agent", "a", "", "one", "ann")
        assert await desk.switch.stop("agent", "a", "", "two", "bob") == (first, False)
        other, fresh = await desk.switch.stop("agent", "a", "iss_lab", "", "bob")
        assert fresh
        assert desk.switch.kills == (first, other)
        assert desk.store.saves == 2
        assert len(desk.told) == 2

    at_desk(tmp_path, work)


def test_a_full_disk_leaves_a_kill_in_force_and_says_so(tmp_path: Path) -> None:
    """Stopping is never undone by a disk; ordering it again saves it."""

    async def work(desk: Desk) -> None:
        desk.store.full = True
        with pytest.raises(OrderError, match=r"in force until the gate ends: .*No space left"):
            await desk.switch.stop("all", "", "", "", "ann")
        assert desk.keeper.trust.kills.everything
        assert len(desk.told) == 1
        with pytest.raises(OrderError):
            await desk.switch.stop("all", "", "", "", "ann")
        desk.store.full = False
        assert (await desk.switch.stop("all", "", "", "", "ann"))[1] is False
        assert desk.on_disk() == [("all", "", "")]

    at_desk(tmp_path, work)


def test_a_full_disk_lifts_nothing(tmp_path: Path) -> None:
    """What would be stopped again after a restart is not let go now."""

    async def work(desk: Desk) -> None:
        kill, _ = await desk.switch.stop("all", "", "", "", "ann")
        desk.store.full = True
        with pytest.raises(OrderError, match="is not lifted"):
            await desk.switch.lift(kill.id, "ann")
        assert desk.keeper.trust.kills.everything
        assert [fields["what"] for fields in desk.told] == ["kill"]

    at_desk(tmp_path, work)


def test_lifting_is_on_record_too(tmp_path: Path) -> None:
    """By whom; afterwards neither the gate nor a later one knows of it."""

    async def work(desk: Desk) -> None:
        kill, _ = await desk.switch.stop("issuer", "iss_lab", "", "", "ann")
        other, _ = await desk.switch.stop("action", "shop:*", "", "", "ann")
        assert await desk.switch.lift(kill.id, "bob") == kill
        assert desk.switch.kills == (other,)
        assert desk.told[-1] == {
            "what": "unkill",
            "kill": kill.id,
            "by": "bob",
            "stops": {"kind": "issuer", "target": "iss_lab"},
            "version": desk.keeper.trust.version,
        }
        assert desk.on_disk() == [("action", "shop:*", "")]

    at_desk(tmp_path, work)


def test_it_can_be_lifted_by_what_it_stops(tmp_path: Path) -> None:
    """Unless several kills stop something of that name; `all` is called all."""

    async def work(desk: Desk) -> None:
        switch = desk.switch
        everything, _ = await switch.stop("all", "", "", "", "ann")
        agent, _ = await switch.stop("agent", "a", "", "", "ann")
        issuer, _ = await switch.stop("issuer", "a", "", "", "ann")
        assert await switch.lift("all", "ann") == everything
        with pytest.raises(ValueError, match=f"one of {agent.id}, {issuer.id}"):
            await switch.lift("a", "ann")
        await switch.lift(issuer.id, "ann")
        assert await switch.lift("a", "ann") == agent
        for name in ("a", agent.id, "", "all"):
            with pytest.raises(LookupError):
                await switch.lift(name, "ann")

    at_desk(tmp_path, work)


def test_a_kill_ordered_while_another_is_lifted_stays(tmp_path: Path) -> None:
    """In force and on disk, whichever of the two the disk took first."""

    async def work(desk: Desk) -> None:
        kill, _ = await desk.switch.stop("agent", "a", "", "", "ann")
        desk.store.saving.clear()
        desk.store.may_save.clear()
        lifted = asyncio.ensure_future(desk.switch.lift(kill.id, "ann"))
        await asyncio.to_thread(desk.store.saving.wait, 10)
        stopped = asyncio.ensure_future(desk.switch.stop("agent", "b", "", "", "ann"))
        await asyncio.sleep(0)
        assert {each.target for each in desk.switch.kills} == {"a", "b"}
        desk.store.may_save.set()
        await asyncio.gather(lifted, stopped)
        assert [each.target for each in desk.switch.kills] == ["b"]
        assert desk.on_disk() == [("agent", "b", "")]

    at_desk(tmp_path, work)


def test_there_is_a_bound_and_everything_can_always_be_stopped(tmp_path: Path) -> None:
    """One kill too many is refused and changes nothing."""

    async def work(desk: Desk) -> None:
        many = [Kill(f"kill_{n}", "agent", f"a{n}", "", "", "ann", 0) for n in range(MAX_KILLS)]
        desk.keeper.adopt_kills(kills_of(many))
        with pytest.raises(OrderError, match=f"{MAX_KILLS} kills are in force"):
            await desk.switch.stop("agent", "b", "", "", "ann")
        assert len(desk.switch.kills) == MAX_KILLS
        assert not desk.told
        await desk.switch.stop("all", "", "", "", "ann")
        assert desk.keeper.trust.kills.everything

    at_desk(tmp_path, work)


@pytest.mark.parametrize(
    ("kind", "target"), [("everything", ""), ("agent", ""), ("all", "a"), ("action", "*")]
)
def test_an_order_that_makes_no_sense_changes_nothing(
    tmp_path: Path, kind: str, target: str
) -> None:
    async def work(desk: Desk) -> None:
        with pytest.raises(ValueError, match=r"must|takes|stopped by"):
            await desk.switch.stop(kind, target, "", "", "ann")
        assert not desk.switch.kills
        assert not desk.told

    at_desk(tmp_path, work)
