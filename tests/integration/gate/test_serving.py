"""The gate as a process before an API: what agents and upstream see of it."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, running_gate

from passgate.log import read_lines, verify_log
from passgate.testing import FakeUpstream, Reply, mint


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    config = {
        "anonymous": {
            "enabled": True,
            "allowed_actions": ["public"],
            "rate_limit_per_minute": 1000,
            "rate_limit_per_hour": 1000,
            "upgrade_url": "https://api.example/signup",
        },
        "limits": {"refusals_per_second": 1000},
    }
    directory = tmp_path_factory.mktemp("gate")
    with running_gate(directory, upstream.url, config=config) as running:
        yield running


def test_the_upstream_learns_who_calls_and_sees_no_passport(
    gate: RunningGate, upstream: FakeUpstream
) -> None:
    """Identity headers are the gate's own; what the agent claims of them is gone."""
    passport = mint(issuer=gate.issuer, agent="agent_7", permissions=["api:*"])

    answer = gate.request(
        "GET",
        "/v1/search?q=%41",
        passport,
        {"X-Passport-Agent": "admin", "X-Forwarded-For": "1.2.3.4", "X-Original-URL": "/x"},
    )

    seen = upstream.seen[-1]
    assert answer.status == 200
    assert answer.headers["passport-decision"] == "allow"
    assert seen.target == "/v1/search?q=%41"
    assert seen.header("X-Passport-Agent") == "agent_7"
    assert seen.header("X-Passport-Access") == "passport"
    assert seen.header("X-Passport-Decision-Id") == answer.headers["passport-decision-id"]
    assert seen.header("X-Forwarded-For") == "127.0.0.1"
    assert seen.header("X-Original-URL") is None
    assert seen.header("Authorization") is None


def test_an_anonymous_answer_carries_the_upgrade_prompt(gate: RunningGate) -> None:
    """Also an allowed one."""
    answer = gate.request("GET", "/public/about")

    assert answer.status == 200
    assert answer.headers["passport-upgrade"] == 'url="https://api.example/signup"'
    assert answer.headers["link"] == '<https://api.example/signup>; rel="passport-upgrade"'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "none", 404), ("PUT", "keys", 405), ("GET", "passport", 401), ("POST", "check", 415)],
)
def test_the_gates_own_refusals_carry_the_prompt_too(
    gate: RunningGate, method: str, path: str, status: int
) -> None:
    """To whom presented nothing; who presented something has a passport already."""
    target = f"/.well-known/passgate/{path}"

    answer = gate.request(method, target)
    presented = gate.request(method, target, "x.y.z")

    assert answer.status == status
    assert answer.headers["passport-upgrade"] == 'url="https://api.example/signup"'
    assert answer.json["upgrade_url"] == "https://api.example/signup"
    assert "passport-upgrade" not in presented.headers


def test_a_bad_passport_is_never_anonymous(gate: RunningGate, upstream: FakeUpstream) -> None:
    """Every header that counts as presented keeps a request out of the anonymous tier."""
    before = len(upstream.seen)

    for headers in (
        {"Authorization": "Passport"},
        {"Authorization": "Passport x.y.z"},
        {"Authorization": "DPoP x"},
        {"X-Agent-Passport": ""},
        {"X-Modei-Passport-ID": "pass_x"},
        {"DPoP": "x"},
        {"X-Agent-Passport-Chain": ""},
    ):
        answer = gate.request("GET", "/public/about", headers=headers)
        assert answer.status == 401, headers
        assert answer.json["code"].startswith("passport_"), headers

    assert len(upstream.seen) == before


def test_a_refusal_says_what_the_contract_says(gate: RunningGate) -> None:
    """Problem details, the challenge, and nothing about keys or internals."""
    answer = gate.request(
        "GET", "/v1/search", mint(issuer=gate.issuer, now=time.time() - 10 * 86_400, ttl_s=3600)
    )

    body = answer.json
    assert answer.status == body["status"] == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["code"] == "passport_expired"
    assert body["decision"] == "block"
    assert body["decision_id"].startswith("att_")
    assert body["type"].endswith("/reasons#passport_expired")
    assert answer.headers["www-authenticate"].startswith(
        'Passport realm="gate_test", profile="L2", error="invalid_token", error_description="'
    )


def test_missing_says_no_error_word(gate: RunningGate) -> None:
    """RFC 6750 section 3: no `error` where nothing was presented."""
    answer = gate.request("GET", "/v1/search")

    assert answer.status == 401
    assert answer.json["code"] == "passport_missing"
    assert "error=" not in answer.headers["www-authenticate"]
    assert answer.json["required_permissions"] == ["api:search"]


def test_a_revoked_passport_is_refused_within_the_refresh(gate: RunningGate) -> None:
    """From the moment that the list is there it takes at most `refresh` and a second."""
    passport = mint(issuer=gate.issuer, passport_id="pass_leaver", permissions=["api:*"])
    assert gate.request("GET", "/v1/search", passport).status == 200

    gate.revoke(("passport", "pass_leaver"))
    began = time.monotonic()
    eventually(lambda: gate.request("GET", "/v1/search", passport).status == 401, 3)

    assert time.monotonic() - began < 2.5
    assert gate.request("GET", "/v1/search", passport).json["code"] == "passport_revoked"


def test_what_is_left_is_told_with_each_answer(gate: RunningGate) -> None:
    """RateLimit for the tightest rate, Passport-Budget for the budget, Retry-After at the end."""
    passport = mint(
        issuer=gate.issuer,
        permissions=["api:*"],
        constraints={"core:rate:max_per_minute": 2, "core:cost:max_cumulative": 500},
    )

    first = gate.request("POST", "/v1/export", passport)
    gate.request("POST", "/v1/export", passport)
    third = gate.request("POST", "/v1/export", passport)

    assert first.headers["ratelimit-policy"] == '"max_per_minute";q=2;w=60'
    assert first.headers["ratelimit"].startswith('"max_per_minute";r=1;t=')
    assert first.headers["passport-budget"].startswith("remaining_cents=450, window=daily, reset=")
    assert third.status == 429
    assert third.json["code"] == "rate_limited"
    assert 0 < int(third.headers["retry-after"]) <= 61


def test_what_never_reached_the_upstream_costs_nothing(
    tmp_path: Path,
) -> None:
    """An unreachable upstream gives the charge back; one that broke off after a byte does not."""
    with (
        FakeUpstream(answer=Reply(raw=b"")) as breaking,
        running_gate(tmp_path, breaking.url, config={}) as gate,
    ):
        passport = mint(
            issuer=gate.issuer,
            permissions=["api:*"],
            constraints={"core:cost:max_cumulative": 100},
        )
        assert gate.request("POST", "/v1/export", passport).status == 502
        gate.write_config(upstream={"url": "http://127.0.0.1:1"})
        assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200
        refused = gate.request("POST", "/v1/export", passport)
        assert refused.json["code"] == "upstream_unreachable"
        left = gate.request("GET", "/.well-known/passgate/passport", passport).json

    assert left["actions"]["api:export"]["left"][0]["remaining"] == 50


def test_reload_swaps_the_world_or_keeps_it(gate: RunningGate) -> None:
    """A good file comes into force without a restart; a bad one changes nothing and is reported."""
    passport = mint(issuer=gate.issuer, permissions=["*"])
    assert gate.request("GET", "/v2/new", passport).status == 404

    routes = [
        {"match": "GET /v1/search", "action": "api:search"},
        {"match": "POST /v1/export", "action": "api:export", "cost_cents": 50},
        {"match": "ANY /public/**", "action": "public"},
    ]
    gate.write_config(actions={"routes": [*routes, {"match": "GET /v2/new", "action": "v2:new"}]})
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200
    assert gate.request("GET", "/v2/new", passport).status == 200

    gate.file.write_text("upstream: {url: 7}\nnonsense: true\n")
    refused = gate.admin("POST", "/api/reload", ADMIN_TOKEN)
    assert refused.status == 409
    assert len(refused.json["problems"]) >= 2
    assert gate.request("GET", "/v2/new", passport).status == 200

    gate.write_config()
    assert gate.process is not None
    gate.process.send_signal(signal.SIGHUP)
    eventually(lambda: gate.request("GET", "/v2/new", passport).status == 404)


def test_requests_do_not_wait_for_a_reload(gate: RunningGate) -> None:
    """However long a large configuration takes to be read, others are served meanwhile."""
    passport = mint(issuer=gate.issuer, permissions=["*"])
    used = {"match": "GET /v1/search", "action": "api:search"}
    many = [{"match": f"GET /v3/{n}/{{id}}", "action": f"v3:a{n}"} for n in range(2000)]
    gate.write_config(actions={"routes": [used, *many]})
    took: list[float] = []

    def reload() -> None:
        begin = time.monotonic()
        assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200
        took.append(time.monotonic() - begin)

    reloading = threading.Thread(target=reload)
    reloading.start()
    waits = []
    while reloading.is_alive():
        begin = time.monotonic()
        assert gate.request("GET", "/v1/search", passport).status == 200
        waits.append(time.monotonic() - begin)
    reloading.join()
    gate.write_config()
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200

    assert max(waits) < took[0] / 2, f"waited {max(waits):.2f} s of a reload of {took[0]:.2f} s"


def test_what_only_a_restart_can_change_is_said(gate: RunningGate) -> None:
    """The address cannot move while connections are open on it."""
    gate.write_config(gate={"id": "gate_other", "data_dir": str(gate.directory / "data")})

    refused = gate.admin("POST", "/api/reload", ADMIN_TOKEN)
    gate.write_config()

    assert refused.status == 409
    assert "gate.id" in refused.json["problems"][0]


def test_sigterm_finishes_requests_and_flushes_the_log(tmp_path: Path) -> None:
    """In-flight requests end well, the log is whole, the exit code is 0."""
    with (
        FakeUpstream(answer=Reply(body=[b"a", b"b", b"c"], pause_s=0.3)) as slow,
        running_gate(tmp_path, slow.url) as gate,
    ):
        passport = mint(issuer=gate.issuer, permissions=["api:*"])
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(gate.request("GET", "/v1/search", passport))
        )
        asking.start()
        slow.wait_for(1)
        code = gate.stop()
        asking.join()

    assert code == 0
    assert (answers[0].status, answers[0].body) == (200, b"abc")
    found = verify_log(gate.log_directory)
    assert not found.wrong
    assert found.uncovered == 0
    lines = list(read_lines(gate.log_directory))
    assert lines[-1]["kind"] == "stop"
    assert [line["outcome"] for line in lines if line["kind"] == "outcome"] == ["completed"]


def test_a_draining_gate_says_that_it_is_not_ready(tmp_path: Path) -> None:
    """Probes hear 503 until the last request in flight has ended, and the gate then ends with 0."""
    with (
        FakeUpstream(answer=Reply(body=[b"x"] * 5, pause_s=0.3)) as slow,
        running_gate(tmp_path, slow.url) as gate,
    ):
        passport = mint(issuer=gate.issuer, permissions=["api:*"])
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(gate.request("GET", "/v1/search", passport))
        )
        asking.start()
        slow.wait_for(1)
        assert gate.process is not None
        gate.process.send_signal(signal.SIGTERM)
        eventually(lambda: gate.admin("GET", "/readyz").status == 503)
        live = gate.admin("GET", "/livez").status
        asking.join()
        code = gate.process.wait(10)

    assert (answers[0].status, answers[0].body) == (200, b"xxxxx")
    assert live == 200
    assert code == 0


def test_every_anonymous_answer_carries_the_upgrade_prompt(tmp_path: Path) -> None:
    """Allowed, refused, too large, too often, and also when the upstream is away."""
    config = {
        "anonymous": {
            "enabled": True,
            "allowed_actions": ["public", "public:order"],
            "read_only": False,
            "rate_limit_per_minute": 4,
            "upgrade_message": "Get a passport",
        },
        "actions": {
            "routes": [
                {"match": "POST /order", "action": "public:order", "amount": "body:/amount"},
                {"match": "ANY /public/**", "action": "public"},
            ]
        },
        "limits": {"refusals_per_second": 5, "judged_body_bytes": "1KiB"},
    }
    with (
        FakeUpstream(answer=Reply(raw=b"")) as breaking,
        running_gate(tmp_path, breaking.url, config=config) as gate,
    ):
        json_body = {"Content-Type": "application/json"}
        answers = [
            gate.request("GET", "/public/x"),
            gate.request("POST", "/order", headers=json_body, body=b" " * 2000),
            gate.request("GET", "/unknown"),
        ]
        answers += [gate.request("GET", "/public/x") for _ in range(12)]

    assert {answer.status for answer in answers} >= {502, 413, 404, 429}
    assert all(
        answer.headers.get("passport-upgrade") == 'message="Get a passport"' for answer in answers
    )


def test_a_holder_learns_what_its_passport_owes(tmp_path: Path) -> None:
    """Every constraint by who demands it, as authored, and the key that signs is dated."""
    config = {"constraints": {"core:rate:max_per_hour": 100}}
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url, config=config) as gate:
        passport = mint(
            issuer=gate.issuer,
            permissions=[
                {"permission_key": "api:*", "constraints": {"core:cost:max_per_action": 70}}
            ],
            constraints={"core:scope:method_allowlist": ["GET", "POST"]},
        )
        shown = gate.request("GET", "/.well-known/passgate/passport", passport).json
        keys = gate.request("GET", "/.well-known/passgate/keys").json["keys"]

    assert shown["actions"]["api:export"]["constraints"] == {
        "gate": {"core:rate:max_per_hour": 100},
        "passport": {"core:scope:method_allowlist": ["GET", "POST"]},
        "permissions": {"api:*": {"core:cost:max_per_action": 70}},
    }
    assert 0 <= time.time() - keys[0]["nbf"] < 60
