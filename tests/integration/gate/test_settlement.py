"""What comes back of a charge: all of it where nothing was sent upstream, else only by its word.

Each scene also folds the log as a start after a crash would, and finds the same counters.
"""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.http2_client import DATA, RST_STREAM, frame, http2
from tests.support.http2_upstream import Conversation, Http2Peer, speaking
from tests.support.raw_http import Peer, RawUpstream, Script, connected, until
from tests.support.upstreams import refusing_port
from tests.support.whole_gate import WholeGate, whole_gate

from passgate.ledger.fold import fold
from passgate.proxy.settings import Limits

COST = b"X-Passport-Cost-Cents: 0\r\n"
CONFIG: dict[str, Any] = {
    "actions": {
        "routes": [
            {
                "match": "POST /**",
                "action": "api:export",
                "cost_cents": 50,
                "cost_from_upstream": True,
            }
        ]
    },
    "audit": {"durability": "relaxed"},
    "limits": {"refusals_per_second": 1000},
}
BUDGET = {"core:cost:max_cumulative": 1000, "core:rate:max_concurrent": 5}
SHORT = {"first_byte_timeout": 0.15, "idle_timeout": 0.15}


def spent(gate: WholeGate) -> int:
    wall = gate.house.clock().wall
    counters = gate.house.ledger._by_name.items()
    return sum(each.used_at(0, wall) for name, each in counters if name.startswith("spend/"))


def folded(gate: WholeGate) -> int:
    wall = gate.house.clock().wall
    counters = fold(gate.house.lines()).counters.by_name.items()
    return sum(each.used_at(0, wall) for name, each in counters if name.startswith("spend/"))


def outcome_of(gate: WholeGate) -> dict[str, Any]:
    """The only outcome there is, and that the counters are what its log says."""
    until(lambda: gate.house.lines("outcome"), "the request has ended")
    (outcome,) = gate.house.lines("outcome")
    assert spent(gate) == folded(gate) == outcome.get("settled_cents", 0)
    return outcome


def head(status: int = 200, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bContent-Length: 5\r\n\r\n" % (status, more)


def _then(*pieces: bytes, end: Callable[[Peer], None]) -> Script:
    def script(peer: Peer) -> None:
        if peer.request() is not None:
            for piece in pieces:
                peer.send(piece)
            end(peer)

    return script


def _rest(peer: Peer) -> None:
    peer.rest()


def _reset(peer: Peer) -> None:
    peer.reset()


WHOLE = [
    ("time-out", _then(end=_rest), "upstream_failed", None),
    ("reset", _then(end=_reset), "upstream_failed", None),
    ("closed without an answer", _then(end=lambda _: None), "upstream_failed", None),
    ("no HTTP", _then(b"hello\r\n\r\n", end=_rest), "upstream_failed", None),
    ("500", _then(head(500) + b"hello", end=_rest), "completed", None),
    ("500 that says 0", _then(head(500, COST) + b"hello", end=_rest), "completed", "ignored"),
    ("reset within", _then(head() + b"he", end=_reset), "upstream_failed", None),
    ("0 and a reset", _then(head(200, COST) + b"he", end=_reset), "upstream_failed", "ignored"),
    ("0 and silence", _then(head(200, COST) + b"he", end=_rest), "upstream_failed", "ignored"),
    ("0 in an interim answer", _then(b"HTTP/1.1 103 X\r\n" + COST + b"\r\n" + head() + b"hello",
                                     end=_rest), "completed", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "ended", "note"), WHOLE, ids=[row[0] for row in WHOLE])
def test_what_was_sent_is_paid_whole(
    tmp_path: Path, name: str, script: Script, ended: str, note: str | None
) -> None:
    """Or a failing upstream would be one that costs nothing."""
    with (
        RawUpstream(script) as upstream,
        whole_gate(tmp_path, upstream.port, limits=Limits(), config=CONFIG, **SHORT) as gate,
        gate.client() as client,
    ):
        ask(client.sock, gate)
        outcome = outcome_of(gate)
        assert (outcome["outcome"], outcome["released"]) == (ended, False)
        assert (outcome["settled_cents"], outcome.get("cost_correction")) == (50, note)


def ask(sock: socket.socket, gate: WholeGate, budget: dict[str, Any] = BUDGET) -> None:
    passport = gate.house.mint(constraints=budget)
    sock.sendall(
        f"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Passport {passport}\r\n"
        "Content-Length: 2\r\n\r\nok".encode()
    )


@pytest.mark.parametrize("answer", [b"", head() + b"he", head(200, COST) + b"he"])
def test_an_agent_that_hangs_up_pays_whole(tmp_path: Path, answer: bytes) -> None:
    """Before the answer and within it, whatever its head says of the cost."""
    with (
        RawUpstream(_then(answer, end=_rest)) as upstream,
        whole_gate(tmp_path, upstream.port, limits=Limits(), config=CONFIG) as gate,
    ):
        with connected(gate.port) as client:
            ask(client.sock, gate)
            until(lambda: upstream.received.endswith(b"ok"), "the upstream has it")
            if answer:
                client.take_until(b"he")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        outcome = outcome_of(gate)
        assert (outcome["outcome"], outcome["settled_cents"]) == ("client_gone", 50)
        assert outcome.get("cost_correction") == ("ignored" if COST in answer else None)


def test_what_was_never_sent_is_given_back(tmp_path: Path) -> None:
    with (
        refusing_port() as port,
        whole_gate(tmp_path, port, limits=Limits(), config=CONFIG) as gate,
        gate.client() as client,
    ):
        ask(client.sock, gate)
        assert client.answer("POST").status == 502
        outcome = outcome_of(gate)
        assert outcome["released"] is True
        assert "settled_cents" not in outcome


@pytest.mark.parametrize("stated", [False, True])
def test_a_stream_that_is_reset_is_paid_whole(tmp_path: Path, stated: bool) -> None:
    """Over HTTP/2 on both sides, and with whatever its head has said."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        more = [("x-passport-cost-cents", "0")] if stated else []
        peer.send(
            peer.head(asked.stream, (":status", "200"), *more),
            frame(DATA, 0, asked.stream, b"he"),
            frame(RST_STREAM, 0, asked.stream, (2).to_bytes(4, "big")),
        )
        peer.rest()

    with (
        RawUpstream(speaking(talk, Conversation())) as upstream,
        whole_gate(tmp_path, upstream.port, limits=Limits(), config=CONFIG, http2=True) as gate,
        http2(gate.port) as client,
    ):
        passport = gate.house.mint(constraints=BUDGET)
        sent = ("authorization", f"Passport {passport}")
        assert client.get("/", sent, method="POST", body=b"ok").reset is not None
        outcome = outcome_of(gate)
        assert (outcome["settled_cents"], outcome["released"]) == (50, False)
        assert outcome.get("cost_correction") == ("ignored" if stated else None)
