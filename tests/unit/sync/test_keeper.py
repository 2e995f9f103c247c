"""The keeper: what it learns, when it asks, what it keeps when a source fails."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually, settled
from tests.craft import revoked_ids

from passgate.core.revoked_ids import RevokedIds
from passgate.core.status_list import StatusReference
from passgate.core.trust import Issuer
from passgate.errors import DataError, SourceError
from passgate.sync import sources
from passgate.sync.follower import ASK_INTERVAL_S
from passgate.sync.keeper import Keeper, TrustChange
from passgate.sync.settings import IssuerSettings, Location
from passgate.sync.sources import Allowed, Kind, NotModified, Opened, Source
from passgate.sync.store import TrustStore
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
ROTATED = TestIssuer("iss_lab", seed="next")
OTHER = TestIssuer("iss_other")


@dataclass
class Script:
    """What a source on another machine answers, and what it was asked."""

    body: bytes | Exception
    tag: str | None = None
    asked: list[str | None] = field(default_factory=list)
    gate: Callable[[], Awaitable[object]] | None = None
    open: int = 0


class Remote(Source):
    """A source on another machine, as far as the keeper can tell, scripted by the test."""

    vouches = True

    def __init__(self, name: str, kind: Kind, script: Script) -> None:
        super().__init__(name, kind)
        self._script = script
        script.open += 1

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        script = self._script
        script.asked.append(etag)
        if script.gate is not None:
            await script.gate()
        if isinstance(script.body, Exception):
            raise script.body
        if etag is not None and etag == script.tag:
            yield NotModified()
        else:
            yield Opened(_once(script.body), script.tag)

    async def close(self) -> None:
        self._script.open -= 1


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


class World:
    """Remote sources by name, a clock, and a directory: what a keeper's test needs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.remotes: dict[str, Script] = {}
        self.changes: list[TrustChange] = []
        self.current: Keeper

    def open(self, location: str, kind: Kind, allowed: Allowed) -> Source:
        """An entry of the table of sources."""
        assert allowed == Allowed()
        down = Script(SourceError(f"{location} is down"))
        return Remote(location, kind, self.remotes.setdefault(location, down))

    def remote(self, name: str, body: bytes | str, tag: str | None = None) -> Script:
        raw = body.encode() if isinstance(body, str) else body
        script = self.remotes.setdefault(name, Script(raw))
        script.body, script.tag = raw, tag
        return script

    def keeper(self, *issuers: IssuerSettings, store: bool = True, boot: str = "b") -> Keeper:
        keeper = Keeper(
            issuers,
            TrustStore(self.directory / "trust", boot) if store else None,
            clock=self.clock,
            wait=self.clock.wait,
            jitter=lambda: 0.0,
        )
        keeper.on_change(self.changes.append)
        self.current = keeper
        return keeper

    def settings(
        self,
        issuer: TestIssuer = LAB,
        keys: Location = "test:keys",
        revocations: str | None = "test:list",
        refresh_s: float = 60.0,
    ) -> IssuerSettings:
        static = issuer.trusted(self.clock(), keys=None, revocations=None)
        return IssuerSettings(static, keys, revocations, refresh_s)

    def signed(self, *revoked: tuple[str, str], ahead: int = 0, **options: Any) -> str:
        return LAB.revocation_list(*revoked, now=self.clock.wall + ahead, **options)

    async def tick(self, seconds: float, step: float = 1.0) -> None:
        """Time passes as it does: whatever falls due is done before it goes on, or hangs."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await settled()
            for _ in range(20):
                if all(r["next_attempt_s"] > 0 for r in self.current.status()):
                    break
                await asyncio.sleep(0.001)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, "test": made.open})
    return made


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def jwks(*issuers: TestIssuer) -> str:
    return json.dumps({"keys": [key for issuer in issuers for key in issuer.jwks["keys"]]})


def lab(keeper: Keeper) -> Issuer:
    return keeper.trust.issuers["iss_lab"]


def revoked(keeper: Keeper) -> RevokedIds | None:
    revocations = lab(keeper).revocations
    return None if revocations is None else revocations.passports


def row(keeper: Keeper, kind: Kind, issuer: str = "iss_lab") -> dict[str, Any]:
    (found,) = [r for r in keeper.status() if (r["issuer"], r["kind"]) == (issuer, kind)]
    return dict(found)


async def loaded(keeper: Keeper) -> None:
    """Returns once everything was read, and kept."""
    await eventually(
        lambda: all(
            r["loaded"] and not r["error"] and r["next_attempt_s"] > 0 for r in keeper.status()
        )
    )


def test_before_it_starts_the_issuers_are_known_and_nothing_of_them(world: World) -> None:
    keeper = world.keeper(world.settings())
    assert lab(keeper).keys is None
    assert row(keeper, "keys")["age_s"] is None
    assert not row(keeper, "keys")["loaded"]


def test_keys_and_list_are_learnt_and_say_when(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        keys = lab(keeper).keys
        assert keys is not None
        assert keys.keys == {LAB.kid: LAB.public_key}
        assert keys.read_at == world.clock()
        assert revoked(keeper) == revoked_ids("p")
        assert [(c.issuer, c.what) for c in world.changes] == [
            ("iss_lab", "keys"),
            ("iss_lab", "revocations"),
        ]
        assert row(keeper, "revocations")["failures_total"] == 0
        await keeper.close()
        assert not any(remote.open for remote in world.remotes.values())

    run(scenario())


def test_what_is_local_is_there_when_start_returns(world: World, tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "revocations.jwt"
        file.write_text(world.signed(("passport", "p")))
        keeper = world.keeper(world.settings(keys=LAB.jwks, revocations=f"file:{file}"))
        await keeper.start()
        assert lab(keeper).keys is not None
        assert revoked(keeper) == revoked_ids("p")
        await keeper.close()

    run(scenario())


def test_revoking_in_a_file_takes_effect_within_a_second(world: World, tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "revocations.jwt"
        file.write_text(world.signed())
        keeper = world.keeper(world.settings(keys=LAB.jwks, revocations=f"file:{file}"))
        await keeper.start()
        await settled()
        at = world.clock.boot
        file.write_text(world.signed(("passport", "p"), ahead=1))
        while revoked(keeper) != revoked_ids("p"):
            world.clock.advance(0.1)
            await asyncio.sleep(0.002)
            assert world.clock.boot - at < 10
        assert world.clock.boot - at <= 2  # one second, and a turn of the loop
        await keeper.close()

    run(scenario())


def test_a_source_is_confirmed_by_304_and_stays_young(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB), tag='"1"')
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        version = keeper.trust.version
        await world.tick(59)
        assert row(keeper, "keys")["age_s"] == 59
        assert keys.asked == [None]
        await world.tick(2)
        await eventually(lambda: row(keeper, "keys")["age_s"] < 2)
        assert keys.asked == [None, '"1"']
        assert keeper.trust.version == version
        assert len(world.changes) == 1
        await keeper.close()

    run(scenario())


def test_a_failing_source_keeps_its_last_trust_which_ages_and_is_reported(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        keys.body = b'{"keys": [{"kty": "RSA"}]}'
        await world.tick(100)
        assert lab(keeper).keys is not None
        status = row(keeper, "keys")
        assert status["age_s"] == 100
        assert "not an RSA key" in status["error"]
        assert "\n" not in status["error"]
        assert status["failures"] == status["failures_total"] > 3
        keys.body = jwks(LAB).encode()
        await world.tick(61)
        status = row(keeper, "keys")
        assert (status["error"], status["failures"]) == ("", 0)
        assert status["failures_total"] > 3
        await keeper.close()

    run(scenario())


def test_retries_come_soon_at_first_and_then_ever_later_up_to_the_refresh(world: World) -> None:
    async def scenario() -> None:
        times: list[float] = []
        down = world.remote("test:keys", "")
        down.body = SourceError("down")

        async def note() -> None:
            times.append(world.clock.boot)

        down.gate = note
        keeper = world.keeper(world.settings(revocations=None, refresh_s=20.0))
        await keeper.start()
        await settled()
        await world.tick(100)
        gaps = [round(b - a) for a, b in itertools.pairwise(times)]
        assert gaps[:4] == [1, 2, 4, 8]
        assert 16 in gaps
        assert max(gaps) <= 21
        await keeper.close()

    run(scenario())


def test_one_bad_issuer_blocks_no_other(world: World) -> None:
    async def scenario() -> None:
        hangs = world.remote("test:hangs", "")
        hangs.gate = asyncio.Event().wait
        world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed())
        keeper = world.keeper(
            world.settings(OTHER, keys="test:hangs", revocations=None), world.settings()
        )
        await keeper.start()
        await eventually(lambda: revoked(keeper) is not None)
        assert keeper.trust.issuers["iss_other"].keys is None
        await keeper.close()

    run(scenario())


def test_ten_thousand_forged_keys_cause_one_reading_an_interval(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None, refresh_s=3600.0))
        await keeper.start()
        await loaded(keeper)
        await world.tick(60, step=5)
        before = len(keys.asked)
        for number in range(10_000):
            keeper.note_unknown_kid("iss_lab", f"forged-{number}")
        await settled()
        assert len(keys.asked) == before + 1
        for second in range(int(3 * ASK_INTERVAL_S)):
            for number in range(100):
                keeper.note_unknown_kid("iss_lab", f"forged-{second}-{number}")
            await world.tick(1)
        assert len(keys.asked) == before + 4
        status = row(keeper, "keys")
        assert status["unknown_kids"] == 10_000 + 3 * ASK_INTERVAL_S * 100
        await keeper.close()

    run(scenario())


def test_one_forged_key_asked_for_again_and_again_is_asked_for_once(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None, refresh_s=3600.0))
        await keeper.start()
        await loaded(keeper)
        for _ in range(200):
            keeper.note_unknown_kid("iss_lab", "forged")
            await world.tick(5, step=5)
        assert len(keys.asked) == 2
        await keeper.close()

    run(scenario())


def test_a_new_key_is_learnt_when_a_passport_names_it(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB), tag='"1"')
        keeper = world.keeper(world.settings(revocations=None, refresh_s=3600.0))
        await keeper.start()
        await loaded(keeper)
        await world.tick(60, step=5)
        keys.body, keys.tag = jwks(LAB, ROTATED).encode(), '"2"'
        keeper.note_unknown_kid("iss_lab", ROTATED.kid)
        await eventually(lambda: ROTATED.kid in _keys(keeper))
        await keeper.close()

    run(scenario())


def _keys(keeper: Keeper) -> set[str]:
    keys = lab(keeper).keys
    return set() if keys is None else set(keys.keys)


def test_the_room_for_forged_keys_is_bounded(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        for number in range(10_000):
            keeper.note_unknown_kid("iss_lab", "x" * 1000 + str(number))
        unknown = keeper._followed["iss_lab"].unknown
        assert len(unknown) <= 1024
        assert all(isinstance(token, int) for token in unknown)
        await keeper.close()

    run(scenario())


def test_unknown_keys_do_not_hurry_a_source_that_fails(world: World) -> None:
    async def scenario() -> None:
        down = world.remote("test:keys", "nonsense")
        keeper = world.keeper(world.settings(revocations=None, refresh_s=3600.0))
        await keeper.start()
        await world.tick(600, step=5)
        before = len(down.asked)
        for number in range(1000):
            keeper.note_unknown_kid("iss_lab", str(number))
        await settled()
        assert len(down.asked) == before
        keeper.note_unknown_kid("iss_nobody", "x")
        await keeper.close()

    run(scenario())


def test_a_gate_starts_from_the_last_good_copy_while_the_sources_are_down(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB), tag='"k"')
        listed = world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        await keeper.close()

        world.clock.advance(1800)
        keys.body = listed.body = SourceError("down")
        world.clock.boot = 7.0
        again = world.keeper(world.settings(), boot="rebooted")
        await again.start()
        assert _keys(again) == {LAB.kid}
        assert revoked(again) == revoked_ids("p")
        assert row(again, "keys")["age_s"] == 1800
        assert keys.asked == [None]
        await eventually(lambda: keys.asked[1:] == ['"k"'])
        await again.close()

    run(scenario())


def test_a_confirmation_is_remembered_over_a_restart(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB), tag='"k"')
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        await world.tick(600, step=5)
        assert keys.asked == [None] + ['"k"'] * 10
        await keeper.close()

        keys.body = SourceError("down")
        world.clock.advance(100)
        again = world.keeper(world.settings(revocations=None))
        await again.start()
        assert row(again, "keys")["age_s"] == 100
        await again.close()

    run(scenario())


def test_confirmations_are_written_no_more_often_than_they_matter(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB), tag='"k"')
        keeper = world.keeper(world.settings(revocations=None, refresh_s=1.0))
        await keeper.start()
        await loaded(keeper)
        written: set[float] = set()
        for _ in range(60):
            await world.tick(1)
            written |= {p.stat().st_mtime_ns for p in world.directory.glob("trust/*.seen")}
        await keeper.close()
        assert len(written) == 6

    run(scenario())


def test_a_list_played_back_is_refused_also_after_a_restart(world: World) -> None:
    async def scenario() -> None:
        old, new = world.signed(), world.signed(("passport", "p"), ahead=1)
        world.remote("test:keys", jwks(LAB))
        listed = world.remote("test:list", new)
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        listed.body = old.encode()
        await world.tick(61)
        assert revoked(keeper) == revoked_ids("p")
        assert "older than one accepted before" in row(keeper, "revocations")["error"]
        assert row(keeper, "revocations")["age_s"] == 61
        await keeper.close()

        again = world.keeper(world.settings())
        await again.start()
        await eventually(lambda: "older than" in row(again, "revocations")["error"])
        assert revoked(again) == revoked_ids("p")
        await again.close()

    run(scenario())


def test_it_is_the_newest_copy_that_a_restart_finds(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        listed = world.remote("test:list", world.signed())
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        listed.body = world.signed(("passport", "p"), ahead=1).encode()
        await world.tick(61)
        await loaded(keeper)
        await keeper.close()

        listed.body = SourceError("down")
        again = world.keeper(world.settings())
        await again.start()
        assert revoked(again) == revoked_ids("p")
        await again.close()

    run(scenario())


def test_a_plain_list_does_not_replace_a_signed_one_of_the_same_source(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        listed = world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        listed.body = b'{"passport_ids": []}'
        await world.tick(61)
        assert revoked(keeper) == revoked_ids("p")
        assert "not signed" in row(keeper, "revocations")["error"]

        world.remote("test:plain", '{"passport_ids": ["q"]}')
        await keeper.reconfigure([world.settings(revocations="test:plain")])
        assert revoked(keeper) == revoked_ids("p")  # until the new source was read
        await eventually(lambda: revoked(keeper) == revoked_ids("q"))
        world.remotes["test:plain"].body = b'{"passport_ids": ["q", "r"]}'
        await world.tick(61)
        assert revoked(keeper) == revoked_ids("q", "r")
        world.remotes["test:plain"].body = world.signed(ahead=-3600).encode()
        await world.tick(61)
        assert "older than" in row(keeper, "revocations")["error"]
        await keeper.close()

    run(scenario())


def test_a_list_whose_key_is_gone_stays_in_force_and_ages(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        listed = world.remote("test:list", world.signed(("passport", "p")), '"1"')
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        keys.body = jwks(ROTATED).encode()
        await world.tick(120)
        assert _keys(keeper) == {ROTATED.kid}
        assert revoked(keeper) == revoked_ids("p")
        assert row(keeper, "revocations")["age_s"] > 55
        assert "does not have now" in row(keeper, "revocations")["error"]
        await keeper.close()

        again = world.keeper(world.settings())
        await again.start()
        assert revoked(again) == revoked_ids("p")
        listed.body = ROTATED.revocation_list(("passport", "q"), now=world.clock.wall).encode()
        listed.tag = '"2"'
        await world.tick(61)
        assert revoked(again) == revoked_ids("q")
        await again.close()

    run(scenario())


def test_the_same_kid_with_another_key_does_not_confirm_a_list(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        impostor = dict(ROTATED.jwks["keys"][0]) | {"kid": LAB.kid}
        keys.body = json.dumps({"keys": [impostor]}).encode()
        await world.tick(120)
        assert "does not have now" in row(keeper, "revocations")["error"]
        await keeper.close()

    run(scenario())


def test_a_list_waits_for_keys_and_is_judged_as_soon_as_they_change(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(ROTATED))
        world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings(refresh_s=3600.0))
        await keeper.start()
        await world.tick(600, step=5)
        assert revoked(keeper) is None
        keys.body = jwks(ROTATED, LAB).encode()
        keeper.note_unknown_kid("iss_lab", LAB.kid)
        await eventually(lambda: revoked(keeper) == revoked_ids("p"))
        await keeper.close()

    run(scenario())


def test_a_list_from_a_file_waits_for_the_keys_of_another_machine(
    world: World, tmp_path: Path
) -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()
        world.remote("test:keys", jwks(LAB)).gate = arrived.wait
        file = tmp_path / "revocations.jwt"
        file.write_text(world.signed(("passport", "p")))
        keeper = world.keeper(world.settings(revocations=f"file:{file}"))
        await keeper.start()  # does not wait for the other machine
        assert revoked(keeper) is None
        arrived.set()
        await eventually(lambda: revoked(keeper) == revoked_ids("p"))
        assert row(keeper, "revocations")["failures_total"] == 0
        await keeper.close()

    run(scenario())


def test_a_list_that_came_before_the_first_keys_is_judged_by_them(world: World) -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()
        world.remote("test:keys", jwks(LAB)).gate = arrived.wait
        listed = world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await settled()
        assert listed.asked == [None]
        arrived.set()
        await loaded(keeper)
        assert revoked(keeper) == revoked_ids("p")
        assert row(keeper, "revocations")["failures_total"] == 0
        await keeper.close()

    run(scenario())


def test_a_plain_list_is_confirmed_whatever_the_keys_are(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", "nonsense")
        world.remote("test:list", '{"passport_ids": ["p"]}', tag='"1"')
        keeper = world.keeper(world.settings())
        await keeper.start()
        await eventually(lambda: revoked(keeper) == revoked_ids("p"))
        await world.tick(62)
        status = row(keeper, "revocations")
        assert (status["error"], status["expires_at"]) == ("", None)
        assert status["age_s"] < 5
        await keeper.close()

    run(scenario())


def test_a_revoked_key_signs_no_further_list(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB, ROTATED))
        listed = world.remote("test:list", world.signed(("key", LAB.kid)))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        listed.body = world.signed(ahead=100).encode()
        await world.tick(61)
        assert "signed by a key that has been revoked" in row(keeper, "revocations")["error"]
        listed.body = ROTATED.revocation_list(("key", LAB.kid), now=world.clock.wall).encode()
        await world.tick(61)
        assert row(keeper, "revocations")["error"] == ""
        await keeper.close()

    run(scenario())


def test_a_status_list_is_read_again_when_it_wants_to_be(world: World) -> None:
    """By its `ttl` where that is shorter than `refresh`; a copy of it is taken up at start."""

    async def scenario() -> None:
        def listed(status: int, ahead: int = 0) -> str:
            return LAB.status_list("s:1", status, now=world.clock.wall + ahead, claims={"ttl": 10})

        world.remote("test:keys", jwks(LAB))
        script = world.remote("test:list", listed(0))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        script.body = listed(1, ahead=1).encode()
        await world.tick(11)
        assert revokes(keeper)
        script.body = listed(0, ahead=-30).encode()
        await world.tick(11)
        assert "older than one accepted before" in row(keeper, "revocations")["error"]
        assert revokes(keeper)
        await keeper.close()
        script.body = SourceError("down")
        again = world.keeper(world.settings())
        await again.start()
        assert revokes(again)
        await again.close()

    def revokes(keeper: Keeper) -> bool:
        revocations = lab(keeper).revocations
        assert revocations is not None
        assert revocations.statuses is not None
        return revocations.statuses.revokes(StatusReference("s:1", 0))

    run(scenario())


def test_a_large_list_is_read_beside_the_loop(world: World) -> None:
    async def scenario() -> None:
        entries = [("passport", f"pass_{number:026}") for number in range(2000)]
        world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed(*entries))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        assert len(revoked(keeper) or ()) == 2000
        await keeper.close()

    run(scenario())


def test_a_damaged_copy_refuses_the_start(world: World, tmp_path: Path) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        await keeper.close()
        (path,) = (tmp_path / "trust").glob("*.copy")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DataError, match=path.name):
            await world.keeper(world.settings(revocations=None)).start()

    run(scenario())


def test_a_whole_copy_that_teaches_nothing_refuses_the_start(world: World, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = TrustStore(tmp_path / "trust", "b")
        for kind, body in (("keys", b"{}"), ("revocations", world.signed().encode())):
            keeper = world.keeper(world.settings(revocations=None))
            world.remote("test:keys", jwks(LAB))
            await keeper.start()
            await loaded(keeper)
            await keeper.close()
            found = store.load("iss_lab", "keys", world.clock())
            assert found is not None
            store.save(type(found)("iss_lab", kind, "test:keys", body, None, world.clock()))  # type: ignore[arg-type]  # both are kinds
            with pytest.raises(DataError, match=f"{kind}.copy.*or remove it"):
                await world.keeper(world.settings()).start()
            store.path_of("iss_lab", kind).unlink()  # type: ignore[arg-type]  # both are kinds

    run(scenario())


def test_keys_of_another_source_are_not_taken_up(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        await keeper.close()
        moved = world.keeper(world.settings(keys="test:elsewhere", revocations=None))
        await moved.start()
        assert lab(moved).keys is None
        await moved.close()

    run(scenario())


def test_a_disk_that_is_full_keeps_no_trust_from_taking_effect(
    world: World, tmp_path: Path
) -> None:
    async def scenario() -> None:
        listed = world.remote("test:list", world.signed(), tag='"1"')
        world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings())
        (tmp_path / "trust").mkdir()
        await keeper.start()
        (tmp_path / "trust").rmdir()
        (tmp_path / "trust").write_text("no directory")
        await eventually(lambda: revoked(keeper) is not None)
        await eventually(lambda: "no copy could be kept" in row(keeper, "revocations")["error"])
        await eventually(lambda: "gate.data_dir" in row(keeper, "keys")["error"])
        listed.body, listed.tag = world.signed(("passport", "p"), ahead=1).encode(), '"2"'
        for _ in range(100):
            world.clock.advance(5)
            await asyncio.sleep(0.001)
        await eventually(lambda: revoked(keeper) == revoked_ids("p"))

        (tmp_path / "trust").unlink()
        for _ in range(100):
            world.clock.advance(5)
            await asyncio.sleep(0.001)
        await loaded(keeper)
        await keeper.close()
        assert len(list((tmp_path / "trust").glob("*.copy"))) == 2

    run(scenario())


def test_reconfiguring_keeps_what_is_unchanged_and_swaps_the_rest_at_once(world: World) -> None:
    async def scenario() -> None:
        keys = world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings())
        await keeper.start()
        await loaded(keeper)
        narrowed = world.settings()
        narrowed = IssuerSettings(
            LAB.trusted(world.clock(), keys=None, revocations=None, permissions=("api:*",)),
            narrowed.keys,
            narrowed.revocations,
        )
        inline = world.settings(OTHER, keys=OTHER.jwks, revocations=None)
        await keeper.reconfigure([narrowed, inline])
        assert lab(keeper).permissions == ("api:*",)
        assert _keys(keeper) == {LAB.kid}
        assert keeper.trust.issuers["iss_other"].keys is not None
        assert world.changes[-1].what == "issuers"
        assert set(world.changes[-1].before.issuers) == {"iss_lab"}
        assert len(keys.asked) == 1
        await world.tick(61)
        assert len(keys.asked) == 2  # still followed, once

        await keeper.reconfigure([inline])
        assert set(keeper.trust.issuers) == {"iss_other"}
        await world.tick(200, step=5)
        assert len(keys.asked) == 2
        assert not keys.open
        keeper.note_unknown_kid("iss_lab", "x")
        await keeper.close()

    run(scenario())


def test_another_refresh_keeps_what_was_learnt(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings(), store=False)
        await keeper.start()
        await loaded(keeper)
        for remote in world.remotes.values():
            remote.body = SourceError("down")
        await keeper.reconfigure([world.settings(refresh_s=5.0)])
        assert _keys(keeper) == {LAB.kid}
        assert revoked(keeper) == revoked_ids("p")
        await keeper.reconfigure([world.settings(keys="test:elsewhere")])
        assert _keys(keeper) == set()
        assert revoked(keeper) == revoked_ids("p")
        await keeper.reconfigure([world.settings(revocations=None)])
        assert revoked(keeper) is None
        await keeper.close()

    run(scenario())


def test_a_configuration_that_cannot_be_followed_changes_nothing(
    world: World, tmp_path: Path
) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await loaded(keeper)
        before = keeper.trust
        with pytest.raises(SourceError, match="not ftp"):
            await keeper.reconfigure([world.settings(keys="ftp:x")])
        with pytest.raises(SourceError, match="configured twice"):
            await keeper.reconfigure([world.settings(), world.settings()])
        damaged = TrustStore(tmp_path / "trust").path_of("iss_other", "keys")
        damaged.write_text("damaged")
        world.remote("test:other", jwks(OTHER))
        with pytest.raises(DataError):
            await keeper.reconfigure([world.settings(OTHER, keys="test:other")])
        assert not world.remotes["test:other"].open
        assert keeper.trust is before
        await world.tick(61)
        assert row(keeper, "keys")["age_s"] <= 2
        await keeper.close()

    run(scenario())


def test_an_error_that_nobody_foresaw_is_told_and_the_source_followed_on(world: World) -> None:
    async def scenario() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        keys = world.remote("test:keys", jwks(LAB))
        keys.body = KeyError("a defect")
        keeper = world.keeper(world.settings(revocations=None))
        await keeper.start()
        await eventually(lambda: told)
        assert isinstance(told[0]["exception"], KeyError)
        assert "KeyError" in row(keeper, "keys")["error"]
        keys.body = jwks(LAB).encode()
        await world.tick(2)
        await loaded(keeper)
        await keeper.close()

    run(scenario())


def test_a_change_while_the_list_is_being_read_has_it_read_once_more(world: World) -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()
        keys = world.remote("test:keys", jwks(ROTATED))
        listed = world.remote("test:list", world.signed(("passport", "p")))
        keeper = world.keeper(world.settings(refresh_s=3600.0))
        await keeper.start()
        await eventually(lambda: row(keeper, "revocations")["error"])
        listed.gate = arrived.wait
        before = len(listed.asked)
        await world.tick(30)
        assert len(listed.asked) == before + 1  # and hangs
        keys.body = jwks(LAB).encode()
        keeper.note_unknown_kid("iss_lab", LAB.kid)
        await eventually(lambda: _keys(keeper) == {LAB.kid})
        arrived.set()
        await eventually(lambda: revoked(keeper) == revoked_ids("p"))
        await eventually(lambda: len(listed.asked) == before + 2)
        await keeper.close()

    run(scenario())


def test_reading_once_follows_nothing(world: World) -> None:
    async def scenario() -> None:
        world.remote("test:keys", jwks(LAB))
        listed = world.remote("test:list", "nonsense")
        keeper = world.keeper(world.settings(), store=False)
        await keeper.read_once()
        assert _keys(keeper) == {LAB.kid}
        assert row(keeper, "revocations")["error"] != ""
        assert not listed.open
        assert not os.listdir(world.directory)  # noqa: PTH208 - a name is enough

    run(scenario())
