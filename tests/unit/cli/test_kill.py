"""`passgate kill`, `kill list` and `unkill`: what they ask of the admin API, and what they say."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.testing import FakeUpstream, Reply

KILL = {
    "id": "kill_1",
    "kind": "agent",
    "target": "a/b",
    "issuer": "iss_lab",
    "reason": "sold out",
    "by": "ann",
    "at": 1_800_000_000,
}
LINE = "kill_1  agent a/b  of iss_lab  since 2027-01-15T08:00:00Z by ann  (sold out)"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANN", "the-secret-of-ANN")


def run(answer: Any, *arguments: str, status: int = 200) -> tuple[int, str, str, list[Any]]:
    """Exit code, output, errors and what the gate was asked."""
    with FakeUpstream(Reply(status, body=json.dumps(answer).encode())) as gate:
        options = ["--admin", f"http://127.0.0.1:{gate.port}", "--token", "env:ANN"]
        result = CliRunner().invoke(app, [*arguments, *options])
    asked = [(seen.method, seen.target, json.loads(seen.body or b"null")) for seen in gate.seen]
    return result.exit_code, result.stdout, result.stderr, asked


def test_stopping_sends_the_order_and_shows_the_kill() -> None:
    """One line; a warning goes beside it."""
    answer = {**KILL, "new": True, "warnings": ["no issuer iss_lab is configured"]}
    code, out, err, asked = run(
        answer, "kill", "agent", "a/b", "--issuer", "iss_lab", "--reason", "sold out"
    )
    order = {"kind": "agent", "id": "a/b", "issuer": "iss_lab", "reason": "sold out"}
    assert (code, asked) == (0, [("POST", "/api/kill", order)])
    assert out == f"Stopped: {LINE}\n"
    assert err == "passgate: warning: no issuer iss_lab is configured\n"


def test_stopping_everything_needs_no_id() -> None:
    """And stopping it again says that it was stopped."""
    answer = {**KILL, "kind": "all", "target": "", "issuer": "", "reason": ""}
    code, out, _, asked = run({**answer, "new": False, "warnings": []}, "kill", "all")
    assert (code, asked) == (0, [("POST", "/api/kill", {"kind": "all"})])
    assert out == "Already stopped: kill_1  all  since 2027-01-15T08:00:00Z by ann\n"


def test_json_is_what_the_gate_said() -> None:
    """For each of the three."""
    answer = {**KILL, "new": True, "warnings": []}
    assert json.loads(run(answer, "kill", "agent", "a/b", "--json")[1]) == answer
    assert json.loads(run({"kills": [KILL]}, "kill", "list", "--json")[1]) == {"kills": [KILL]}
    assert json.loads(run(KILL, "unkill", "kill_1", "--json")[1]) == KILL


def test_the_list_is_a_line_each() -> None:
    """Or a sentence where there is none; nothing that a terminal would obey."""
    wild = {**KILL, "target": "a\x1b[2Jb"}
    code, out, _, asked = run({"kills": [KILL, wild]}, "kill", "list")
    assert (code, asked) == (0, [("GET", "/api/kill", None)])
    assert out.splitlines() == [LINE, LINE.replace("a/b", "a?[2Jb")]
    assert run({"kills": []}, "kill", "list")[1] == "nothing is stopped\n"


@pytest.mark.parametrize(
    ("name", "path"),
    [("kill_1", "kill_1"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("..", "..")],
)
def test_lifting_names_the_kill_or_what_it_stops(name: str, path: str) -> None:
    code, out, _, asked = run(KILL, "unkill", name)
    assert (code, asked) == (0, [("DELETE", f"/api/kill/{path}", None)])
    assert out == f"Lifted: {LINE}\n"


def test_what_the_gate_refuses_is_exit_1() -> None:
    """With its sentence."""
    code, out, err, _ = run({"detail": "This needs the role admin."}, "kill", "all", status=403)
    assert (code, out) == (1, "")
    assert "403: This needs the role admin." in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("kill",),
        ("kill", "everything"),
        ("kill", "agent"),
        ("kill", "agent", ""),
        ("kill", "all", "agent_7"),
        ("kill", "action", "*"),
        ("kill", "action", "a", "--issuer", "iss_lab"),
        ("kill", "list", "agent_7"),
        ("kill", "list", "--reason", "x"),
        ("unkill",),
        ("unkill", ""),
    ],
)
def test_what_is_no_order_is_not_sent(arguments: tuple[str, ...]) -> None:
    """Exit 2, and the gate is asked nothing."""
    code, _, err, asked = run({}, *arguments)
    assert (code, asked) == (2, [])
    assert err
