"""The gate's own endpoints and its admin listener, against whoever can reach them."""

import json
import socket
from collections.abc import Iterator

import pytest
from tests.support.running_gate import RunningGate, running_gate

from passgate.testing import FakeUpstream

PREFIX = "/.well-known/passgate"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    config = {
        "anonymous": {"enabled": True, "allowed_actions": ["*"], "rate_limit_per_minute": 1000},
        "actions": {"default": "method_path", "routes": []},
        "limits": {"refusals_per_second": 1000},
    }
    directory = tmp_path_factory.mktemp("gate")
    with running_gate(directory, upstream.url, config=config) as running:
        yield running


def status_of(port: int, request: str) -> int:
    """The status of the one answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(request.encode("latin-1"))
        return int(sock.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    "question",
    [
        '{"action": "p\\ud800"}',
        '{"action": "p", "method": ["GET"]}',
        '{"action": "p", "method": {"a": 1}}',
        '{"action": "p", "vendor": "\\udfff"}',
        '{"action": "p", "target": "\\ud800"}',
        '{"action": "p", "cost_cents": 1e999999999}',
        '{"action": "p", "cost_cents": true}',
        "[" * 8000,
        "[" * 65 + '"' + '\\"' * 7000,
    ],
)
def test_no_question_upsets_the_dry_run(gate: RunningGate, question: str) -> None:
    """Anybody may ask; what is no question is a malformed request, and not an incident."""
    headers = {"Content-Type": "application/json"}

    answer = gate.request("POST", f"{PREFIX}/check", headers=headers, body=question.encode())

    assert (answer.status, answer.json["code"]) == (400, "request_malformed")


@pytest.mark.parametrize(
    "target",
    [
        f"{PREFIX}/keys",
        f"{PREFIX}/../../v1/search",
        f"{PREFIX}/%2e%2e/v1",
        f"{PREFIX}/..;/v1",
        f"{PREFIX}%2fkeys",
        f"{PREFIX}//keys",
        "/.well-known/passgat%65/keys",
        "/%2ewell-known/passgate/",
        f"http://127.0.0.1{PREFIX}/keys",
        f"{PREFIX}?a=/../..",
    ],
)
def test_nothing_under_the_prefix_is_forwarded(
    gate: RunningGate, upstream: FakeUpstream, target: str
) -> None:
    """Though every action is allowed here, and whatever spelling the prefix comes in."""
    before = len(upstream.seen)

    status_of(gate.port, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert len(upstream.seen) == before


@pytest.mark.parametrize(
    "line",
    [
        "GET /api/trust",
        "HEAD /api/trust",
        "GET //api/trust",
        "GET /api//trust",
        "GET /api/../api/trust",
        "GET /x/../api/trust",
        "GET /livez/../api/trust",
        "GET /%61pi/trust",
        "GET /api%2ftrust",
        "GET /API/trust",
        "GET /api;x/trust",
        "GET http://localhost/api/trust",
        "POST /api/reload",
        "POST //api/reload",
        "POST /%61pi/reload",
        "POST http://localhost/api/reload",
    ],
)
@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer the-operator", "Basic YTpi"])
def test_no_spelling_of_the_admin_api_needs_no_token(
    gate: RunningGate, line: str, token: str
) -> None:
    """Whatever path, method or scheme: refused, or nothing there."""
    authorization = f"Authorization: {token}\r\n" if token else ""

    status = status_of(
        gate.admin_port, f"{line} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n"
    )

    assert status in (401, 404)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::1]evil.example",
        "[::1].evil.example:9901",
        "localhost@evil.example",
        "0x7f.1",
        "",
    ],
)
def test_a_page_that_rebinds_its_name_reaches_nothing(gate: RunningGate, host: str) -> None:
    """A browser sends the name of the page, which is no address and not localhost."""
    request = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"

    assert status_of(gate.admin_port, request) == 421


def test_incidents_tell_nothing(gate: RunningGate) -> None:
    """After all of the above the journal holds no incident and no token."""
    output = gate.output.read_text()

    assert "internal_error" not in output
    assert "the-operator" not in output
    assert json.dumps("Traceback")[1:-1] not in output
