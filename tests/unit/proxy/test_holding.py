"""Holds as an agent meets them: refused, approved, and passed exactly once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually, settled
from tests.craft import OTHER_KEY
from tests.support.house import PEER, PREFIX, House, body_of, headers_of, inside
from tests.support.late_ledger import BreakingLedger, LateLedger
from tests.support.proofs import proof

from passgate.approvals.held import Held
from passgate.authority.minting import mint_passport
from passgate.client.delegating import delegate
from passgate.client.holder import Holder
from passgate.core.instant import Instant
from passgate.core.jwks import thumbprint
from passgate.proxy.steps import Answer, Forward, NeedBody, Step, Wait

HELD = {"core:approval:required": True, "core:cost:max_cumulative": 100}
ROUTES = [
    {"match": "POST /v1/export", "action": "api:export", "cost_cents": 50},
    {"match": "POST /v1/pay", "action": "api:pay", "amount": "header:X-Amount"},
    {"match": "ANY /v1/free", "action": "api:free"},
    {"match": "ANY /v1/{name}", "action": "api:other", "redact": ["name"]},
]
CONFIG: dict[str, Any] = {"actions": {"routes": ROUTES}, "audit": {"durability": "relaxed"}}


def spent(house: House) -> int:
    """Cents that are taken of every budget."""
    now = house.clock()
    return sum(
        counter.used_at(int(now.boot * 1000), now.wall)
        for name, counter in house.ledger._by_name.items()
        if name.startswith("spend/")
    )


async def held(house: House, passport: str, target: str = "/v1/export", **options: Any) -> str:
    """The id of the hold that a request comes to."""
    answer = await house.answered("POST", target, passport, **options)
    body = body_of(answer)
    assert (answer.status, body["code"], body["decision"]) == (
        403,
        "approval_required",
        "request_hold",
    )
    return str(body["hold"]["id"])


async def decide(house: House, hold_id: str, *, approve: bool = True, reason: str = "") -> Held:
    decided = await house.approvals.decide(hold_id, approve=approve, approver="ann", reason=reason)
    assert isinstance(decided, Held), decided
    return decided


class TestTheWayThrough:
    """From the refusal to the one request that passes."""

    def test_an_approved_request_passes_once(self, tmp_path: Path) -> None:
        """Refused with a hold; approved; sent again it is forwarded; after that it is held anew."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            answer = await house.answered("POST", "/v1/export", passport, body=b'{"n": 1}')
            hold = body_of(answer)["hold"]
            assert hold["id"].startswith("appr_")
            assert hold["status_url"] == f"{PREFIX}/holds/{hold['id']}"
            assert hold["expires_at"] == int(house.clock.wall + 300)
            assert headers_of(answer)["retry-after"] == "10"
            assert headers_of(answer)["passport-decision"] == "request_hold"
            assert spent(house) == 50
            again = await house.answered("POST", "/v1/export", passport, body=b'{"n": 1}')
            assert body_of(again)["hold"] == hold
            assert spent(house) == 50

            await decide(house, hold["id"], reason="ordered")
            forward = await house.forwarded("POST", "/v1/export", passport, body=b'{"n": 1}')
            assert (forward.body, spent(house)) == (b'{"n": 1}', 50)
            house.enforcer.finished(forward, 200, 0, "completed", sent=True)
            assert spent(house) == 50

            fresh = await held(house, passport, body=b'{"n": 1}')
            assert fresh != hold["id"]
            assert spent(house) == 100

        house = inside(tmp_path, work, **CONFIG)
        decisions = house.lines("decision")
        assert [line["decision"] for line in decisions] == [
            "request_hold",
            "request_hold",
            "allow",
            "request_hold",
        ]
        allowed = decisions[2]
        assert allowed["facts"]["approver"] == "ann"
        (approval,) = house.lines("approval")
        assert approval["decision"] == "approved"
        assert (approval["approver"], approval["reason"]) == ("ann", "ordered")
        assert approval["hold_id"] == allowed["facts"]["hold"]
        opened, used, _ = house.lines("hold")
        assert (opened["state"], used["state"], used["released"]) == ("pending", "used", True)
        assert [charge["amount"] for charge in opened["charges"]] == [50]

    def test_it_is_on_disk_before_it_is_forwarded(self, tmp_path: Path) -> None:
        """In strict mode too: hold, approval and decision are lines when the request passes."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport))
            forward = await house.forwarded("POST", "/v1/export", passport)
            kinds = [line["kind"] for line in house.lines()]
            assert kinds.index("hold") < kinds.index("approval") < len(kinds)
            assert house.lines("decision")[-1]["decision_id"] == forward.record.decision_id

        inside(tmp_path, work, actions=CONFIG["actions"])

    def test_without_a_cost_nothing_is_reserved(self, tmp_path: Path) -> None:
        """A rate counts the request that passes, and not the one that is held."""

        async def work(house: House) -> None:
            passport = house.mint(
                constraints={"core:approval:required": True, "core:rate:max_per_hour": 1}
            )
            for number in range(3):
                await held(house, passport, "/v1/free", body=b"%d" % number)
            assert not house.ledger._by_name
            for hold in house.approvals.listed(house.clock()):
                await decide(house, hold.id)
            await house.forwarded("POST", "/v1/free", passport, body=b"0")
            answer = await house.answered("POST", "/v1/free", passport, body=b"1")
            assert (answer.status, body_of(answer)["code"]) == (429, "rate_limited")
            house.clock.advance(3700)

        inside(tmp_path, work, approvals={"grant_ttl": "2h"}, **CONFIG)

    def test_a_grant_survives_what_refuses_its_request(self, tmp_path: Path) -> None:
        """A full rate does not use it up; its spend stays reserved, and later it passes."""

        async def work(house: House) -> None:
            limits = {**HELD, "core:rate:max_per_minute": 1}
            passport = house.mint(constraints=limits)
            one = await held(house, passport, body=b"1")
            two = await held(house, passport, body=b"2")
            await decide(house, one)
            await decide(house, two)
            await house.forwarded("POST", "/v1/export", passport, body=b"1")
            answer = await house.answered("POST", "/v1/export", passport, body=b"2")
            assert body_of(answer)["code"] == "rate_limited"
            assert spent(house) == 100
            house.clock.advance(62)
            await house.forwarded("POST", "/v1/export", passport, body=b"2")
            assert spent(house) == 100

        inside(tmp_path, work, **CONFIG)


class TestBinding:
    """An approval is for exactly one request."""

    @pytest.mark.parametrize(
        ("target", "options"),
        [
            ("/v1/pay?to=2", {}),
            ("/v1/free?to=1", {}),
            ("/v1/pay?to=1", {"body": b"2"}),
            ("/v1/pay?to=1", {"body": b""}),
            ("/v1/pay?to=1", {"headers": (("X-Amount", "10000"),)}),
            ("/v1/pay?to=1", {"headers": (("X-Amount", "10.0"),)}),
            ("/v1/pay?to=1", {"headers": (("X-Amount", "10"), ("Content-Encoding", "gzip"))}),
        ],
    )
    def test_another_request_is_another_hold(
        self, tmp_path: Path, target: str, options: dict[str, Any]
    ) -> None:
        """Attack: approved for 10 and sent for 10,000, to another place, with another body."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            usual: dict[str, Any] = {"body": b"1", "headers": (("X-Amount", "10"),)}
            first = await held(house, passport, "/v1/pay?to=1", **usual)
            assert await held(house, passport, "/v1/pay?to=1", **usual) == first
            await decide(house, first)
            assert await held(house, passport, target, **{**usual, **options}) != first
            await house.forwarded("POST", "/v1/pay?to=1", passport, **usual)

        inside(tmp_path, work, **CONFIG)

    def test_another_host_type_method_or_passport_is_another_hold(self, tmp_path: Path) -> None:
        """Each of them makes another request of it, and another passport of the same agent too."""

        async def work(house: House) -> None:
            one, two = house.mint(constraints=HELD), house.mint(constraints=HELD)
            found = {await held(house, one, "/v1/free"), await held(house, two, "/v1/free")}
            for headers in ((b"Host", b"b.example"), (b"Content-Type", b"text/plain")):
                wire = house.wire("POST", "/v1/free", one)
                wire.headers = [pair for pair in wire.headers if pair[0] != headers[0]] + [headers]
                case, _, resumed = house.begin(wire)
                step = case.with_body(b"")
                assert isinstance(step, Wait)
                found.add(body_of(await resumed)["hold"]["id"])
            answer = await house.answered("PUT", "/v1/free", one)
            found.add(body_of(answer)["hold"]["id"])
            assert len(found) == 5

        inside(tmp_path, work, **CONFIG)

    def test_a_body_over_what_rules_read_is_not_held(self, tmp_path: Path) -> None:
        """413: nobody can approve what was not read."""

        async def work(house: House) -> None:
            wire = house.wire("POST", "/v1/export", house.mint(constraints=HELD))
            case, step, _ = house.begin(wire)
            assert step == NeedBody(1 << 20)
            assert case.body_too_large().status == 413
            assert spent(house) == 0

        inside(tmp_path, work, **CONFIG)


class TestEnds:
    """What becomes of a hold without an approval, and of an approval without a request."""

    def test_a_denial_is_remembered_for_a_while(self, tmp_path: Path) -> None:
        """403 `approval_denied` with the person's words; what was reserved is free again."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport), approve=False, reason="too much")
            assert spent(house) == 0
            answer = await house.answered("POST", "/v1/export", passport)
            body = body_of(answer)
            assert (answer.status, body["code"], body["decision"]) == (
                403,
                "approval_denied",
                "block",
            )
            assert (body["detail"], body["hold"]["expires_at"]) == (
                "too much",
                int(house.clock.wall + 300),
            )
            assert headers_of(answer)["retry-after"] == "300"
            house.clock.advance(299)
            assert (
                body_of(await house.answered("POST", "/v1/export", passport))["code"]
                == "approval_denied"
            )
            house.clock.advance(1)
            await held(house, passport)

        inside(tmp_path, work, **CONFIG)

    def test_what_nobody_decides_is_denied_in_time(self, tmp_path: Path) -> None:
        """Whether or not anything swept meanwhile, and remembered from then on."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            first = await held(house, passport)
            house.clock.advance(299.5)
            assert await held(house, passport) == first
            house.clock.advance(100)
            answer = await house.answered("POST", "/v1/export", passport)
            assert body_of(answer)["code"] == "approval_denied"
            assert headers_of(answer)["retry-after"] == "200"
            assert spent(house) == 0
            house.clock.advance(201)
            assert await held(house, passport) != first

        house = inside(tmp_path, work, **CONFIG)
        assert house.lines("approval")[0]["reason"] == "Nobody decided in time."
        assert "approver" not in house.lines("approval")[0]

    def test_an_approval_that_is_not_used_lapses(self, tmp_path: Path) -> None:
        """After its time the request is held again, and nothing stays reserved."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD, ttl_s=7200)
            first = await held(house, passport)
            await decide(house, first)
            house.clock.advance(1800)
            house.approvals.sweep(house.clock())
            assert spent(house) == 0
            assert await held(house, passport) != first

        inside(tmp_path, work, **CONFIG)

    def test_the_clock_set_back_or_forward_lengthens_nothing(self, tmp_path: Path) -> None:
        """Attack: a wall clock set back gives no grant more time; forward, it takes some away."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD, ttl_s=40_000)
            await decide(house, await held(house, passport, body=b"1"))
            await decide(house, await held(house, passport, body=b"2"))
            house.clock.set_wall(house.clock.wall - 20)
            house.clock.advance(1790)
            await house.forwarded("POST", "/v1/export", passport, body=b"1")
            house.clock.advance(15)
            await held(house, passport, body=b"2")
            house.clock.set_wall(house.clock.wall + 301)
            answer = await house.answered("POST", "/v1/export", passport, body=b"2")
            assert body_of(answer)["code"] == "approval_denied"

        inside(tmp_path, work, **CONFIG)

    def test_every_other_check_runs_anew(self, tmp_path: Path) -> None:
        """Approved and then revoked: refused, and the grant is nobody's."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD, passport_id="pass_x")
            await decide(house, await held(house, passport))
            house.revoke(("passport", "pass_x"))
            house.clock.advance(61)
            await eventually(lambda: house.revoked)
            answer = await house.answered("POST", "/v1/export", passport)
            assert body_of(answer)["code"] == "passport_revoked"

        inside(tmp_path, work, **CONFIG)

    def test_revoked_while_the_grant_is_being_claimed(self, tmp_path: Path) -> None:
        """Attack: the trust of the moment before the disk's work counts no more after it."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD, passport_id="pass_x")
            hold = await held(house, passport)
            await decide(house, hold)
            house.revoke(("passport", "pass_x"))
            claim = house.approvals.claim

            async def slow(held: Held, now: Instant) -> bool:
                house.clock.advance(61)
                await eventually(lambda: house.revoked)
                return await claim(held, now)

            house.approvals.claim = slow  # type: ignore[method-assign]  # as slow as a disk
            answer = await house.answered("POST", "/v1/export", passport)
            assert body_of(answer)["code"] == "passport_revoked"
            known = house.approvals.known(hold, house.clock())
            assert known is not None
            assert (known.state, spent(house)) == ("approved", 50)

        inside(tmp_path, work, **CONFIG)


class TestBounds:
    """What one agent, and all of them, can make the gate hold."""

    def test_a_passport_has_at_most_twenty_pending(self, tmp_path: Path) -> None:
        """Then 429, with nothing reserved; another passport is not concerned."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            for number in range(20):
                last = await held(house, passport, "/v1/free", body=b"%d" % number)
            answer = await house.answered("POST", "/v1/export", passport)
            assert (answer.status, body_of(answer)["code"]) == (429, "rate_limited")
            assert "hold" not in body_of(answer)
            assert spent(house) == 0
            assert await held(house, passport, "/v1/free", body=b"19") == last
            await held(house, house.mint(constraints=HELD))
            await decide(house, last, approve=False)
            await held(house, passport)

        inside(tmp_path, work, **CONFIG)

    def test_children_hold_no_more_than_their_parent_may(self, tmp_path: Path) -> None:
        """Whoever delegates can make children without end, and takes no room from others."""

        async def work(house: House) -> None:
            holder, heir = Holder.generate(), Holder.generate()
            issued = mint_passport(
                house.issuer.signer,
                agent="agent_7",
                permissions=["*"],
                constraints=HELD,
                now=house.clock.wall,
                ttl_s=3600,
                holder=holder.jwk,
                may_delegate=True,
            )
            now = house.clock.wall
            heirs = delegate(
                issued.token, holder, name="x", permissions=["*"], now=now, child=heir.jwk,
                may_delegate=True,
            )  # fmt: skip
            for number in range(20):
                of, by = (issued.token, holder) if number % 2 else (heirs, heir)
                child = delegate(of, by, name=f"n{number}", permissions=["*"], now=now)
                await held(house, child, "/v1/free")
            for of, by in ((issued.token, holder), (heirs, heir)):
                child = delegate(of, by, name="one-more", permissions=["*"], now=now)
                answer = await house.answered("POST", "/v1/free", child)
                assert (answer.status, body_of(answer)["code"]) == (429, "rate_limited")
            await held(house, house.mint(constraints=HELD))
            for waiting in house.approvals.listed(house.clock()):
                await decide(house, waiting.id, approve=False)
            await held(house, child, "/v1/free")

        inside(tmp_path, work, **CONFIG)

    def test_a_gate_has_at_most_a_thousand_pending(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Here at most two: from whichever passports."""
        monkeypatch.setattr("passgate.approvals.roster.MOST_PENDING", 2)

        async def work(house: House) -> None:
            for _ in range(2):
                await held(house, house.mint(constraints=HELD))
            answer = await house.answered("POST", "/v1/export", house.mint(constraints=HELD))
            assert body_of(answer)["code"] == "rate_limited"

        inside(tmp_path, work, **CONFIG)

    def test_what_the_budget_does_not_cover_is_not_held(self, tmp_path: Path) -> None:
        """Spend is reserved while pending: a third of 50 cents does not fit into 100."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await held(house, passport, body=b"1")
            await held(house, passport, body=b"2")
            answer = await house.answered("POST", "/v1/export", passport, body=b"3")
            assert body_of(answer)["code"] == "budget_exhausted"
            assert len(house.approvals.listed(house.clock())) == 2

        inside(tmp_path, work, **CONFIG)

    def test_nobody_is_held_without_a_passport(self, tmp_path: Path) -> None:
        """401: an approval is somebody's, and who comes again from an address is anybody."""

        async def work(house: House) -> None:
            answer = await house.answered("GET", "/v1/free")
            assert (answer.status, body_of(answer)["code"]) == (401, "passport_missing")
            assert body_of(answer)["constraint"] == "core:approval:required"

        inside(
            tmp_path,
            work,
            anonymous={"enabled": True, "allowed_actions": ["*"]},
            constraints={"core:approval:required": True},
            **CONFIG,
        )


class TestRaces:
    """Two at a time."""

    def test_two_identical_requests_get_one_hold(self, tmp_path: Path) -> None:
        """Asked in the same turn of the loop; one amount is reserved."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            found = await asyncio.gather(*[held(house, passport) for _ in range(5)])
            assert len(set(found)) == 1
            assert spent(house) == 50

        inside(tmp_path, work, **CONFIG)

    def test_exactly_one_of_two_identical_requests_uses_a_grant(self, tmp_path: Path) -> None:
        """Attack: however many are sent at once, one is forwarded."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport))
            steps = await asyncio.gather(
                *[house.ask("POST", "/v1/export", passport) for _ in range(5)]
            )
            assert sum(isinstance(step, Forward) for step in steps) == 1
            for step in steps:
                if isinstance(step, Answer):
                    assert body_of(step)["code"] == "approval_required"
            assert spent(house) == 50

        inside(tmp_path, work, **CONFIG)

    def test_a_reload_that_makes_it_dearer_needs_another_approval(self, tmp_path: Path) -> None:
        """The person approved 50 cents, not 80."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            first = await held(house, passport)
            await decide(house, first)
            dearer = [{**ROUTES[0], "cost_cents": 30}, *ROUTES[1:]]
            from passgate.settings import make_world

            world = make_world(house.load({**CONFIG, "actions": {"routes": dearer}}))
            claim = house.approvals.claim

            async def slow(held: Held, now: Instant) -> bool:
                house.enforcer.world = world
                return await claim(held, now)

            house.approvals.claim = slow  # type: ignore[method-assign]  # as slow as a disk
            answer = await house.answered("POST", "/v1/export", passport)
            assert body_of(answer)["code"] == "approval_required"
            assert "hold" not in body_of(answer)
            await eventually(lambda: house.lines("decision")[-1]["policy"] == world.policy.hash)
            assert await held(house, passport) != first

        inside(tmp_path, work, **CONFIG)


class TestSharedCounters:
    """A ledger that takes its time."""

    def test_a_hold_waits_for_its_counters(self, tmp_path: Path) -> None:
        """Held once, charged once, and a refusal keeps the grant."""

        async def work(house: House) -> None:
            late: Any = LateLedger()
            house.ledger = house.enforcer.ledger = house.approvals._reserves._ledger = late
            limits = {**HELD, "core:rate:max_per_minute": 1}
            passport = house.mint(constraints=limits)
            found = await asyncio.gather(*[held(house, passport, body=b"1") for _ in range(3)])
            assert (len(set(found)), spent(house)) == (1, 50)
            two = await held(house, passport, body=b"2")
            answer = await house.answered("POST", "/v1/export", passport, body=b"3")
            assert body_of(answer)["code"] == "budget_exhausted"
            await decide(house, found[0])
            await decide(house, two)
            await house.forwarded("POST", "/v1/export", passport, body=b"1")
            answer = await house.answered("POST", "/v1/export", passport, body=b"2")
            assert body_of(answer)["code"] == "rate_limited"
            assert spent(house) == 100
            house.clock.advance(62)
            await house.forwarded("POST", "/v1/export", passport, body=b"2")
            assert spent(house) == 100

        inside(tmp_path, work, **CONFIG)


class TestWaiting:
    """`Prefer: wait=N`: the request stays until a person decides."""

    def begun(self, house: House, passport: str, prefer: str) -> "asyncio.Future[Step]":
        wire = house.wire("POST", "/v1/export", passport, headers=(("Prefer", prefer),))
        self.case, step, resumed = house.begin(wire)
        assert isinstance(step, NeedBody)
        assert isinstance(self.case.with_body(b""), Wait)
        return asyncio.ensure_future(asyncio.wait_for(resumed, 5))

    @pytest.mark.parametrize("approve", [True, False])
    def test_it_is_answered_as_soon_as_somebody_decides(
        self, tmp_path: Path, approve: bool
    ) -> None:
        """Forwarded at once, or refused for good; the answer says that the wish was heard."""

        async def work(house: House) -> None:
            resumed = self.begun(house, house.mint(constraints=HELD), "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"])
            (waiting,) = house.approvals.listed(house.clock())
            assert not resumed.done()
            await decide(house, waiting.id, approve=approve)
            step = await resumed
            applied = b"Preference-Applied: wait=30\r\n"
            if approve:
                assert isinstance(step, Forward)
                assert applied in step.answer_headers
            else:
                assert isinstance(step, Answer)
                assert body_of(step)["code"] == "approval_denied"
                assert applied in step.headers
            assert house.approvals.counts()["waiting"] == 0

        inside(tmp_path, work, **CONFIG)

    def test_it_waits_no_longer_than_it_said_nor_than_55_seconds(self, tmp_path: Path) -> None:
        """Then it hears what anyone hears who asks: still pending, the same hold."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            for prefer, seconds in (("respond-async, wait=20", 20), ('wait="999"', 55)):
                resumed = self.begun(house, passport, prefer)
                await eventually(lambda: house.approvals.counts()["waiting"])
                await settled()
                house.clock.advance(seconds - 0.1)
                await settled()
                assert not resumed.done()
                house.clock.advance(0.2)
                step = await resumed
                assert isinstance(step, Answer)
                assert body_of(step)["code"] == "approval_required"
                assert headers_of(step)["preference-applied"] == f"wait={seconds}"
            assert len(house.approvals.listed(house.clock())) == 1

        inside(tmp_path, work, **CONFIG)

    def test_whoever_is_gone_uses_no_grant(self, tmp_path: Path) -> None:
        """Attack: an approval that comes after the agent left stays for its next request."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            resumed = self.begun(house, passport, "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"])
            self.case.abandon()
            await eventually(lambda: not house.approvals.counts()["waiting"])
            (waiting,) = house.approvals.listed(house.clock())
            await decide(house, waiting.id)
            await settled()
            assert not resumed.done()
            resumed.cancel()
            await house.forwarded("POST", "/v1/export", passport)

        inside(tmp_path, work, **CONFIG)

    def test_whoever_leaves_while_its_grant_is_claimed_keeps_it(self, tmp_path: Path) -> None:
        """The grant is on disk as used by then; it is given back, and works for the next."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            hold = await held(house, passport)
            await decide(house, hold)
            claim = house.approvals.claim

            async def slow(held: Held, now: Instant) -> bool:
                claimed = await claim(held, now)
                case.abandon()
                return claimed

            house.approvals.claim = slow  # type: ignore[method-assign]  # as slow as a disk
            case, _, resumed = house.begin(house.wire("POST", "/v1/export", passport))
            assert isinstance(case.with_body(b""), Wait)
            await eventually(lambda: case.gone)
            await settled()
            assert not resumed.done()
            assert (house.lines("decision")[-1]["decision"], spent(house)) == ("request_hold", 50)
            house.approvals.claim = claim  # type: ignore[method-assign]
            await eventually(lambda: not house.approvals._scribe.busy)
            await house.forwarded("POST", "/v1/export", passport)

        inside(tmp_path, work, **CONFIG)

    def test_a_gate_that_stops_answers_all_who_wait(self, tmp_path: Path) -> None:
        """They are told to come back; nobody waits from then on."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            resumed = self.begun(house, passport, "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"])
            house.approvals.drain()
            step = await resumed
            assert isinstance(step, Answer)
            assert body_of(step)["code"] == "approval_required"
            again = await self.begun(house, passport, "wait=30")
            assert isinstance(again, Answer)

        inside(tmp_path, work, **CONFIG)

    def test_at_most_a_hundred_wait(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Here one: the next hears 429, and where its request is held."""
        monkeypatch.setattr("passgate.approvals.waiting.MOST_WAITING", 1)

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            first = self.begun(house, passport, "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"])
            step = await self.begun(house, passport, "wait=30")
            assert isinstance(step, Answer)
            assert (step.status, body_of(step)["code"]) == (429, "rate_limited")
            assert body_of(step)["hold"]["id"].startswith("appr_")
            house.approvals.drain()
            await first

        inside(tmp_path, work, **CONFIG)

    def test_of_one_passport_at_most_twenty_wait(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Here one: who comes with another passport still finds room."""
        monkeypatch.setattr("passgate.approvals.waiting.MOST_OF_A_PASSPORT", 1)

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            first = self.begun(house, passport, "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"])
            step = await self.begun(house, passport, "wait=30")
            assert isinstance(step, Answer)
            assert (step.status, body_of(step)["code"]) == (429, "rate_limited")
            other = self.begun(house, house.mint(constraints=HELD), "wait=30")
            await eventually(lambda: house.approvals.counts()["waiting"] == 2)
            house.approvals.drain()
            await asyncio.gather(first, other)

        inside(tmp_path, work, **CONFIG)

    def test_two_who_wait_for_one_grant(self, tmp_path: Path) -> None:
        """One passes, the other goes on being refused."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            both = [self.begun(house, passport, "wait=30") for _ in range(2)]
            await eventually(lambda: house.approvals.counts()["waiting"] == 2)
            (waiting,) = house.approvals.listed(house.clock())
            await decide(house, waiting.id)
            steps = await asyncio.gather(*both)
            assert sorted(type(step).__name__ for step in steps) == ["Answer", "Forward"]

        inside(tmp_path, work, **CONFIG)


class TestTrouble:
    """A disk that refuses."""

    def test_what_cannot_be_put_on_disk_is_not_held(self, tmp_path: Path) -> None:
        """503, nothing reserved, nothing remembered; and it works again when the disk does."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            book = house.approvals._book
            connection, book._connection = book._connection, None
            answer = await house.answered("POST", "/v1/export", passport)
            assert (answer.status, body_of(answer)["code"]) == (503, "log_unavailable")
            assert spent(house) == 0
            assert house.approvals.listed(house.clock()) == []
            assert "is closed" in house.approvals.trouble
            book._connection = connection
            await decide(house, await held(house, passport))
            assert house.approvals.trouble == ""

        inside(tmp_path, work, **CONFIG)

    def test_a_grant_that_cannot_be_marked_as_used_is_not_used(self, tmp_path: Path) -> None:
        """After a crash it would be used again; so the request is refused, and the grant stays."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport))
            book = house.approvals._book
            connection, book._connection = book._connection, None
            answer = await house.answered("POST", "/v1/export", passport)
            assert (answer.status, spent(house)) == (503, 50)
            book._connection = connection
            await house.forwarded("POST", "/v1/export", passport)

        inside(tmp_path, work, **CONFIG)

    def test_without_a_log_nothing_is_held_and_no_approval_used(self, tmp_path: Path) -> None:
        """Not even a read, where reads may pass unrecorded."""

        async def work(house: House) -> None:
            passport = house.mint(constraints={"core:approval:required": True})
            hold = body_of(await house.answered("GET", "/v1/free", passport))["hold"]["id"]
            await decide(house, hold)
            house.log.healthy = False
            assert (await house.answered("GET", "/v1/free", passport)).status == 503
            assert (await house.answered("GET", "/v1/free?x", passport)).status == 503
            house.log.healthy = True
            await house.forwarded("GET", "/v1/free", passport)

        config = {**CONFIG, "audit": {"durability": "relaxed", "on_failure": "allow_reads"}}
        inside(tmp_path, work, **config)

    def test_a_defect_of_shared_counters_keeps_the_grant(self, tmp_path: Path) -> None:
        """500, and the approved request passes the next time: nobody has to decide again."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport))
            late: Any = LateLedger(BreakingLedger(house.ledger))
            house.enforcer.ledger = house.approvals._ledger = late
            answer = await house.answered("POST", "/v1/export", passport)
            assert (answer.status, spent(house)) == (500, 50)
            await house.forwarded("POST", "/v1/export", passport)
            assert spent(house) == 50

        inside(tmp_path, work, **CONFIG)

    def test_what_goes_wrong_on_the_way_is_an_incident(self, tmp_path: Path) -> None:
        """500 and nothing forwarded; the grant is as it was."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            await decide(house, await held(house, passport))
            breaking: Any = BreakingLedger(house.ledger)
            house.enforcer.ledger = house.approvals._reserves._ledger = breaking
            answer = await house.answered("POST", "/v1/export", passport)
            assert (answer.status, spent(house)) == (500, 50)
            await house.forwarded("POST", "/v1/export", passport)

        inside(tmp_path, work, **CONFIG)


class TestProof:
    """A passport that is bound to a key."""

    def headers(self, house: House, passport: str, jti: str) -> tuple[tuple[str, str], ...]:
        url = "http://api.example/v1/free"
        said = {"jti": jti, "htm": "POST", "htu": url, "iat": int(house.clock.wall)}
        return (("DPoP", proof(passport, **said)),)

    def bound(self, house: House) -> str:
        jkt = thumbprint(OTHER_KEY)
        return house.mint(
            constraints={"core:approval:required": True}, claims={"cnf": {"jkt": jkt}}
        )

    def test_a_proof_is_used_once_whatever_is_held(self, tmp_path: Path) -> None:
        """Attack: who saw the held request sends it again when it is approved."""

        async def work(house: House) -> None:
            passport = self.bound(house)
            first = self.headers(house, passport, "one")
            hold = await held(house, passport, "/v1/free", headers=first)
            await decide(house, hold)
            answer = await house.answered("POST", "/v1/free", passport, headers=first)
            assert body_of(answer)["code"] == "proof_replayed"
            again = self.headers(house, passport, "two")
            await house.forwarded("POST", "/v1/free", passport, headers=again)
            answer = await house.answered("POST", "/v1/free", passport, headers=again)
            assert body_of(answer)["code"] == "proof_replayed"

        inside(tmp_path, work, **CONFIG)

    @pytest.mark.parametrize("shared", [False, True])
    def test_one_proof_is_enough_to_wait_with(self, tmp_path: Path, shared: bool) -> None:
        """Judged again after the wait, the request is not its own replay."""

        async def work(house: House) -> None:
            if shared:
                late: Any = LateLedger()
                house.ledger = house.enforcer.ledger = house.approvals._reserves._ledger = late
            passport = self.bound(house)
            headers = (*self.headers(house, passport, "one"), ("Prefer", "wait=30"))
            asked = asyncio.ensure_future(
                house.forwarded("POST", "/v1/free", passport, headers=headers)
            )
            await eventually(lambda: house.approvals.counts()["waiting"])
            (waiting,) = house.approvals.listed(house.clock())
            await decide(house, waiting.id)
            await asked
            answer = await house.answered("POST", "/v1/free", passport, headers=headers)
            assert body_of(answer)["code"] == "proof_replayed"

        inside(tmp_path, work, **CONFIG)


class TestStatus:
    """`GET …/holds/{id}`: what became of one's own hold."""

    def test_the_holder_sees_its_own(self, tmp_path: Path) -> None:
        """State and the person's words; never who that is."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            hold = await held(house, passport)
            url = f"{PREFIX}/holds/{hold}"
            asked = body_of(await house.answered("GET", url, passport))
            assert asked == {
                "id": hold,
                "state": "pending",
                "action": "api:export",
                "cost_cents": 50,
                "opened_at": int(house.clock.wall),
                "expires_at": int(house.clock.wall + 300),
            }
            await decide(house, hold, reason="fine")
            answer = await house.answered("GET", url, passport)
            assert body_of(answer)["state"] == "approved"
            assert body_of(answer)["reason"] == "fine"
            assert b"ann" not in answer.body
            await house.forwarded("POST", "/v1/export", passport)
            assert body_of(await house.answered("GET", url, passport))["state"] == "used"
            house.clock.advance(300)
            assert (await house.answered("GET", url, passport)).status == 404

        inside(tmp_path, work, **CONFIG)

    def test_to_everyone_else_there_is_none(self, tmp_path: Path) -> None:
        """Another passport, of the same agent too, hears what it hears of any other id."""

        async def work(house: House) -> None:
            hold = await held(house, house.mint(constraints=HELD))
            url = f"{PREFIX}/holds/{hold}"
            other = await house.answered("GET", url, house.mint(constraints=HELD))
            none = await house.answered("GET", f"{PREFIX}/holds/appr_x", house.mint())
            ids = [json.loads(answer.body).pop("decision_id") for answer in (other, none)]
            assert other.body.replace(ids[0].encode(), b"") == none.body.replace(
                ids[1].encode(), b""
            )
            assert other.status == 404
            assert (await house.answered("GET", url)).status == 401
            assert (await house.answered("POST", url, house.mint())).status == 405

        inside(tmp_path, work, **CONFIG)

    def test_what_is_open_stands_with_what_is_left(self, tmp_path: Path) -> None:
        """`GET …/passport` says which holds keep money back, to their own passport alone."""

        async def work(house: House) -> None:
            passport = house.mint(constraints=HELD)
            url = f"{PREFIX}/passport"

            async def told(credential: str = passport) -> list[dict[str, Any]]:
                holds: list[dict[str, Any]] = body_of(await house.answered("GET", url, credential))[
                    "holds"
                ]
                return holds

            assert await told() == []
            first = await held(house, passport, body=b"1")
            house.clock.advance(1)
            second = await held(house, passport, body=b"2")
            assert await told() == [
                {
                    "id": each,
                    "state": "pending",
                    "action": "api:export",
                    "cost_cents": 50,
                    "opened_at": int(house.clock.wall) - ago,
                    "expires_at": int(house.clock.wall + 300) - ago,
                    "status_url": f"{PREFIX}/holds/{each}",
                }
                for each, ago in ((first, 1), (second, 0))
            ]
            assert await told(house.mint(constraints=HELD)) == []
            await decide(house, first, approve=False)
            await decide(house, second, reason="fine")
            (left,) = await told()
            assert (left["id"], left["state"], left["reason"]) == (second, "approved", "fine")
            await house.forwarded("POST", "/v1/export", passport, body=b"2")
            assert await told() == []

        inside(tmp_path, work, **CONFIG)


def test_the_person_sees_no_more_than_is_kept(tmp_path: Path) -> None:
    """The beginning of target and body, the path as records have it; nothing once it is decided."""

    async def work(house: House) -> None:
        passport = house.mint(constraints=HELD)
        hold = await held(house, passport, "/v1/secret?q=abcdef", body="aé🐛z".encode())
        (known,) = house.approvals.listed(house.clock())
        shown = known.shown()
        assert shown["target"] == "/v1/{name}"
        assert shown["requested"] == {"text": "/v1/", "cut": True}
        assert shown["body"] == {"text": "aé", "cut": True}
        assert (shown["body_bytes"], shown["client"]) == (8, PEER)
        decided = await decide(house, hold)
        assert (decided.body, decided.requested) == (b"", b"")
        assert "body" not in decided.shown()

    inside(tmp_path, work, approvals={"preview": 4}, **CONFIG)
