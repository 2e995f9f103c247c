"""The admin listener: who may ask what, and from where."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from passgate.admin import app
from passgate.admin.app import ROLES, Token, make_app
from passgate.admin.metrics import METRICS
from passgate.admin.operations import Readiness, RecordQuery, Reloaded, Stopped
from passgate.approvals.desk import NotDecided
from passgate.core.instant import Instant
from passgate.core.kills import Kill, check_order
from passgate.errors import DataError, OrderError
from passgate.record import Record
from passgate.tally import BOUNDS, Histogram, Tally

TOKENS = (
    Token("ann", "viewer", b"see"),
    Token("bob", "approver", b"approve"),
    Token("admin", "admin", b"all"),
)
API = [("GET", "/api/trust"), ("GET", "/api/records"), ("POST", "/api/reload")]


@dataclass
class Desk:
    """A gate that can be asked, as small as `Operations` allows."""

    ready: bool = True
    problems: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally)
    asked: list[RecordQuery] = field(default_factory=list)
    reloads: int = 0
    held: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "appr_1": {"id": "appr_1", "state": "pending"},
            "appr_2": {"id": "appr_2", "state": "denied"},
        }
    )
    commits: Histogram = field(default_factory=Histogram)
    stopped: list[Kill] = field(default_factory=list)
    lifted_by: list[str] = field(default_factory=list)
    disk_full: bool = False

    def readiness(self) -> Readiness:
        rows: tuple[dict[str, Any], ...] = ({"name": "log", "ok": self.ready, "age_s": 3},)
        return Readiness(self.ready, rows)

    def trust_status(self) -> list[dict[str, Any]]:
        return [{"issuer": "iss_lab", "kind": "keys", "age_s": 5}]

    async def records(self, query: RecordQuery) -> list[dict[str, Any]]:
        self.asked.append(query)
        return [{"decision_id": query.decision_id}]

    async def reload(self) -> Reloaded:
        self.reloads += 1
        return Reloaded(self.problems, ("gate.yaml:3: odd",))

    async def usage(self, agent: str, issuer: str) -> dict[str, Any]:
        if agent == "nobody":
            raise LookupError("no passport of this agent is known here")
        return {"agent": agent, "issuer": issuer}

    def kills(self) -> tuple[Kill, ...]:
        return tuple(self.stopped)

    async def stop(self, kind: str, target: str, issuer: str, reason: str, by: str) -> Stopped:
        check_order(kind, target, issuer, reason)
        if self.disk_full:
            raise OrderError("in force until the gate ends: the disk is full")
        for kill in self.stopped:
            if kill.stops == (kind, target, issuer):
                return Stopped(kill, new=False)
        kill = Kill(f"kill_{len(self.stopped)}", kind, target, issuer, reason, by, 1)
        self.stopped.append(kill)
        return Stopped(kill, new=True, warnings=("no such issuer",) if issuer == "odd" else ())

    async def lift(self, name: str, by: str) -> Kill:
        found = [kill for kill in self.stopped if name in (kill.id, kill.target)]
        if self.disk_full:
            raise OrderError("it is not lifted: the disk is full")
        if len(found) > 1:
            raise ValueError("name one of kill_0, kill_1")
        if not found:
            raise LookupError("no such kill is in force")
        self.stopped.remove(found[0])
        self.lifted_by.append(by)
        return found[0]

    def holds(self, state: str) -> list[dict[str, Any]]:
        return [held for held in self.held.values() if state in ("", held["state"])]

    def hold(self, hold_id: str) -> dict[str, Any] | None:
        return self.held.get(hold_id)

    async def decide_hold(
        self, hold_id: str, *, approve: bool, approver: str, reason: str
    ) -> dict[str, Any] | NotDecided:
        if hold_id in ("unknown", "ended", "agent", "storage"):
            return NotDecided(hold_id, f"It is {hold_id}.")
        return {"id": hold_id, "approve": approve, "approver": approver, "reason": reason}

    async def resend(self, letter: str) -> list[str]:
        if self.disk_full:
            raise DataError("holds.db: the disk is full")
        if letter not in ("all", "evt_1"):
            raise LookupError("no dead letter has this id")
        return ["evt_1"]

    def letters(self) -> list[dict[str, Any]]:
        return [{"id": "evt_1", "dead": True}]

    def measurements(self) -> dict[str, Any]:
        return {
            "passgate_inflight_requests": 2,
            "passgate_connections": 7,
            "passgate_connections_refused_total": {("handshake",): 3},
            "passgate_certificate_expiry_seconds": {("listen",): -4},
            "passgate_trust_age_seconds": {("iss_lab", "keys"): 5},
            "passgate_sync_failures_total": {("iss_lab", "keys"): 1, ('iss"\n\\', "keys"): 0},
            "passgate_unknown_kid_total": {("iss_lab",): 4},
            "passgate_upstream_addresses": {("up",): 2, ("out",): 1, ("trial",): 0},
            "passgate_upstream_connections": 8,
            "passgate_upstream_failures_total": {("connect",): 5},
            "passgate_upstream_ejections_total": 1,
            "passgate_upstream_retries_total": {("address",): 2, ("connection",): 1},
            "passgate_upstream_resolution_failures_total": 0,
            "passgate_clock_skew_seconds": {("iss_lab",): 4.5},
            "passgate_holds": {("pending",): 4, ("waiting",): 1},
            "passgate_trust_bundle_version": 1_800_000_000,
            "passgate_kills": {("agent",): 2, ("all",): 0},
            "passgate_ledger_up": 1,
            "passgate_ledger_gates": 2,
            "passgate_ledger_missing_gates": 0,
            "passgate_ledger_requests_total": {("lease",): 30, ("server",): 2},
            "passgate_ledger_round_trips_total": 2,
            "passgate_ledger_disconnects_total": 1,
            "passgate_ledger_losses_total": {("spend", "deny"): 4},
            "passgate_log_lines_total": 9,
            "passgate_log_commit_seconds": self.commits,
            "passgate_log_gaps_total": 0,
            "passgate_log_healthy": 1,
            "passgate_verify_cache_total": {("hit",): 3, ("miss",): 1},
        }


Ask = Callable[..., Awaitable[ClientResponse]]


def serving(
    work: Callable[[Ask], Awaitable[None]],
    desk: Desk | None = None,
    *,
    tokens: tuple[Token, ...] = TOKENS,
    metrics_token: bytes | None = None,
    host: str = "127.0.0.1",
) -> Desk:
    """Runs `work` beside a served application, on a real socket."""
    known = desk or Desk()

    async def whole() -> None:
        server = TestServer(make_app(known, tokens, metrics_token, host))
        async with TestClient(server) as client:

            async def ask(
                method: str, path: str, token: str = "", **headers: str
            ) -> ClientResponse:
                if token:
                    headers["Authorization"] = f"Bearer {token}"
                return await client.request(method, path, headers=headers)

            await work(ask)

    asyncio.run(whole())
    return known


class TestTokens:
    """Everything under /api needs one."""

    @pytest.mark.parametrize(("method", "path"), [*API, ("GET", "/api"), ("GET", "/api/other")])
    def test_without_tokens_the_api_is_off(self, method: str, path: str) -> None:
        """404 for whatever is presented; health and metrics stay."""

        async def work(ask: Ask) -> None:
            assert (await ask(method, path)).status == 404
            assert (await ask(method, path, "all")).status == 404
            for open_path in ("/livez", "/readyz", "/metrics"):
                assert (await ask("GET", open_path)).status == 200

        assert serving(work, tokens=()).reloads == 0

    @pytest.mark.parametrize(("method", "path"), [*API, ("GET", "/api"), ("GET", "/api/other")])
    def test_a_wrong_token_is_refused(self, method: str, path: str) -> None:
        """401 with a challenge, and nothing is done."""

        async def work(ask: Ask) -> None:
            for headers in (
                {},
                {"Authorization": "Bearer"},
                {"Authorization": "Bearer "},
                {"Authorization": "Bearer al"},
                {"Authorization": "Bearer all2"},
                {"Authorization": "Bearer ALL"},
                {"Authorization": "Basic all"},
                {"Authorization": "all"},
                {"Authorization": "Bearer \u00e9"},
            ):
                answer = await ask(method, path, **headers)
                assert answer.status == 401, headers
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="passgate admin"'
                assert answer.content_type == "application/problem+json"

        desk = serving(work)
        assert (desk.reloads, desk.asked) == (0, [])

    def test_an_empty_secret_lets_nobody_in(self) -> None:
        """Whoever presents nothing presents just that."""

        async def work(ask: Ask) -> None:
            assert (await ask("POST", "/api/reload")).status == 401
            assert (await ask("POST", "/api/reload", Authorization="Bearer ")).status == 401
            assert (await ask("GET", "/metrics")).status == 401

        desk = serving(work, tokens=(Token("x", "admin", b""),), metrics_token=b"")
        assert desk.reloads == 0

    @pytest.mark.parametrize(
        ("token", "statuses"),
        [("see", [200, 200, 403]), ("approve", [200, 200, 403]), ("all", [200, 200, 200])],
    )
    def test_a_role_may_do_what_those_below_it_may(self, token: str, statuses: list[int]) -> None:
        """A viewer looks and reloads nothing."""

        async def work(ask: Ask) -> None:
            found = [(await ask(method, path, token)).status for method, path in API]
            assert found == statuses

        assert serving(work).reloads == statuses.count(200) - 2

    def test_what_has_no_role_needs_the_highest(self) -> None:
        """A route that is forgotten in the table is closed, not open."""

        async def work(ask: Ask) -> None:
            for method, path in (
                ("GET", "/api/other"),
                ("GET", "/api/reload"),
                ("HEAD", API[0][1]),
            ):
                assert (await ask(method, path, "see")).status == 403
            assert (await ask("GET", "/api/other", "all")).status == 404
            wrong = await ask("GET", "/api/reload", "all")
            assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")

        assert serving(work).reloads == 0

    def test_every_token_is_compared_in_constant_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first that fits does not end the comparison, and no other comparison is made."""
        compared: list[bytes] = []

        class Watched:
            """`hmac`, with a list of what was compared."""

            @staticmethod
            def compare_digest(known: bytes, presented: bytes) -> bool:
                compared.append(known)
                return hmac.compare_digest(known, presented)

        monkeypatch.setattr(app, "hmac", Watched)

        async def work(ask: Ask) -> None:
            await ask("GET", "/api/trust", "see")

        serving(work)
        assert compared == [token.secret for token in TOKENS]

    @pytest.mark.parametrize(
        "path", ["/%61pi/trust", "/api%2Ftrust", "//api/trust", "/api//trust", "/./api/trust"]
    )
    def test_no_spelling_of_a_path_gets_around_the_token(self, path: str) -> None:
        """Whatever the router would make of it."""

        async def work() -> None:
            async with TestServer(make_app(Desk(), TOKENS, None, "127.0.0.1")) as server:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                )
                answer = await reader.read()
                writer.close()
                assert answer.split(b" ")[1] in (b"401", b"404", b"400")
                assert b"iss_lab" not in answer

        asyncio.run(work())

    def test_a_secret_is_not_printed(self) -> None:
        """Whoever prints a token prints its holder and role; the highest role may do everything."""
        assert repr(TOKENS[2]) == "Token(name='admin', role='admin')"
        assert max(ROLES, key=lambda role: ROLES[role]) == "admin"


class TestHost:
    """A page in the operator's browser that rebound its name to this address."""

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9901",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "[::1].evil.example",
            "[::1]evil",
            "2130706433",
            "0x7f000001",
            "localhost@evil.example",
            "localhost:9901@evil.example",
            "127.0.0.1:x",
            "",
        ],
    )
    @pytest.mark.parametrize("path", ["/livez", "/metrics", "/api/trust"])
    def test_a_foreign_name_is_refused(self, host: str, path: str) -> None:
        """421, before any token is looked at."""

        async def work(ask: Ask) -> None:
            answer = await ask("GET", path, "all", Host=host)
            assert answer.status in ((400, 421) if not host else (421,))
            assert "WWW-Authenticate" not in answer.headers

        serving(work)

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.0.0.1:9901",
            "10.1.2.3:9901",
            "localhost",
            "LOCALHOST:9901",
            "[::1]",
            "[::1]:9901",
            "[2001:db8::1]:9901",
            "gate.internal",
            "Gate.Internal:9901",
        ],
    )
    def test_addresses_and_our_own_names_are_expected(self, host: str) -> None:
        """A name that a page could have is not among them, but for the one that was configured."""

        async def work(ask: Ask) -> None:
            assert (await ask("GET", "/livez", Host=host)).status == 200

        serving(work, host="gate.internal")

    def test_a_request_without_any_host_is_refused(self) -> None:
        """As HTTP/1.0 may send it; unless the listener is a Unix socket, which no page reaches."""

        async def status(host: str) -> bytes:
            async with TestServer(make_app(Desk(), (), None, host)) as server:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"GET /livez HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer.split(b" ")[1]

        assert asyncio.run(status("127.0.0.1")) == b"421"
        assert asyncio.run(status("")) == b"200"


class TestHealth:
    """What orchestrators ask."""

    @pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
    def test_readiness_names_each_dependency(self, ready: bool, status: int) -> None:
        """With its age; liveness does not depend on any."""

        async def work(ask: Ask) -> None:
            answer = await ask("GET", "/readyz")
            assert answer.status == status
            assert answer.headers["Cache-Control"] == "no-store"
            assert await answer.json() == {
                "status": "ready" if ready else "not ready",
                "dependencies": [{"name": "log", "ok": ready, "age_s": 3}],
            }
            live = await ask("GET", "/livez")
            assert (live.status, await live.json()) == (200, {"status": "live"})

        serving(work, Desk(ready=ready))

    @pytest.mark.parametrize(("problems", "status"), [((), 200), (("gate.yaml:1: no",), 409)])
    def test_a_reload_says_what_it_came_to(self, problems: tuple[str, ...], status: int) -> None:
        """409 with every problem where nothing was changed."""

        async def work(ask: Ask) -> None:
            answer = await ask("POST", "/api/reload", "all")
            assert answer.status == status
            assert await answer.json() == {
                "problems": list(problems),
                "warnings": ["gate.yaml:3: odd"],
            }

        serving(work, Desk(problems=problems))

    def test_trust_is_shown_to_viewers(self) -> None:
        """As the keeper sees it."""

        async def work(ask: Ask) -> None:
            answer = await ask("GET", "/api/trust", "see")
            assert await answer.json() == {
                "issuers": [{"issuer": "iss_lab", "kind": "keys", "age_s": 5}]
            }

        serving(work)


class TestRecords:
    """Questions to the log."""

    def test_a_question_is_passed_on(self) -> None:
        """All of its parts; without any, the newest fifty."""

        async def work(ask: Ask) -> None:
            path = "/api/records?limit=7&decision=block&reason=r&agent=a&decision_id=att_1"
            answer = await ask("GET", path, "see")
            assert await answer.json() == {"records": [{"decision_id": "att_1"}]}
            await ask("GET", "/api/records", "see")

        assert serving(work).asked == [RecordQuery(7, "block", "r", "a", "att_1"), RecordQuery()]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=-1",
            "limit=1001",
            "limit=x",
            "limit=",
            "limit=1e2",
            "limit=" + "9" * 5000,
            "limit=5&limit=6",
            "agent=a&agent=b",
            "nonsense=1",
            "self=1",
            "Agent=a",
        ],
    )
    def test_a_question_that_would_be_misread_is_refused(self, query: str) -> None:
        """400, and nothing is searched for."""

        async def work(ask: Ask) -> None:
            answer = await ask("GET", f"/api/records?{query}", "see")
            assert answer.status == 400
            assert answer.content_type == "application/problem+json"

        assert serving(work).asked == []


class TestMetrics:
    """The Prometheus text format."""

    @staticmethod
    def scraped(desk: Desk, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def work(ask: Ask) -> None:
            answer = await ask("GET", "/metrics")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = await answer.text()
            found.update({family.name: family for family in text_string_to_metric_families(text)})

        serving(work, desk, **options)
        return found

    def test_every_row_of_the_table_is_there(self) -> None:
        """With its kind and what it says, and nothing that the table does not have."""
        families = self.scraped(Desk())

        assert set(families) == {row.name.removesuffix("_total") for row in METRICS}
        for row in METRICS:
            family = families[row.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (row.kind, row.says)
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == set(row.labels)

    def test_what_was_counted_is_shown(self) -> None:
        """Under its labels, whatever they hold."""
        desk = Desk()
        desk.tally.decided(
            Record("att_1", Instant(0, 0), decision="allow", route='a"\\\nb', reason_code="")
        )
        desk.tally.charges["spend"] = 1
        desk.tally.reloads["ok"] += 1
        desk.tally.checks = 3
        families = self.scraped(desk)

        (sample,) = [s for s in families["passgate_requests"].samples if s.name.endswith("total")]
        assert sample.labels == {"decision": "allow", "reason": "", "action": 'a"\\\nb'}
        assert sample.value == 1
        assert families["passgate_checks"].samples[0].value == 3
        assert families["passgate_charges"].samples[0].labels == {"kind": "spend"}
        issuers = {s.labels["issuer"] for s in families["passgate_sync_failures"].samples}
        assert issuers == {"iss_lab", 'iss"\n\\'}

    def test_a_histogram_counts_up(self) -> None:
        """Each bucket holds those below it; the last holds all; the sum is of seconds."""
        desk = Desk()
        for seconds in (0.00001, BOUNDS[3], 0.3, 100.0):
            desk.tally.decision_seconds.observe(seconds)
        samples = self.scraped(desk)["passgate_decision_seconds"].samples
        buckets = [s for s in samples if s.name.endswith("_bucket")]

        assert [s.labels["le"] for s in buckets] == [*map(str, BOUNDS), "+Inf"]
        counts = [s.value for s in buckets]
        assert counts == sorted(counts)
        assert (counts[0], counts[2], counts[3], counts[-1]) == (1, 1, 2, 4)
        (total,) = [s.value for s in samples if s.name.endswith("_sum")]
        assert total == pytest.approx(100.30051, abs=1e-6)

    def test_metrics_may_need_a_token_of_their_own(self) -> None:
        """Which opens nothing else, and no other token opens them."""

        async def work(ask: Ask) -> None:
            assert (await ask("GET", "/metrics")).status == 401
            assert (await ask("GET", "/metrics", "all")).status == 401
            assert (await ask("GET", "/metrics", "scrape")).status == 200
            assert (await ask("GET", "/api/trust", "scrape")).status == 401
            assert (await ask("GET", "/readyz")).status == 200

        serving(work, metrics_token=b"scrape")
