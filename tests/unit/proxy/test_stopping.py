"""The kill switch and the straight line: nothing that is stopped is forwarded any more."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually
from tests.support.house import PREFIX, House, body_of, headers_of, inside
from tests.support.late_ledger import LateLedger

from passgate.core.kills import Kill, kills_of
from passgate.proxy.steps import Answer, Forward, Wait

RELAXED = {"audit": {"durability": "relaxed"}}
OPEN = {"enabled": True, "allowed_actions": ["public"]}
LIMITED = {"core:rate:max_per_minute": 5, "core:rate:max_concurrent": 5}


def stop(house: House, kind: str, target: str = "") -> None:
    """Turns the switch, as an order does once it is in force."""
    order = Kill("kill_1", kind, target, "", "", "ann", 0)
    house.keeper.adopt_kills(kills_of([order]))


class TestNext:
    """The request after an order."""

    def test_it_is_refused_and_on_record(self, tmp_path: Path) -> None:
        """`killed`, with the passport that it was; lifted, the same passport passes again."""

        async def work(house: House) -> None:
            passport = house.mint(agent="agent-7")
            await house.forwarded("GET", "/v1/search", passport)
            stop(house, "agent", "agent-7")
            answer = await house.answered("GET", "/v1/search", passport)
            assert (answer.status, body_of(answer)["code"]) == (403, "killed")
            assert "retry-after" not in headers_of(answer)
            house.keeper.adopt_kills(kills_of(()))
            await house.forwarded("GET", "/v1/search", passport)

        house = inside(tmp_path, work, **RELAXED)
        refused = [line for line in house.lines("decision") if line["decision"] == "block"]
        assert [(line["reason_code"], line["agent_id"]) for line in refused] == [
            ("killed", "agent-7")
        ]

    def test_everything_stopped_is_503_for_everybody(self, tmp_path: Path) -> None:
        """With when to ask again; what the gate tells of itself, it still tells."""

        async def work(house: House) -> None:
            stop(house, "all")
            for passport, target in (
                (house.mint(), "/v1/search"),
                (None, "/public/x"),
                ("nonsense", "/v1/search"),
                (house.mint(), f"{PREFIX}/passport"),
            ):
                answer = await house.answered("GET", target, passport)
                assert (answer.status, body_of(answer)["code"]) == (503, "killed")
                assert headers_of(answer)["retry-after"] == "60"
            assert (await house.answered("GET", f"{PREFIX}/keys")).status == 200

        inside(tmp_path, work, anonymous=OPEN)

    def test_a_dry_run_shows_it(self, tmp_path: Path) -> None:
        """What concerns the action among the checks; what concerns the asker is all it hears."""

        async def ask(house: House) -> Answer:
            passport, body = house.mint(agent="agent-7"), b'{"action":"api:search"}'
            return await house.answered("POST", f"{PREFIX}/check", passport, body=body)

        async def work(house: House) -> None:
            for kind, target in (("action", "api:search"), ("all", "")):
                stop(house, kind, target)
                answer = await ask(house)
                asked = body_of(answer)
                assert (answer.status, asked["decision"], asked["code"]) == (200, "block", "killed")
                assert [row["check"] for row in asked["checks"] if row["outcome"] == "refused"] == [
                    9
                ]
            stop(house, "agent", "agent-7")
            answer = await ask(house)
            assert (answer.status, body_of(answer)["code"]) == (403, "killed")

        inside(tmp_path, work)


class TestWaiting:
    """What was judged before the order, and has not been forwarded yet."""

    @pytest.mark.parametrize("kind", ["all", "action", "agent"])
    def test_what_waits_for_its_record_is_not_forwarded(self, tmp_path: Path, kind: str) -> None:
        """Once an order is confirmed nothing passes, also not what was allowed just before it."""
        target = {"all": "", "action": "api:*", "agent": "agent-7"}[kind]

        async def work(house: House) -> None:
            passport = house.mint(agent="agent-7", constraints=LIMITED)
            _, step, resumed = house.begin(house.wire("GET", "/v1/search", passport))
            assert isinstance(step, Wait)
            stop(house, kind, target)
            answer = await asyncio.wait_for(resumed, 5)
            assert isinstance(answer, Answer)
            assert body_of(answer)["code"] == "killed"
            assert answer.status == (503 if kind == "all" else 403)
            assert house.enforcer.inflight == 0

        house = inside(tmp_path, work)
        (outcome,) = house.lines("outcome")
        assert (outcome["outcome"], outcome["released"]) == ("cut", True)

    def test_what_is_not_meant_goes_on(self, tmp_path: Path) -> None:
        """Another agent is stopped."""

        async def work(house: House) -> None:
            _, step, resumed = house.begin(house.wire("GET", "/v1/search", house.mint()))
            assert isinstance(step, Wait)
            stop(house, "agent", "agent-other")
            assert isinstance(await asyncio.wait_for(resumed, 5), Forward)

        inside(tmp_path, work)

    def test_who_has_gone_meanwhile_is_not_answered(self, tmp_path: Path) -> None:
        """Its outcome says that it went, and its charges are given back."""

        async def work(house: House) -> None:
            case, step, resumed = house.begin(house.wire("GET", "/v1/search", house.mint()))
            assert isinstance(step, Wait)
            case.abandon()
            stop(house, "all")
            await eventually(lambda: house.enforcer.inflight == 0)
            assert not resumed.done()

        house = inside(tmp_path, work)
        assert [line["outcome"] for line in house.lines("outcome")] == ["client_gone"]

    def test_what_waits_for_a_counter_gives_it_back(self, tmp_path: Path) -> None:
        """Counters behind a round trip."""

        async def work(house: House) -> None:
            ledger: Any = LateLedger()
            house.enforcer.ledger = ledger
            passport = house.mint(constraints=LIMITED)
            _, step, resumed = house.begin(house.wire("GET", "/v1/search", passport))
            assert isinstance(step, Wait)
            stop(house, "all")
            answer = await asyncio.wait_for(resumed, 5)
            assert isinstance(answer, Answer)
            assert body_of(answer)["code"] == "killed"
            assert [counter.used for counter in ledger._by_name.values()] == [0, 0]

        inside(tmp_path, work)

    def test_a_slow_body_does_not_outrun_it(self, tmp_path: Path) -> None:
        """It is judged once the body is there."""

        async def work(house: House) -> None:
            case, _, _ = house.begin(
                house.wire(
                    "POST",
                    "/v1/orders",
                    house.mint(),
                    headers=(("Content-Type", "application/json"),),
                )
            )
            stop(house, "action", "shop:order")
            answer = case.with_body(b'{"amount":1}')
            assert isinstance(answer, Answer)
            assert body_of(answer)["code"] == "killed"

        inside(tmp_path, work)


def test_an_open_stream_is_stopped(tmp_path: Path) -> None:
    """Of whom it concerns, and of nobody else; anonymous ones with their action or everything."""

    async def work(house: House) -> None:
        enforcer = house.enforcer
        mine = await house.forwarded("GET", "/v1/search", house.mint(agent="agent-7"))
        other = await house.forwarded("GET", "/v1/search", house.mint(agent="agent-8"))
        nobody = await house.forwarded("GET", "/public/x")

        def go_on() -> list[bool]:
            allowed = [enforcer.still_allowed(each) for each in (mine, other, nobody)]
            assert allowed == [not enforcer.killed(each) for each in (mine, other, nobody)]
            return allowed

        assert go_on() == [True, True, True]
        stop(house, "agent", "agent-7")
        assert go_on() == [False, True, True]
        stop(house, "issuer", house.issuer.id)
        assert go_on() == [False, False, True]
        stop(house, "action", "public")
        assert go_on() == [True, True, False]
        stop(house, "all")
        assert go_on() == [False, False, False]

    inside(tmp_path, work, anonymous=OPEN, **RELAXED)
