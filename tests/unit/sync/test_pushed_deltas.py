"""Deltas on a list that is followed: what they add, what they confirm, what a restart finds."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from passgate.core.trust import Revocations
from passgate.errors import DataError
from passgate.sync import learning
from passgate.sync.follower import ASK_INTERVAL_S, Rhythm
from passgate.sync.learning import KeysFollower, ListFollower, Taken
from passgate.sync.sources import FileSource, InlineSource
from passgate.sync.store import Copy, SignedDelta, TrustStore
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
ROTATED = TestIssuer("iss_lab", seed="next")
START = 1_800_000_000
ADDED, KNOWN, GAP = Taken(True, False), Taken(False, False), Taken(False, True)


class Lab:
    """The list of iss_lab in a file, followed as the keeper would."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(float(START))
        self.file = directory / "list.jwt"
        self.store = TrustStore(directory / "trust", "b")
        self.changes: list[bool] = []
        self.jwks: dict[str, Any] = {"keys": [*LAB.jwks["keys"], *ROTATED.jwks["keys"]]}

    async def followed(self) -> ListFollower:
        """What a start of the gate would have."""
        rhythm = Rhythm(self.clock, self.clock.wait, lambda: 0.0)

        def changed(_: object, more_than_age: bool) -> None:
            self.changes.append(more_than_age)

        inline = InlineSource(self.jwks, "keys")
        keys = KeysFollower("iss_lab", inline, 60.0, rhythm, self.store, changed)
        source = FileSource(f"file:{self.file}", "revocations")
        listed = ListFollower("iss_lab", source, 60.0, rhythm, self.store, changed)
        listed.signers = keys
        await keys.restore()
        await listed.restore()
        await keys.attempt()
        return listed

    def write(self, iat: int, *agents: str, raw: str | None = None) -> None:
        made = LAB.revocation_list(*[("agent", each) for each in agents], now=iat)
        self.file.write_text(made if raw is None else raw)

    def delta(
        self, before: int, after: int, *agents: str, issuer: TestIssuer = LAB, **claims: Any
    ) -> bytes:
        body = {
            "iss": "iss_lab",
            "iat": int(self.clock.wall),
            "exp": START + 86_400,
            "before": before,
            "after": after,
            "revoked": [{"kind": "agent", "id": each} for each in agents],
        }
        header = {"alg": "EdDSA", "kid": issuer.kid, "typ": "revocations-delta+jwt"}
        return issuer.sign(body | claims, header).encode()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def value(listed: ListFollower) -> Revocations:
    assert listed.value is not None
    return listed.value


def agents(listed: ListFollower) -> set[str]:
    return {each for each in ("a1", "a2", "a3", "a4") if each in value(listed).agents}


def test_each_delta_leads_to_the_next_and_a_gap_is_told(lab: Lab) -> None:
    """One that is known is passed over, one that begins earlier is taken, one beyond is a gap."""

    async def scenario() -> None:
        lab.write(START, "a1")
        listed = await lab.followed()
        await listed.attempt()

        def take(*arguments: Any) -> Taken:
            return listed.take_delta(lab.delta(*arguments), lab.clock())

        assert listed.number == START
        assert take(START, START + 1, "a2") == ADDED
        assert take(START, START + 1, "a2") == KNOWN
        assert take(START, START + 2, "a2", "a3") == ADDED
        assert agents(listed) == {"a1", "a2", "a3"}
        assert take(START + 3, START + 4, "a4") == GAP
        assert take(START + 3, START + 3) == GAP
        assert agents(listed) == {"a1", "a2", "a3"}
        assert listed.number == START + 2
        assert lab.changes == [True, True, True, False, True]  # keys, list, and three deltas

    run(scenario())


def test_what_confirms_the_list_makes_it_as_old_as_it_says(lab: Lab) -> None:
    """A heartbeat that was held back, or that is of an older list, makes nothing young."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        early = lab.delta(START, START)
        lab.clock.advance(50)

        def age() -> float:
            return lab.clock().age_of(value(listed).read_at)

        assert listed.take_delta(early, lab.clock()) == KNOWN
        assert age() == 50
        late = lab.delta(START, START)
        lab.clock.advance(5)
        listed.take_delta(late, lab.clock())
        assert age() == 5
        listed.take_delta(early, lab.clock())
        assert age() == 5
        listed.take_delta(lab.delta(START, START + 1, "a1"), lab.clock())
        assert age() == 0
        lab.clock.advance(5)
        listed.take_delta(lab.delta(START, START), lab.clock())  # of the list before
        listed.take_delta(lab.delta(START + 9, START + 9), lab.clock())  # of one that is missing
        assert age() == 5

    run(scenario())


def test_a_source_that_is_behind_confirms_nothing(lab: Lab) -> None:
    """The list as it was before what was pushed: neither read again nor played back."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        listed.take_delta(lab.delta(START, START + 5, "a1"), lab.clock())
        lab.clock.advance(9)
        await listed.attempt()
        assert "older than what was pushed" in listed.error
        lab.write(START + 4)
        await listed.attempt()
        assert "older than one accepted before" in listed.error
        assert agents(listed) == {"a1"}
        assert lab.clock().age_of(value(listed).read_at) == 9
        lab.write(START + 5, "a1", "a2")
        await listed.attempt()
        assert (listed.error, listed.deltas) == ("", ())
        assert agents(listed) == {"a1", "a2"}
        lab.clock.advance(1)
        await listed.attempt()
        assert lab.clock().age_of(value(listed).read_at) == 0

    run(scenario())


@pytest.mark.parametrize(
    "raw", [None, '{"passport_ids": ["p"]}', LAB.status_list("s", 0, now=START)]
)
def test_there_must_be_a_list_that_it_can_add_to(lab: Lab, raw: str | None) -> None:
    """None yet, a plain one and a status list are none."""

    async def scenario() -> None:
        listed = await lab.followed()
        if raw is not None:
            lab.write(START, raw=raw)
            await listed.attempt()
            assert listed.error == ""
        assert listed.number is None
        with pytest.raises(ValueError, match="no signed list"):
            listed.take_delta(lab.delta(START, START + 1, "a1"), lab.clock())

    run(scenario())


def test_a_key_revoked_by_a_delta_adds_no_more(lab: Lab) -> None:
    """Nor does a key that the issuer never had, nor one of another."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        entries = [{"kind": "key", "id": ROTATED.kid}]
        assert (
            listed.take_delta(lab.delta(START, START + 1, "a1", issuer=ROTATED), lab.clock())
            == ADDED
        )
        listed.take_delta(lab.delta(START + 1, START + 2, revoked=entries), lab.clock())
        for issuer in (ROTATED, TestIssuer("iss_lab", seed="nobody's"), TestIssuer("iss_other")):
            with pytest.raises(ValueError, match="key that"):
                listed.take_delta(lab.delta(START + 2, START + 3, "a2", issuer=issuer), lab.clock())
        # A new one may be the reason: the keys are asked for soon, and not at their refresh.
        assert listed.signers.next_attempt_s(lab.clock()) <= ASK_INTERVAL_S
        assert agents(listed) == {"a1"}

    run(scenario())


def test_a_restart_finds_what_was_added(lab: Lab) -> None:
    """Also what a key signed that was revoked later; a newer list takes the place of all."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        entries = [{"kind": "key", "id": ROTATED.kid}]
        listed.take_delta(lab.delta(START, START + 1, "a1", issuer=ROTATED), lab.clock())
        listed.take_delta(lab.delta(START + 1, START + 2, revoked=entries), lab.clock())
        lab.store.save_deltas("iss_lab", listed.deltas)

        again = await lab.followed()
        assert agents(again) == {"a1"}
        assert ROTATED.kid in value(again).keys
        assert again.number == START + 2
        assert again.deltas == listed.deltas
        await again.attempt()
        assert "older than" in again.error
        lab.write(START + 3, "a2")
        await again.attempt()
        third = await lab.followed()
        assert (agents(third), third.number, third.deltas) == ({"a2"}, START + 3, ())

    run(scenario())


def test_a_list_from_a_bundle_stands_without_what_was_pushed_before(lab: Lab) -> None:
    """It was issued later, so it has all of that."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        listed.take_delta(lab.delta(START, START + 1, "a1"), lab.clock())
        now = lab.clock()
        body = LAB.revocation_list(("agent", "a1"), ("agent", "a2"), now=START + 2).encode()
        signed_by = (LAB.kid, LAB.public_key.hex())

        def copy(iat: int) -> Copy:
            return Copy("iss_lab", "revocations", "bundle", body, None, now, iat, signed_by)

        assert not listed.outruns(copy(START), now)
        assert listed.outruns(copy(START + 2), now)
        listed.take(listed.reread(copy(START + 2)), copy(START + 2))
        assert (agents(listed), listed.deltas, listed.number) == ({"a1", "a2"}, (), START + 2)

    run(scenario())


def test_deltas_without_their_list_are_none(lab: Lab) -> None:
    """Where the copy of the list was removed there is nothing to add to."""

    async def scenario() -> None:
        lab.store.save_deltas("iss_lab", [SignedDelta(b"a.b.c", (LAB.kid, "00"))])
        listed = await lab.followed()
        assert listed.value is None
        assert lab.store.load_deltas("iss_other") == []

    run(scenario())


@pytest.mark.parametrize("damage", ["cut", "foreign", "unsigned", "shape"])
def test_what_the_gate_did_not_write_refuses_the_start(lab: Lab, damage: str) -> None:
    """A revocation must not get lost silently; the file is named."""

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        key = (LAB.kid, LAB.public_key.hex())
        store = lab.store
        path = store.deltas_path_of("iss_lab")
        store.save_deltas("iss_lab", [SignedDelta(lab.delta(START, START + 1, "a1"), key)])
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "foreign":
            store.save_deltas("iss_other", [])
            store.deltas_path_of("iss_other").replace(path)
        elif damage == "unsigned":
            store.save_deltas("iss_lab", [SignedDelta(b"a.b.c", key)])
        else:
            line = json.dumps({"issuer": "iss_lab", "deltas": [7]}).encode() + b"\n"
            store._write(path, line)
        with pytest.raises(DataError, match=path.name):
            await lab.followed()

    run(scenario())


def test_many_deltas_want_the_list_and_there_is_a_most(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added beside the list is bounded where the list cannot be read again."""
    monkeypatch.setattr(learning, "MANY_DELTAS", 2)
    monkeypatch.setattr(learning, "MAX_DELTAS", 4)

    async def scenario() -> None:
        lab.write(START)
        listed = await lab.followed()
        await listed.attempt()
        found = [
            listed.take_delta(lab.delta(START + n, START + n + 1, f"a{n}"), lab.clock())
            for n in range(4)
        ]
        assert [each.wants_list for each in found] == [False, False, True, True]
        with pytest.raises(ValueError, match="too much was pushed"):
            listed.take_delta(lab.delta(START + 4, START + 5, "a5"), lab.clock())
        lab.write(START + 5)
        await listed.attempt()
        assert listed.take_delta(lab.delta(START + 5, START + 6, "a6"), lab.clock()) == ADDED

    run(scenario())
