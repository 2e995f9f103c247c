"""The admin listener of a real process: health, metrics, trust, records, reload."""

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, running_gate

from passgate.admin.metrics import METRICS
from passgate.testing import FakeUpstream, mint


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    config = {"limits": {"refusals_per_second": 1000}}
    with (
        FakeUpstream() as upstream,
        running_gate(tmp_path_factory.mktemp("gate"), upstream.url, config=config) as running,
    ):
        yield running


def samples(gate: RunningGate) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = gate.admin("GET", "/metrics").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(gate: RunningGate, name: str, **labels: str) -> float:
    return samples(gate).get((name, tuple(sorted(labels.items()))), 0.0)


def records(gate: RunningGate, **query: Any) -> list[dict[str, Any]]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = gate.admin("GET", f"/api/records?{asked}", ADMIN_TOKEN)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["records"]
    return found


def test_a_live_process_says_so(gate: RunningGate) -> None:
    """To whoever asks."""
    assert gate.admin("GET", "/livez").json == {"status": "live"}


def test_readiness_names_each_dependency_and_its_age(gate: RunningGate) -> None:
    """Listener, log, ledger, configuration, and each source of each issuer."""
    answer = gate.admin("GET", "/readyz")
    rows = {row["name"]: row for row in answer.json["dependencies"]}

    assert (answer.status, answer.json["status"]) == (200, "ready")
    issuer = gate.issuer.id
    assert rows.keys() >= {"listener", "log", "ledger", "configuration", f"{issuer} keys"}
    assert all(row["ok"] for row in rows.values())
    for kind in ("keys", "revocations"):
        row = rows[f"{issuer} {kind}"]
        assert 0 <= row["age_s"] <= 5
        assert row["error"] == ""
        assert row["source"]


def test_metrics_change_with_what_happens(gate: RunningGate) -> None:
    """Decisions, charges, cache, lines and times, each by the number of requests."""
    passport = mint(
        issuer=gate.issuer, permissions=["api:*"], constraints={"core:rate:max_per_minute": 100}
    )
    before = samples(gate)
    for _ in range(3):
        assert gate.request("GET", "/v1/search", passport).status == 200
    assert gate.request("GET", "/v1/search").status == 401

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return samples(gate).get(key, 0.0) - before.get(key, 0.0)

    action = {"action": "api:search"}
    assert grown("passgate_requests_total", decision="allow", reason="", **action) == 3
    missing = {"decision": "block", "reason": "passport_missing", **action}
    assert grown("passgate_requests_total", **missing) == 1
    assert grown("passgate_charges_total", kind="rate") == 3
    assert grown("passgate_verify_cache_total", result="hit") == 2
    assert grown("passgate_verify_cache_total", result="miss") == 1
    eventually(lambda: grown("passgate_log_lines_total") >= 7)
    for name in ("decision", "request", "upstream"):
        assert grown(f"passgate_{name}_seconds_count") >= 3
    assert counted(gate, "passgate_inflight_requests") == 0
    assert counted(gate, "passgate_log_healthy") == 1


def test_every_metric_of_the_table_is_served(gate: RunningGate) -> None:
    """As the reference page promises."""
    text = gate.admin("GET", "/metrics").body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}

    for row in METRICS:
        assert families[row.name.removesuffix("_total")].type == row.kind


def test_trust_shows_where_it_is_learnt_from(gate: RunningGate) -> None:
    """One row for each source; keys only by name and algorithm, and lists not at all."""
    rows = gate.admin("GET", "/api/trust", ADMIN_TOKEN).json["issuers"]

    assert [(row["issuer"], row["kind"]) for row in rows] == [
        (gate.issuer.id, "keys"),
        (gate.issuer.id, "revocations"),
    ]
    assert rows[0]["source"].endswith("jwks.json")
    assert rows[0]["keys"] == {gate.issuer.kid: "EdDSA"}
    assert "keys" not in rows[1]
    assert gate.issuer.kid not in gate.admin("GET", "/readyz").body.decode()
    assert gate.admin("GET", "/api/trust").status == 401
    assert gate.admin("GET", "/api/trust", "wrong").status == 401


def test_a_stale_source_is_shown_before_requests_are_refused_for_it(gate: RunningGate) -> None:
    """An unreadable list makes its row say so, and the gate goes on with what it knows."""
    path = gate.directory / "revocations.jwt"
    good = path.read_text()
    path.write_text("not a list")
    try:
        rows = eventually(
            lambda: [
                row
                for row in gate.admin("GET", "/readyz").json["dependencies"]
                if row.get("error") and row["name"].endswith("revocations")
            ]
        )
        assert rows[0]["ok"]
        assert rows[0]["failures"] >= 1
        assert gate.request("GET", "/v1/search", mint(issuer=gate.issuer)).status == 200
        failed = {"issuer": gate.issuer.id, "kind": "revocations"}
        assert counted(gate, "passgate_sync_failures_total", **failed) >= 1
    finally:
        path.write_text(good)
        os.utime(path)


def test_a_decision_is_found_by_its_id(gate: RunningGate) -> None:
    """With its outcome; and by agent, reason and decision."""
    allowed = gate.request(
        "GET", "/v1/search", mint(issuer=gate.issuer, agent="agent_found", permissions=["api:*"])
    )
    refused = gate.request("GET", "/v1/search")
    decision_id = allowed.headers["passport-decision-id"]

    found = eventually(lambda: len(records(gate, decision_id=decision_id)) == 2 and records(gate))
    assert found
    lines = records(gate, decision_id=decision_id)
    assert {line["kind"] for line in lines} == {"decision", "outcome"}
    assert {line["decision_id"] for line in lines} == {decision_id}
    (mine,) = records(gate, agent="agent_found", decision="allow")
    assert mine["decision_id"] == decision_id
    newest = eventually(lambda: records(gate, reason="passport_missing", limit=1))
    assert newest[0]["decision_id"] == refused.json["decision_id"]
    assert records(gate, decision_id="att_none") == []
    assert len(records(gate, limit=2)) == 2
    assert gate.admin("GET", "/api/records?limit=0", ADMIN_TOKEN).status == 400
    assert gate.admin("GET", "/api/records?agents=x", ADMIN_TOKEN).status == 400


def test_a_bad_reload_says_every_problem_and_changes_nothing(gate: RunningGate) -> None:
    """409; readiness warns until a good one comes, and both are counted."""
    passport = mint(issuer=gate.issuer, permissions=["api:*"])
    refused_before = counted(gate, "passgate_config_reloads_total", result="refused")

    gate.write_config(nonsense=True, upstream={"url": 7})
    answer = gate.admin("POST", "/api/reload", ADMIN_TOKEN)
    assert answer.status == 409
    assert len(answer.json["problems"]) >= 2
    assert all("gate.yaml:" in problem for problem in answer.json["problems"])
    assert gate.request("GET", "/v1/search", passport).status == 200
    rows = gate.admin("GET", "/readyz").json["dependencies"]
    (row,) = [row for row in rows if row["name"] == "configuration"]
    assert (row["ok"], bool(row["warning"])) == (True, True)
    assert counted(gate, "passgate_config_reloads_total", result="refused") > refused_before

    gate.write_config()
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).json["problems"] == []
    rows = gate.admin("GET", "/readyz").json["dependencies"]
    assert not any(row.get("warning") for row in rows)
    assert gate.admin("POST", "/api/reload").status == 401


def test_a_page_that_rebound_its_name_learns_nothing(gate: RunningGate) -> None:
    """Its Host gives it away, with the operator's token or without."""
    for path in ("/metrics", "/readyz", "/api/trust"):
        answer = gate.admin("GET", path, ADMIN_TOKEN, Host="evil.example")
        assert answer.status == 421


def test_what_an_agent_has_used_is_told(gate: RunningGate) -> None:
    """Its counters by issuer; 404 for an agent or an issuer that nobody has seen."""
    passport = mint(
        issuer=gate.issuer,
        agent="spender",
        permissions=["api:*"],
        constraints={"core:cost:max_cumulative": 500},
    )
    assert gate.request("POST", "/v1/export", passport).status == 200
    told = gate.admin("GET", "/api/agents/spender/usage", ADMIN_TOKEN).json

    assert (told["agent"], told["complete"]) == ("spender", True)
    (entry,) = told["usage"]
    (row,) = entry["counters"]
    assert (entry["issuer"], len(entry["passports"])) == (gate.issuer.id, 1)
    assert (row["used"], row["remaining"], row["limit"]) == (50, 450, 500)
    for path in ("nobody/usage", "spender/usage?issuer=iss_nobody"):
        assert gate.admin("GET", f"/api/agents/{path}", ADMIN_TOKEN).status == 404
    named = gate.admin("GET", f"/api/agents/nobody/usage?issuer={gate.issuer.id}", ADMIN_TOKEN)
    assert named.json["usage"] == [{"issuer": gate.issuer.id, "passports": [], "counters": []}]


def test_an_issuer_that_runs_ahead_is_measured(gate: RunningGate) -> None:
    """By the passports that it dates ahead of the gate's clock."""
    assert counted(gate, "passgate_clock_skew_seconds", issuer=gate.issuer.id) < 2
    ahead = gate.issuer.mint(now=time.time() + 20)
    assert gate.request("GET", "/v1/search", ahead).status == 200
    assert 15 < counted(gate, "passgate_clock_skew_seconds", issuer=gate.issuer.id) <= 20


@pytest.mark.parametrize(
    "head",
    [
        f"GET /api/trust HTTP/1.1\r\nAuthorization: Bearer {ADMIN_TOKEN}\x00\r\n",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {ADMIN_TOKEN}{'a' * 9000}\r\n",
        f"GET /{ADMIN_TOKEN.replace(' ', '')}\x01 HTTP/1.1\r\n",
    ],
)
def test_what_is_no_http_is_not_put_into_the_journal(gate: RunningGate, head: str) -> None:
    """The token of a client that makes a mistake stays with it, and nobody fills the disk."""
    before = gate.output.read_bytes()

    with socket.create_connection(("127.0.0.1", gate.admin_port), 5) as client:
        client.sendall(head.encode("latin-1") + b"\r\n")
        assert client.recv(4096).split(b" ")[1] == b"400"

    assert gate.admin("GET", "/livez").status == 200
    assert gate.output.read_bytes() == before
