"""Holds on real connections: whoever waits is answered, whoever leaves is forgotten."""

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, running_gate

from passgate.testing import FakeUpstream, Reply

CONSTRAINTS = {"core:approval:required": True}


def waiting(gate: RunningGate) -> int:
    text = gate.admin("GET", "/metrics").body.decode()
    (line,) = [x for x in text.splitlines() if x.startswith('passgate_holds{state="waiting"}')]
    return int(float(line.rpartition(" ")[2]))


def only_pending(gate: RunningGate) -> dict[str, Any]:
    (held,) = gate.admin("GET", "/api/holds?state=pending", ADMIN_TOKEN).json["holds"]
    return dict(held)


def approve(gate: RunningGate) -> None:
    held = only_pending(gate)
    answer = gate.admin("POST", f"/api/holds/{held['id']}/approve", ADMIN_TOKEN)
    assert answer.status == 200, answer.body


def ask(gate: RunningGate, passport: str, *, http2: bool) -> httpx.Response:
    headers = {"Authorization": f"Passport {passport}", "Prefer": "wait=30"}
    with httpx.Client(http1=not http2, http2=http2, timeout=20, trust_env=False) as client:
        return client.post(
            f"http://127.0.0.1:{gate.port}/v1/export", headers=headers, content=b"{}"
        )


def test_whoever_waits_is_answered_and_whoever_leaves_is_forgotten(tmp_path: Path) -> None:
    """Over both versions of HTTP; a gate that stops answers all who wait, and ends at once."""
    with (
        FakeUpstream(Reply(200)) as upstream,
        running_gate(tmp_path, f"http://127.0.0.1:{upstream.port}") as gate,
        ThreadPoolExecutor() as pool,
    ):
        for number, http2 in enumerate((False, True), 1):
            passport = gate.issuer.mint(constraints=CONSTRAINTS)
            asked: Future[httpx.Response] = pool.submit(ask, gate, passport, http2=http2)
            eventually(lambda: waiting(gate) == 1)
            assert not asked.done()
            approve(gate)
            answer = asked.result(10)
            assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=30")
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert len(upstream.seen) == number

        passport = gate.issuer.mint(constraints=CONSTRAINTS)
        with socket.create_connection(("127.0.0.1", gate.port)) as leaving:
            leaving.sendall(
                b"POST /v1/export HTTP/1.1\r\nHost: a\r\nPrefer: wait=30\r\n"
                b"Authorization: Passport %b\r\nContent-Length: 0\r\n\r\n" % passport.encode()
            )
            eventually(lambda: waiting(gate) == 1)
        eventually(lambda: waiting(gate) == 0)
        approve(gate)
        assert len(upstream.seen) == 2

        passport = gate.issuer.mint(constraints=CONSTRAINTS)
        asked = pool.submit(ask, gate, passport, http2=False)
        eventually(lambda: waiting(gate) == 1)
        stopping = threading.Thread(target=gate.stop)
        stopping.start()
        answer = asked.result(10)
        assert (answer.status_code, answer.json()["code"]) == (403, "approval_required")
        stopping.join(10)
        assert not stopping.is_alive()
        gate.start()
        assert only_pending(gate)["id"] == answer.json()["hold"]["id"]
