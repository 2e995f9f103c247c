"""One budget, and an agent that tries to get more out of it than is in it."""

import socket
import threading
from collections.abc import Iterator

import pytest
from tests.support.raw_http import Peer, RawUpstream, connected
from tests.support.running_gate import RunningGate, eventually, running_gate

from passgate.log import read_lines, verify_log
from passgate.testing import mint

BUDGET = {"core:cost:max_cumulative": 500}


def reluctant(peer: Peer) -> None:
    """Acts on every whole request; how it answers is chosen by the path."""
    while (head := peer.head()) is not None:
        path = head.split(b" ")[1]
        if path.startswith(b"/v1/reset"):
            peer.reset()
            return
        if path.startswith(b"/v1/hang"):
            peer.rest()
            return
        if path.startswith(b"/v1/garbage"):
            peer.send(b"HTTP/1.1 banana\r\n\r\n")
            return
        if path.startswith(b"/v1/early"):
            peer.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            peer.rest()
            return
        if length := [line for line in head.lower().split(b"\r\n") if b"content-length" in line]:
            want = int(length[0].split(b":")[1])
            while len(peer.seen.received) - peer._used < want:
                if not peer.receive():
                    return
            peer._used += want
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(reluctant) as running:
        yield running


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: RawUpstream) -> Iterator[RunningGate]:
    config = {
        "limits": {"refusals_per_second": 10_000, "body_bytes": 2000},
        "upstream": {
            "url": f"http://127.0.0.1:{upstream.port}",
            "first_byte_timeout": "500ms",
            "max_connections": 64,
        },
        "actions": {
            "routes": [
                {"match": "ANY /v1/{what}", "action": "api:spend", "cost_cents": 100},
                {
                    "match": "POST /declared",
                    "action": "api:declared",
                    "cost_cents": "body:/cost",
                    "require": ["cost"],
                },
            ]
        },
    }
    directory = tmp_path_factory.mktemp("gate")
    url = f"http://127.0.0.1:{upstream.port}"
    with running_gate(directory, url, config=config) as running:
        yield running


def passport_with(gate: RunningGate, **constraints: object) -> str:
    given = {key.replace("__", ":"): value for key, value in constraints.items()} or BUDGET
    return mint(issuer=gate.issuer, permissions=["api:*"], constraints=given)


def left(gate: RunningGate, passport: str) -> int:
    """Cents that are left of the budget, by the gate's own word."""
    actions = gate.request("GET", "/.well-known/passgate/passport", passport).json["actions"]
    return int(next(row["remaining"] for row in actions["api:spend"]["left"]))


def seen_by(upstream: RawUpstream, mark: str) -> int:
    """How many request heads with this mark reached the upstream."""
    return upstream.received.count(mark.encode())


def test_a_race_for_the_last_cents_has_one_winner_each(
    gate: RunningGate, upstream: RawUpstream
) -> None:
    """Twenty connections, pipelined besides: five requests fit, and five arrive."""
    passport = passport_with(gate)
    one = (
        f"GET /v1/race?m=race HTTP/1.1\r\nHost: a\r\nAuthorization: Passport {passport}\r\n\r\n"
    ).encode()

    def run() -> None:
        with connected(gate.port) as client:
            client.send(one * 5)
            for _ in range(5):
                client.answer()

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen_by(upstream, "m=race") == 5
    assert left(gate, passport) == 0


@pytest.mark.parametrize("what", ["reset", "garbage", "hang"])
def test_a_broken_answer_gives_nothing_back(gate: RunningGate, what: str) -> None:
    """The upstream may have acted, so what the request cost is spent."""
    passport = passport_with(gate)

    answer = gate.request("POST", f"/v1/{what}", passport, body=b"x")

    assert answer.status in (502, 504)
    assert left(gate, passport) == 400


@pytest.mark.parametrize(
    "sent",
    [
        "POST /v1/x?m={m} HTTP/1.1\r\nContent-Length: 100\r\n{h}\r\n",
        "POST /v1/x?m={m} HTTP/1.1\r\nContent-Length: 100\r\n{h}\r\nhalf",
        "POST /v1/x?m={m} HTTP/1.1\r\nContent-Length: 100\r\nExpect: 100-continue\r\n{h}\r\n",
        "POST /v1/x?m={m} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{h}\r\n5\r\nhello\r\n",
        "POST /v1/x?m={m} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{h}\r\n5\r\nhello\r\nzz",
        "POST /v1/x?m={m} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{h}\r\n5\r\nhello\r\nffff\r\n",
        "GET /v1/hang?m={m} HTTP/1.1\r\n{h}\r\n",
        "POST /v1/early?m={m} HTTP/1.1\r\nContent-Length: 100\r\n{h}\r\nhalf",
    ],
)
def test_leaving_at_any_moment_gives_nothing_back_that_was_sent(
    gate: RunningGate, upstream: RawUpstream, sent: str
) -> None:
    """Either nothing reached the upstream and nothing is charged, or both."""
    passport = passport_with(gate)
    mark = f"m{abs(hash(sent))}z"
    headers = f"Host: a\r\nAuthorization: Passport {passport}\r\n"

    with socket.create_connection(("127.0.0.1", gate.port), 5) as sock:
        sock.sendall(sent.format(m=mark, h=headers).encode())
        eventually(lambda: seen_by(upstream, mark))

    eventually(lambda: left(gate, passport) == 400)
    for _ in range(4):
        assert gate.request("GET", "/v1/ok", passport).status == 200
    assert gate.request("GET", "/v1/ok", passport).status == 403


def test_leaving_leaks_no_place_among_those_at_once(gate: RunningGate) -> None:
    """`max_concurrent` is free again after a client left, was cut or was refused half-way."""
    passport = passport_with(gate, core__rate__max_concurrent=1)
    headers = f"Host: a\r\nAuthorization: Passport {passport}\r\n"
    for sent in (
        "GET /v1/hang HTTP/1.1\r\n{h}\r\n",
        "POST /v1/x HTTP/1.1\r\nContent-Length: 100\r\n{h}\r\nhalf",
        "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{h}\r\n5\r\nhello\r\nzz",
        "POST /v1/early HTTP/1.1\r\nContent-Length: 100\r\n{h}\r\nhalf",
        "GET /v1/garbage HTTP/1.1\r\n{h}\r\n",
        "GET /v1/reset HTTP/1.1\r\n{h}\r\n" * 3,
    ):
        with socket.create_connection(("127.0.0.1", gate.port), 5) as sock:
            sock.sendall(sent.replace("{h}", headers).encode())
        eventually(lambda: gate.request("GET", "/v1/ok", passport).status == 200)


@pytest.mark.parametrize(
    "cost",
    [
        *("-1", "-0", "1e-3", "0.5", "1e2", '"-1"', "true", "null", "[1]", '"1 "', "9" * 40, "NaN"),
        *('1,"cost":0', '1,"Cost":0', '0,"c\\u006fst":1', '1}{"cost":0'),
    ],
)
def test_no_declared_cost_gives_money_back(
    gate: RunningGate, upstream: RawUpstream, cost: str
) -> None:
    """A cost is a plain whole number that is there once; anything else is no request at all."""
    passport = passport_with(gate)
    before = len(upstream.received)

    answer = gate.request(
        "POST",
        "/declared",
        passport,
        {"Content-Type": "application/json"},
        b'{"cost": %b}' % cost.encode(),
    )

    assert answer.status == 400
    assert len(upstream.received) == before
    assert left(gate, passport) == 500


def test_the_record_agrees(gate: RunningGate) -> None:
    """After all of the above the log verifies, and every allowed request has one outcome."""
    assert gate.stop() == 0

    assert verify_log(gate.log_directory).wrong == ""
    lines = list(read_lines(gate.log_directory))
    allowed = [line["decision_id"] for line in lines if line.get("decision") == "allow"]
    ended = [line["decision_id"] for line in lines if line["kind"] == "outcome"]
    assert sorted(allowed) == sorted(ended)
    assert "Traceback" not in gate.output.read_text()
