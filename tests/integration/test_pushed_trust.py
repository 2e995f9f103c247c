"""A keeper and an authority, by sockets and a clock of their own: freshness, disks, reloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.awaiting import eventually

from passgate.authority import pushing
from passgate.authority.keys import KeySigner, new_issuer
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.authority.serving import Authority
from passgate.core.trust import Issuer, Revocations
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.testing import ManualClock, TestIssuer


class World:
    """An issuer, the clock that both ends go by, and the keeper's settings."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.made = directory / "issuer"
        self.trust = directory / "trust"
        self.signer: KeySigner = new_issuer(self.made, "iss_lab")
        new_list(self.made, self.signer, self.clock.wall)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        authority = Authority(self.made, self.signer, heartbeat_s=0.02, now=lambda: self.clock.wall)
        await authority.start()
        runner = web.AppRunner(authority.app(), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def settings(self, url: str, **options: Any) -> IssuerSettings:
        static = TestIssuer("iss_lab").trusted(self.clock(), keys=None, revocations=None)
        given = {"refresh_s": 3600.0, "revocations_push": f"{url}/revocations/events"} | options
        return IssuerSettings(static, f"{url}/jwks.json", f"{url}/revocations.jwt", **given)

    def keeper(self, *settings: IssuerSettings) -> Keeper:
        return Keeper(
            settings, self.trust, clock=self.clock, wait=self.clock.wait, jitter=lambda: 0.0
        )

    def revoke(self, agent: str) -> None:
        revoke(self.made, self.signer, [Revoked("agent", agent)], self.clock.wall)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def issuer(keeper: Keeper) -> Issuer:
    return keeper.trust.issuers["iss_lab"]


def revocations(keeper: Keeper) -> Revocations | None:
    return issuer(keeper).revocations


def revoked(keeper: Keeper, agent: str) -> bool:
    known = revocations(keeper)
    return known is not None and agent in known.agents


def push(keeper: Keeper) -> dict[str, Any]:
    (row,) = (each for each in keeper.status() if each["kind"] == "revocations")
    return row["push"] or {}


async def passing(world: World, until: Callable[[], object], step: float = 1.0) -> None:
    """Time passes until that is so."""
    for _ in range(2000):
        if until():
            return
        world.clock.advance(step)
        await asyncio.sleep(0.005)
    pytest.fail("it never became so")


def test_heartbeats_keep_a_list_fresh_and_their_end_lets_it_age(world: World) -> None:
    """Profile L3's minute is kept for as long as they come, without the list being read again."""

    async def scenario() -> None:
        async with world.served() as url:
            keeper = world.keeper(world.settings(url))
            await keeper.start()
            await passing(world, lambda: push(keeper).get("connected"))
            for _ in range(20):
                world.clock.advance(30)
                await eventually(
                    lambda: (
                        (known := revocations(keeper)) is not None
                        and world.clock().age_of(known.read_at) < 5
                    )
                )
            assert keeper.status()[1]["age_s"] == 0
        await eventually(lambda: not push(keeper)["connected"])
        world.clock.advance(61)
        known = revocations(keeper)
        assert known is not None
        assert world.clock().age_of(known.read_at) > 60
        assert push(keeper)["error"]
        await keeper.close()

    asyncio.run(scenario())


def test_a_full_disk_keeps_no_revocation_from_counting(world: World) -> None:
    """It is told, and tried again with the next."""

    async def scenario() -> None:
        async with world.served() as url:
            keeper = world.keeper(world.settings(url))
            await keeper.start()
            await passing(world, lambda: push(keeper).get("connected"))
            await eventually(lambda: len(list(world.trust.glob("*.copy"))) == 2)
            kept = world.trust.rename(world.trust.with_name("kept"))
            world.trust.write_text("no directory")
            world.revoke("a1")
            await eventually(lambda: revoked(keeper, "a1"))
            await eventually(lambda: "no copy could be kept" in push(keeper)["error"])
            world.trust.unlink()
            kept.rename(world.trust)
            assert not push(keeper)["kept"]
            await passing(world, lambda: push(keeper)["kept"])
            assert push(keeper)["error"] == ""
            world.revoke("a2")
            await eventually(lambda: revoked(keeper, "a2") and push(keeper)["kept"])
            await keeper.close()
        again = world.keeper(world.settings(url))
        await again.start()
        assert revoked(again, "a1")
        assert revoked(again, "a2")
        await again.close()

    asyncio.run(scenario())


def test_a_reload_keeps_what_was_pushed_and_follows_the_new_address(world: World) -> None:
    """Also without a push at all, what was pushed stays in force."""

    async def scenario() -> None:
        async with world.served() as url, world.served() as other:
            keeper = world.keeper(world.settings(url))
            await keeper.start()
            await passing(world, lambda: push(keeper).get("connected"))
            world.revoke("a1")
            await eventually(lambda: revoked(keeper, "a1"))
            moved = f"{other}/revocations/events"
            await keeper.reconfigure([world.settings(url, revocations_push=moved)])
            assert revoked(keeper, "a1")
            assert not push(keeper)["connected"]
            await passing(world, lambda: push(keeper).get("connected"))
            assert push(keeper)["source"] == moved
            world.revoke("a2")
            await eventually(lambda: revoked(keeper, "a2"))
            await keeper.reconfigure([world.settings(url, revocations_push=None)])
            assert push(keeper) == {}
            assert revoked(keeper, "a2")
            await keeper.close()

    asyncio.run(scenario())


def test_a_gap_is_closed_by_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was too much for a delta, and so for the stream, which goes on."""
    monkeypatch.setattr(pushing, "MAX_DELTA_BYTES", 10)

    async def scenario() -> None:
        async with world.served() as url:
            keeper = world.keeper(world.settings(url))
            await keeper.start()
            await passing(world, lambda: push(keeper).get("connected"))
            world.revoke("a1")
            await eventually(lambda: revoked(keeper, "a1"))
            assert (push(keeper)["deltas"], push(keeper)["failures_total"]) == (0, 0)
            await keeper.close()

    asyncio.run(scenario())


def test_without_a_stream_the_list_is_read_whenever_one_is_asked_for(world: World) -> None:
    """Long before its refresh: who was to be told at once must not wait for that."""

    async def scenario() -> None:
        async with world.served() as url:
            nowhere = f"{url}/revocations/none"
            keeper = world.keeper(world.settings(url, revocations_push=nowhere))
            await keeper.start()
            await passing(world, lambda: "404" in push(keeper).get("error", ""))
            world.revoke("a1")
            began = world.clock.wall
            await passing(world, lambda: revoked(keeper, "a1"))
            assert world.clock.wall - began < 600
            await keeper.close()

    asyncio.run(scenario())


def test_an_authority_that_begins_anew_is_asked_for_what_it_does_not_know(world: World) -> None:
    """Its first word is of a list that the gate does not have yet."""

    async def scenario() -> None:
        async with world.served() as url:
            keeper = world.keeper(world.settings(url))
            await keeper.start()
            await passing(world, lambda: push(keeper).get("connected"))
            await keeper.close()
        world.revoke("a1")
        async with world.served() as url:
            again = world.keeper(world.settings(url))
            await again.start()
            await passing(world, lambda: revoked(again, "a1"))
            assert push(again)["deltas"] == 0
            await again.close()

    asyncio.run(scenario())
