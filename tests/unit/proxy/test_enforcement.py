"""The straight line of a request: reserved, on record, forwarded, settled; and nothing leaks."""

import asyncio
import errno
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually, settled
from tests.support.house import PEER, House, body_of, headers_of, inside

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Reservation, Shortfall, Taken, Unavailable
from passgate.log import Log
from passgate.proxy.steps import Answer, Forward, NeedBody, Wait
from passgate.record import Record

RATE = {"core:rate:max_per_minute": 5}
BUDGET = {"core:cost:max_cumulative": 100, "core:rate:max_concurrent": 1}
RELAXED = {"audit": {"durability": "relaxed"}}


def used(house: House) -> dict[str, int]:
    """What is taken of every counter."""
    now = house.clock()
    return {
        name: counter.used_at(int(now.wall * 1000), now.wall)
        for name, counter in house.ledger._by_name.items()
        if counter.used_at(int(now.wall * 1000), now.wall)
    }


def free(house: House) -> bool:
    """Whether nothing is reserved and nothing in flight."""
    return not used(house) and house.enforcer.inflight == 0


class TestStrict:
    """What waits for the disk."""

    def test_nothing_is_forwarded_before_its_line_is_on_disk(self, tmp_path: Path) -> None:
        """When the step comes, the line and a checkpoint over it can be read from the file."""

        async def work(house: House) -> None:
            found = []

            def resume(step: object) -> None:
                assert isinstance(step, Forward)
                found.append([line["decision_id"] for line in house.lines("decision")])

            wire = house.wire("GET", "/v1/search", house.mint())
            case, step = house.enforcer.begin(wire, resume)
            assert isinstance(step, Wait)
            assert found == []
            await eventually(lambda: found)
            assert found == [[case._record.decision_id]]
            assert house.log.status().durable == house.log.size
            assert house.enforcer.inflight == 1

        inside(tmp_path, work)

    def test_what_is_not_on_disk_is_not_forwarded(self, tmp_path: Path) -> None:
        """503 with Retry-After, everything given back, and once the disk is back a line says so."""

        async def work(house: House) -> None:
            def full(_: int) -> None:
                raise OSError(errno.ENOSPC, "no space")

            await house.forwarded("GET", "/v1/search", house.mint())
            house.sync = full
            answer = await house.answered("POST", "/v1/export", house.mint(constraints=BUDGET))

            assert answer.status == 503
            assert body_of(answer)["code"] == "log_unavailable"
            assert headers_of(answer)["retry-after"] == "1"
            assert not used(house)
            assert house.enforcer.inflight == 1  # the one before
            assert house.tally.requests == {
                ("allow", "", "api:search"): 1,
                ("block", "log_unavailable", "api:export"): 1,
            }
            house.sync = lambda _: None
            await eventually(lambda: house.log.healthy)

        house = inside(tmp_path, work)

        (outcome,) = house.lines("outcome")
        assert (outcome["outcome"], outcome["status"], outcome["released"]) == (
            "refused",
            503,
            True,
        )
        assert outcome["decision_id"] == house.lines("decision")[-1]["decision_id"]

    def test_a_client_that_leaves_while_waiting_costs_nothing(self, tmp_path: Path) -> None:
        """Nothing of its request is forwarded, and its outcome says why."""

        async def work(house: House) -> None:
            wire = house.wire("POST", "/v1/export", house.mint(constraints=BUDGET))
            case, step, resumed = house.begin(wire)
            assert isinstance(step, Wait)
            assert used(house)
            case.abandon()
            await eventually(lambda: house.enforcer.inflight == 0)
            assert not resumed.done()
            assert free(house)

        house = inside(tmp_path, work)

        (outcome,) = house.lines("outcome")
        assert (outcome["outcome"], outcome["status"]) == ("client_gone", 499)
        assert outcome["released"] is True

    def test_a_client_that_leaves_a_gate_without_a_disk_gets_no_answer(
        self, tmp_path: Path
    ) -> None:
        """Both at once: everything is given back, and nobody is told."""

        async def work(house: House) -> None:
            def full(_: int) -> None:
                raise OSError(errno.ENOSPC, "no space")

            house.sync = full
            case, _, resumed = house.begin(
                house.wire("POST", "/v1/export", house.mint(constraints=BUDGET))
            )
            case.abandon()
            await eventually(lambda: house.enforcer.inflight == 0)
            assert free(house)
            assert not resumed.done()
            house.sync = lambda _: None
            await eventually(lambda: house.log.healthy)

        inside(tmp_path, work)

    def test_one_connection_that_fails_does_not_keep_others_waiting(self, tmp_path: Path) -> None:
        """Requests of one commit are told one after another, whatever the first does with it."""

        async def work(house: House) -> None:
            def fail(_: object) -> None:
                raise RuntimeError("a connection in disorder")

            house.enforcer.begin(house.wire("GET", "/v1/search", house.mint()), fail)
            _, _, second = house.begin(house.wire("GET", "/v1/search", house.mint()))
            assert isinstance(await asyncio.wait_for(second, 5), Forward)

        inside(tmp_path, work)


def test_relaxed_goes_on_at_once(tmp_path: Path) -> None:
    """And the line follows."""

    async def work(house: House) -> None:
        _, step, _ = house.begin(house.wire("GET", "/v1/search", house.mint()))
        assert isinstance(step, Forward)
        assert house.tally.requests == {("allow", "", "api:search"): 1}

    house = inside(tmp_path, work, **RELAXED)
    assert [line["decision"] for line in house.lines("decision")] == ["allow"]


class TestFinished:
    """How what was reserved ends."""

    @pytest.mark.parametrize("sent", [True, False])
    def test_only_what_was_sent_is_paid_for(self, tmp_path: Path, sent: bool) -> None:
        """Concurrency is given back either way, and an outcome is recorded once."""

        async def work(house: House) -> None:
            forward = await house.forwarded("POST", "/v1/export", house.mint(constraints=BUDGET))
            assert sorted(used(house).values()) == [1, 50]
            house.clock.advance(1.5)
            house.enforcer.finished(forward, 200, 12, "completed", sent=sent)
            assert sorted(used(house).values()) == ([50] if sent else [])
            assert house.enforcer.inflight == 0
            assert house.tally.upstream_seconds.total == (1.5 if sent else 0.0)
            assert house.tally.request_seconds.total == 1.5

        house = inside(tmp_path, work, **RELAXED)

        (outcome,) = house.lines("outcome")
        assert outcome["bytes"] == 12
        assert outcome["ms"] == 1500
        assert outcome["released"] is not sent
        assert outcome.get("settled_cents") == (50 if sent else None)

    def test_a_failed_upstream_is_told_in_the_gates_words(self, tmp_path: Path) -> None:
        """Where nothing was sent it may be tried again at once."""

        async def work(house: House) -> None:
            forward = await house.forwarded("GET", "/v1/search", house.mint())
            unsent = house.enforcer.upstream_failed(forward, "upstream_unreachable", sent=False)
            sent = house.enforcer.upstream_failed(forward, "upstream_timeout", sent=True)
            assert (unsent.status, headers_of(unsent)["retry-after"]) == (502, "1")
            assert (sent.status, "retry-after" in headers_of(sent)) == (504, False)
            assert body_of(sent)["decision_id"] == forward.record.decision_id

        inside(tmp_path, work, **RELAXED)

    def test_an_open_stream_ends_with_its_passport(self, tmp_path: Path) -> None:
        """By expiry or by revocation."""

        async def work(house: House) -> None:
            still_allowed = house.enforcer.still_allowed
            short = await house.forwarded("GET", "/v1/search", house.mint(ttl_s=60))
            doomed = house.mint(passport_id="pass_doomed")
            revoked = await house.forwarded("GET", "/v1/search", doomed)
            other = await house.forwarded("GET", "/v1/search", house.mint())
            house.clock.advance(89)  # 30 seconds of tolerance
            assert still_allowed(short)
            house.clock.advance(1)
            assert not still_allowed(short)
            assert still_allowed(revoked)
            house.revoke(("passport", "pass_doomed"))
            for _ in range(10):
                house.clock.advance(10)
                await settled()
            await eventually(lambda: house.revoked)
            assert not still_allowed(revoked)
            assert still_allowed(other)

        inside(tmp_path, work, **RELAXED)


class Before:
    """A ledger in memory, and what a test puts before it."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


class Waits(Before):
    """Counters behind a round trip; `fails` makes the trip end in an exception."""

    fails = False

    def reserve(
        self, charges: tuple[Charge, ...], now: Instant, once: Once | None = None
    ) -> Awaitable[Taken]:
        return self._later(charges, now)

    async def _later(self, charges: tuple[Charge, ...], now: Instant) -> Taken:
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionError("the other side is gone")
        return self.ledger.reserve(charges, now)


class Breaks(Before):
    """Counters in disorder."""

    def reserve(
        self, charges: tuple[Charge, ...], now: Instant, once: Once | None = None
    ) -> Reservation | Shortfall:
        raise RuntimeError("counters in disorder")


class Lost(Before):
    """Counters that are out of reach."""

    def reserve(
        self, charges: tuple[Charge, ...], now: Instant, once: Once | None = None
    ) -> Unavailable:
        return Unavailable(charges[0])


class TestLedger:
    """Check 16, from whatever the ledger says."""

    def test_a_counter_that_is_full_refuses(self, tmp_path: Path) -> None:
        """With the time when it could fit, and what the refusal holds is on record."""

        async def work(house: House) -> None:
            passport = house.mint(constraints={"core:rate:max_per_minute": 1})
            await house.forwarded("GET", "/v1/search", passport)
            answer = await house.answered("GET", "/v1/search", passport)
            assert answer.status == 429
            assert body_of(answer)["constraint"] == "core:rate:max_per_minute"
            assert 0 < int(headers_of(answer)["retry-after"]) <= 61
            assert "passport-upgrade" not in headers_of(answer)

        house = inside(tmp_path, work, anonymous={"upgrade_url": "https://a.example"}, **RELAXED)
        assert [line["decision"] for line in house.lines("decision")] == ["allow", "block"]

    def test_what_never_comes_back_says_to_wait_for_another_passport(self, tmp_path: Path) -> None:
        """A 429 always says when to retry: here, when this passport ends."""

        async def work(house: House) -> None:
            passport = house.mint(constraints={"core:rate:max_total": 0}, ttl_s=600)
            answer = await house.answered("GET", "/v1/search", passport)
            assert (answer.status, headers_of(answer)["retry-after"]) == (429, "600")

        inside(tmp_path, work)

    def test_a_ledger_may_take_its_time(self, tmp_path: Path) -> None:
        """The request waits, and goes on or is refused as with any other."""

        async def work(house: House) -> None:
            house.enforcer.ledger = Waits()
            passport = house.mint(constraints={"core:rate:max_per_minute": 1})
            await house.forwarded("GET", "/v1/search", passport)
            answer = await house.answered("GET", "/v1/search", passport)
            assert body_of(answer)["code"] == "rate_limited"

        inside(tmp_path, work)

    def test_a_ledger_that_fails_on_the_way_is_an_incident(self, tmp_path: Path) -> None:
        """The request is answered, nothing is forwarded."""

        async def work(house: House) -> None:
            house.enforcer.ledger = ledger = Waits()
            ledger.fails = True
            answer = await house.answered("GET", "/v1/search", house.mint(constraints=RATE))
            assert (answer.status, house.enforcer.inflight) == (500, 0)

        inside(tmp_path, work)

    def test_a_ledger_out_of_reach_refuses(self, tmp_path: Path) -> None:
        """503 with Retry-After, naming what could not be counted."""

        async def work(house: House) -> None:
            house.enforcer.ledger = Lost()
            answer = await house.answered("GET", "/v1/search", house.mint(constraints=RATE))
            assert answer.status == 503
            assert body_of(answer)["code"] == "ledger_unavailable"
            assert body_of(answer)["constraint"] == "core:rate:max_per_minute"
            assert headers_of(answer)["retry-after"] == "1"

        inside(tmp_path, work)


class Unwritable:
    """A log that cannot render a line: with `all_lines` none, else none of an allowed request."""

    def __init__(self, log: Log, *, all_lines: bool) -> None:
        self._log = log
        self._all_lines = all_lines
        self.unrecorded = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append_decision(self, record: Record, notify: Any = None) -> None:
        if self._all_lines or record.decision == "allow":
            raise ValueError("a value that no line can hold")
        self._log.append_decision(record, notify)

    def count_unrecorded(self) -> None:
        self.unrecorded += 1


class TestIncidents:
    """The one broad net."""

    @pytest.mark.interpreted(reason="its log fails as no real one can be made to")
    @pytest.mark.parametrize("durability", ["strict", "relaxed"])
    def test_whatever_fails_is_answered_and_nothing_leaks(
        self, tmp_path: Path, durability: str
    ) -> None:
        """500 with an incident's id; charges and the place in flight are given back."""

        async def work(house: House) -> None:
            house.enforcer.log = Unwritable(house.log, all_lines=False)  # type: ignore[assignment]  # as much of a log as is used
            answer = await house.answered("POST", "/v1/export", house.mint(constraints=BUDGET))
            body = body_of(answer)
            assert (answer.status, answer.close) == (500, True)
            assert body["code"] == "internal_error"
            assert body["detail"] == f"Incident {body['decision_id']}."
            assert "no line can hold" not in str(body)
            assert free(house)

        house = inside(tmp_path, work, audit={"durability": durability})
        (line,) = house.lines("decision")
        assert (line["decision"], line["reason_code"]) == ("block", "internal_error")

    @pytest.mark.interpreted(reason="its log fails as no real one can be made to")
    def test_an_incident_that_cannot_be_recorded_is_still_answered(self, tmp_path: Path) -> None:
        """And counted, so that a gap line will say that something is missing."""

        async def work(house: House) -> None:
            log = Unwritable(house.log, all_lines=True)
            house.enforcer.log = log  # type: ignore[assignment]  # as much of a log as is used
            allowed = await house.answered("GET", "/v1/search", house.mint(constraints=RATE))
            refused = await house.answered("GET", "/v1/search")
            assert (allowed.status, refused.status, log.unrecorded) == (500, 500, 2)
            assert free(house)

        inside(tmp_path, work)

    def test_counters_in_disorder_are_an_incident(self, tmp_path: Path) -> None:
        """Before anything was reserved there is nothing to give back."""

        async def work(house: House) -> None:
            house.enforcer.ledger = Breaks()
            answer = await house.answered("GET", "/v1/search", house.mint(constraints=RATE))
            assert (answer.status, house.enforcer.inflight) == (500, 0)

        inside(tmp_path, work)

    def test_endpoints_are_under_the_net_too(self, tmp_path: Path) -> None:
        """Also those that read a body."""

        async def work(house: House) -> None:
            house.enforcer.ledger = Breaks()
            answer = await house.answered(
                "POST", "/.well-known/passgate/check", body=b'{"action": "public"}'
            )
            assert answer.status == 500

        inside(tmp_path, work)

    @pytest.mark.interpreted(reason="its log fails as no real one can be made to")
    def test_a_line_that_was_handed_in_before_the_failure_forwards_nothing(
        self, tmp_path: Path
    ) -> None:
        """The commit comes later than the answer, and finds the request ended."""

        class Late(Unwritable):
            def append_decision(self, record: Record, notify: Any = None) -> None:
                self._log.append_decision(record, notify)
                if record.decision == "allow":
                    raise RuntimeError("after the fact")

        async def work(house: House) -> None:
            house.enforcer.log = Late(house.log, all_lines=False)  # type: ignore[assignment]  # as much of a log as is used
            wire = house.wire("POST", "/v1/export", house.mint(constraints=BUDGET))
            _, step, resumed = house.begin(wire)
            assert isinstance(step, Answer)
            await eventually(lambda: house.log.status().durable == house.log.size)
            await settled()
            assert not resumed.done()
            assert free(house)

        inside(tmp_path, work)


class TestWithoutLog:
    """While the log cannot be written."""

    @staticmethod
    async def fail(house: House) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "no space")

        house.sync = full
        await house.answered("GET", "/v1/search", house.mint())
        assert not house.log.healthy

    def test_deny_refuses_what_would_pass(self, tmp_path: Path) -> None:
        """And says so by metrics and, later, by a gap line, since nothing else can."""

        async def work(house: House) -> None:
            await self.fail(house)
            answer = await house.answered("GET", "/v1/search", house.mint())
            assert (answer.status, headers_of(answer)["retry-after"]) == (503, "1")
            assert house.tally.requests["block", "log_unavailable", "api:search"] == 2
            assert house.log.status().unrecorded == 1
            house.sync = lambda _: None
            await eventually(lambda: house.log.healthy)

        house = inside(tmp_path, work)
        assert [line["unrecorded"] for line in house.lines("gap")] == [1]

    def test_allow_reads_lets_free_reads_pass_and_nothing_else(self, tmp_path: Path) -> None:
        """What is charged is never passed unrecorded, for the counters are a fold over the log."""

        async def work(house: House) -> None:
            await self.fail(house)
            passport = house.mint()
            forward = await house.forwarded("GET", "/v1/search", passport)
            assert house.enforcer.inflight == 1
            assert not forward.recorded
            for method, target, token in (
                ("POST", "/v1/search", passport),
                ("GET", "/v1/search", house.mint(constraints=RATE)),
                ("GET", "/public/x", None),
            ):
                answer = await house.answered(method, target, token)
                assert body_of(answer)["code"] == "log_unavailable"
            house.enforcer.finished(forward, 200, 3, "completed", sent=True)
            assert free(house)
            assert house.tally.requests["allow", "", "api:search"] == 1
            assert house.log.status().unrecorded == 4
            house.sync = lambda _: None
            await eventually(lambda: house.log.healthy)

        house = inside(
            tmp_path,
            work,
            audit={"on_failure": "allow_reads"},
            anonymous={"enabled": True, "allowed_actions": ["public"]},
        )
        (outcome,) = house.lines("outcome")  # of the first, which the failure refused
        assert outcome["outcome"] == "refused"

    def test_refusals_stay_refusals(self, tmp_path: Path) -> None:
        """Whoever would not pass learns why, also without a disk."""

        async def work(house: House) -> None:
            await self.fail(house)
            answer = await house.answered("GET", "/v1/search")
            assert body_of(answer)["code"] == "passport_missing"
            house.sync = lambda _: None
            await eventually(lambda: house.log.healthy)

        inside(tmp_path, work)


class TestUnknownKeys:
    """Keys are asked for again exactly when a well-formed passport of a known issuer names one."""

    @staticmethod
    def noted(house: House) -> int:
        return sum(row["unknown_kids"] for row in house.keeper.status())

    @pytest.mark.parametrize("target", ["/v1/search", "/.well-known/passgate/passport"])
    def test_an_unknown_key_is_noted(self, tmp_path: Path, target: str) -> None:
        """By requests, and by the gate's own endpoints."""

        async def work(house: House) -> None:
            answer = await house.answered("GET", target, house.mint(header={"kid": "new"}))
            assert body_of(answer)["code"] == "key_unknown"
            assert self.noted(house) == 1

        inside(tmp_path, work)

    def test_nothing_else_is(self, tmp_path: Path) -> None:
        """No bad signature, no broken text, no foreign issuer makes the gate fetch anything."""

        async def work(house: House) -> None:
            stranger = type(house.issuer)("iss_stranger")
            for token in (
                house.mint(key=stranger.key),
                "x.y.z",
                stranger.mint(now=house.clock.wall),
                house.mint(ttl_s=-60),
            ):
                answer = await house.answered("GET", "/v1/search", token)
                assert answer.status == 401
            assert self.noted(house) == 0

        inside(tmp_path, work)


class TestBodies:
    """Requests whose body a rule judges."""

    def test_the_body_is_asked_for_and_forwarded_as_it_came(self, tmp_path: Path) -> None:
        """Up to the limit, byte for byte."""

        async def work(house: House) -> None:
            wire = house.wire("POST", "/v1/orders", house.mint())
            case, step, _ = house.begin(wire)
            assert step == NeedBody(1024)
            raw = b'{ "amount" : 5 }'
            forward = await house.forwarded("POST", "/v1/orders", house.mint(), body=raw)
            assert forward.body == raw
            assert forward.record.facts["body_bytes"] == len(raw)
            assert case.plan is not None

        inside(tmp_path, work, limits={"judged_body_bytes": 1024})

    def test_a_body_that_is_too_long_is_refused(self, tmp_path: Path) -> None:
        """With 413, and on record with what is known of the request."""

        async def work(house: House) -> None:
            case, _, _ = house.begin(house.wire("POST", "/v1/orders", house.mint(agent="a1")))
            answer = case.body_too_large()
            assert (answer.status, answer.close) == (413, True)
            assert body_of(answer)["code"] == "request_malformed"

        house = inside(tmp_path, work)
        (line,) = house.lines("decision")
        assert (line["agent_id"], line["action"]) == ("a1", "shop:order")

    def test_a_slow_body_does_not_outrun_a_revocation(self, tmp_path: Path) -> None:
        """What is revoked, or has expired, while the body is on its way does not pass."""

        async def work(house: House) -> None:
            headers = (("Content-Type", "application/json"),)
            leaver, short = house.mint(passport_id="pass_leaver"), house.mint(ttl_s=60)
            cases = [
                house.begin(house.wire("POST", "/v1/orders", token, headers=headers))
                for token in (leaver, short, house.mint())
            ]
            assert all(isinstance(step, NeedBody) for _, step, _ in cases)
            house.revoke(("passport", "pass_leaver"))
            for _ in range(10):
                house.clock.advance(10)
                await settled()
            await eventually(lambda: house.revoked)
            steps = [case.with_body(b'{"amount": 5}') for case, _, _ in cases]
            assert isinstance(steps[0], Answer)
            assert body_of(steps[0])["code"] == "passport_revoked"
            assert isinstance(steps[1], Answer)
            assert body_of(steps[1])["code"] == "passport_expired"
            assert isinstance(steps[2], Forward)
            assert steps[2].record.at == house.clock()

        inside(tmp_path, work, **RELAXED)


class TestFloods:
    """Refusals faster than they are worth verifying."""

    def test_beyond_the_limit_nothing_is_verified(self, tmp_path: Path) -> None:
        """429 with Retry-After for that second; the rest is one line that says how many."""

        async def work(house: House) -> None:
            bad = house.mint(key=type(house.issuer)("other").key)
            for _ in range(3):
                answer = await house.answered("GET", "/v1/search", bad)
                assert answer.status == 401
            verified = house.enforcer.cache.misses
            for _ in range(5):
                answer = await house.answered("GET", "/v1/search", bad)
                assert (answer.status, headers_of(answer)["retry-after"]) == (429, "1")
                assert not answer.close
            assert house.enforcer.cache.misses == verified
            assert house.tally.requests == {
                ("block", "signature_invalid", "api:search"): 3,
                ("block", "rate_limited", "other"): 5,
            }
            await house.forwarded("GET", "/v1/search", house.mint(), peer="192.0.2.2")
            house.clock.advance(1)
            await house.forwarded("GET", "/v1/search", house.mint())

        house = inside(tmp_path, work, limits={"refusals_per_second": 3})
        assert [line["decision"] for line in house.lines("decision")] == ["block"] * 3 + [
            "allow"
        ] * 2
        (summed,) = house.lines("suppressed")
        assert (summed["client"], summed["count"]) == (PEER, 5)

    def test_malformed_requests_of_a_flood_still_end_their_connection(self, tmp_path: Path) -> None:
        """Whatever cannot be framed in one way is never followed by another request."""

        async def work(house: House) -> None:
            for _ in range(3):
                assert house.enforcer.malformed(PEER, "No.", 400).close
            flooded = house.enforcer.malformed(PEER, "No.", 400)
            assert (flooded.status, flooded.close) == (429, True)
            ambiguous = await house.answered("GET", "/v1/search", headers=(("Host", "b"),))
            assert (ambiguous.status, ambiguous.close) == (429, True)

        inside(tmp_path, work, limits={"refusals_per_second": 3})


class TestRefused:
    """What a refusal leaves behind."""

    def test_bytes_that_are_no_request_are_on_record(self, tmp_path: Path) -> None:
        """With the status that HTTP has for them."""

        async def work(house: House) -> None:
            answer = house.enforcer.malformed(PEER, "The request head is too large.", 431)
            assert (answer.status, answer.close) == (431, True)
            assert body_of(answer)["detail"] == "The request head is too large."

        house = inside(tmp_path, work)
        (line,) = house.lines("decision")
        assert (line["reason_code"], line["client"]) == ("request_malformed", PEER)

    def test_a_gate_without_room_says_so_and_counts_it(self, tmp_path: Path) -> None:
        """It is not recorded, since it may be a flood."""

        async def work(house: House) -> None:
            answer = house.enforcer.overloaded(PEER)
            assert (answer.status, answer.close) == (503, True)
            assert headers_of(answer)["retry-after"] == "1"
            assert house.tally.requests == {("block", "overloaded", "other"): 1}

        house = inside(tmp_path, work)
        assert house.lines("decision") == []

    def test_a_hold_is_recorded_as_one(self, tmp_path: Path) -> None:
        """And takes nothing."""

        async def work(house: House) -> None:
            limits = {"core:approval:required": True, **RATE}
            answer = await house.answered("GET", "/v1/search", house.mint(constraints=limits))
            assert answer.status == 403
            assert body_of(answer)["decision"] == "request_hold"
            assert headers_of(answer)["passport-decision"] == "request_hold"
            assert free(house)

        house = inside(tmp_path, work)
        (line,) = house.lines("decision")
        assert (line["decision"], line["reason_code"]) == ("request_hold", "approval_required")

    def test_anonymous_answers_carry_the_upgrade_prompt(self, tmp_path: Path) -> None:
        """Refused or allowed; what comes with a credential does not."""

        async def work(house: House) -> None:
            refused = await house.answered("GET", "/v1/search")
            allowed = await house.forwarded("GET", "/public/x")
            bad = await house.answered("GET", "/public/x", "x.y.z")
            unknown = await house.answered("GET", "/v2")
            assert "passport-upgrade" in headers_of(refused)
            assert "passport-upgrade" in headers_of(allowed)
            assert "passport-upgrade" in headers_of(unknown)
            assert "passport-upgrade" not in headers_of(bad)
            assert body_of(refused)["passport_required_url"] == "https://a.example/up"

        inside(
            tmp_path,
            work,
            anonymous={
                "enabled": True,
                "allowed_actions": ["public"],
                "upgrade_url": "https://a.example/up",
            },
        )


def facts_of(line: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = line["facts"]
    return found


class TestRecords:
    """What is kept of a request."""

    def test_a_line_holds_what_was_judged(self, tmp_path: Path) -> None:
        """Who, what, under which policy, what it took; the query only as its hash."""

        async def work(house: House) -> None:
            passport = house.mint(agent="a1", constraints=RATE, passport_id="pass_1")
            await house.forwarded("GET", "/v1/search?q=secret", passport)

        house = inside(tmp_path, work)

        (line,) = house.lines("decision")
        assert line["agent_id"] == "a1"
        assert line["passport_id"] == "pass_1"
        assert line["action"] == "api:search"
        assert line["target"] == "/v1/search"
        assert line["charges"] == [{"amount": 1, "counter": "rate/60/passport|iss_test|pass_1"}]
        assert line["constraints"] == [["core:rate:max_per_minute", "charge"]]
        assert line["policy"] == house.enforcer.world.policy.hash
        assert line["tier"] == "L2"
        assert facts_of(line) == {"route": "GET /v1/search"}
        assert "secret" not in str(house.lines())

    def test_parts_of_a_path_can_be_hidden(self, tmp_path: Path) -> None:
        """Also from refusals, as soon as the route is known."""

        async def work(house: House) -> None:
            await house.forwarded("GET", "/v1/users/alice", house.mint())
            await house.answered("GET", "/v1/users/alice")

        house = inside(tmp_path, work)
        assert [line["target"] for line in house.lines("decision")] == ["/v1/users/{id}"] * 2

    def test_a_bad_credential_is_kept_as_its_hash_alone(self, tmp_path: Path) -> None:
        """Nobody can take it out of the log and try it elsewhere."""

        async def work(house: House) -> None:
            await house.answered("GET", "/v1/search", "bad.bad.bad")

        house = inside(tmp_path, work)
        (line,) = house.lines("decision")
        assert len(line["passport_hash"]) == 64
        assert line["access_mode"] == "none"
        assert "bad.bad" not in str(house.lines())

    def test_facts_are_exact_and_bounded(self, tmp_path: Path) -> None:
        """An amount is no float; a type that is too long to be one is cut."""

        async def work(house: House) -> None:
            await house.forwarded("POST", "/v1/orders", house.mint(), body=b'{"amount": 7.420}')
            await house.forwarded("POST", "/v1/orders", house.mint(), body=b'{"amount": 7}')
            await house.answered(
                "GET", "/v1/search", headers=(("Content-Type", "a/" + "b" * 5000),)
            )

        house = inside(tmp_path, work)
        first, second, third = map(facts_of, house.lines("decision"))
        assert (first["amount"], second["amount"]) == ("7420e-3", "7")
        assert len(third["content_type"]) == 256

    def test_the_upstream_gets_what_the_gate_vouches_for(self, tmp_path: Path) -> None:
        """One head, without what the agent claims about itself."""

        async def work(house: House) -> None:
            forward = await house.forwarded(
                "GET",
                "/v1/search?q=%41",
                house.mint(agent="ä 1", passport_id="pass_1"),
                headers=(("X-Passport-Agent", "admin"), ("Accept", "*/*")),
            )
            lines = forward.head.split(b"\r\n")
            assert lines[0] == b"GET /v1/search?q=%41 HTTP/1.1"
            assert lines[1] == b"Host: api.example"
            assert lines[-1] == b""
            assert b"X-Passport-Agent: %C3%A4%201" in lines
            assert b"X-Passport-Agent: admin" not in lines
            assert b"X-Passport-Access: passport" in lines
            assert b"X-Passport-Decision-Id: " + forward.record.decision_id.encode() in lines
            assert b"Accept: */*" in lines
            assert not any(line.startswith(b"Authorization") for line in lines)
            assert len(set(lines)) == len(lines)
            assert headers_of(forward)["passport-decision"] == "allow"

        inside(tmp_path, work)
