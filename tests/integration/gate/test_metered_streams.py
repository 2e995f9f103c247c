"""Streams that are priced by the minute: they last as long as somebody pays for them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from tests.support.http2_client import http2
from tests.support.raw_http import Client, Peer, RawUpstream, until
from tests.support.whole_gate import WholeGate, whole_gate

from passgate.proxy.settings import Limits

OFFERED = {
    "permissions": [
        {
            "key": "api:stream",
            "constraints": {"core:pricing:per_call_cents": 5, "core:pricing:per_minute_cents": 2},
        }
    ]
}
BUDGET = {"core:cost:max_cumulative": 9}  # two minutes


def streaming(peer: Peer) -> None:
    """Begins an answer, or a tunnel, and says nothing more; `/silent` is not even begun."""
    request = peer.request()
    if request is None:
        return
    if b"Upgrade" in request:
        peer.send(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: any\r\n\r\nhello")
    elif b"/silent" not in request:
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    peer.rest()


@contextlib.contextmanager
def scene(directory: Path) -> Iterator[tuple[WholeGate, str]]:
    (directory / "catalog.yaml").write_text(yaml.safe_dump(OFFERED))
    config: dict[str, Any] = {
        "actions": {"routes": [{"match": "GET /**", "action": "api:stream"}]},
        "catalog": {"file": str(directory / "catalog.yaml")},
        "audit": {"durability": "strict"},
    }
    with (
        RawUpstream(streaming) as upstream,
        whole_gate(directory, upstream.port, limits=Limits(), config=config) as gate,
    ):
        yield gate, gate.house.mint(constraints=BUDGET)


def a_minute_passes(gate: WholeGate, minutes: int) -> None:
    """As the ticks of the plane see it: what is charged ahead is on disk when the minute begins."""
    gate.loop.call_soon_threadsafe(gate.house.clock.advance, 58.5)
    until(lambda: len(gate.house.lines("charge")) == minutes, "the minute is charged")
    gate.loop.call_soon_threadsafe(gate.house.clock.advance, 1.5)


def ends(gate: WholeGate) -> dict[str, Any]:
    """The stream's outcome, once the minute begins that nobody pays for."""
    a_minute_passes(gate, 1)
    gate.loop.call_soon_threadsafe(gate.house.clock.advance, 60.5)
    until(lambda: gate.house.lines("outcome"), "the stream has ended")
    (outcome,) = gate.house.lines("outcome")
    assert outcome["reason_code"] == "budget_exhausted"
    assert (outcome["outcome"], outcome["settled_cents"], outcome["minutes"]) == ("cut", 9, 2)
    return outcome


def begin(client: Client, passport: str, target: str = "/", more: str = "") -> None:
    client.send(
        f"GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Passport {passport}\r\n"
        f"{more}\r\n".encode()
    )


def test_a_stream_is_cut_when_its_budget_ends(tmp_path: Path) -> None:
    """No end that looks like one: the client can tell that the answer is not whole."""
    with scene(tmp_path) as (gate, passport), gate.client() as client:
        begin(client, passport)
        assert client.take_until(b"hello\r\n")
        assert ends(gate)["status"] == 200
        rest, _ = client.until_end()
        assert b"0\r\n\r\n" not in rest


def test_who_still_waits_is_told_why(tmp_path: Path) -> None:
    """Before the answer has begun there is a refusal to send."""
    with scene(tmp_path) as (gate, passport), gate.client() as client:
        begin(client, passport, "/silent")
        until(lambda: gate.house.lines("decision"), "it is allowed")
        assert ends(gate)["status"] == 403
        found = client.answer()
        assert found.status == 403
        assert b'"budget_exhausted"' in found.body
        assert client.is_closed()


def test_a_tunnel_is_cut_likewise(tmp_path: Path) -> None:
    with scene(tmp_path) as (gate, passport), gate.client() as client:
        begin(client, passport, more="Connection: Upgrade\r\nUpgrade: any\r\n")
        assert client.take_until(b"hello")
        assert ends(gate)["status"] == 101
        assert client.is_closed()


def test_a_stream_of_http2_is_reset_and_its_connection_stays(tmp_path: Path) -> None:
    with scene(tmp_path) as (gate, passport), http2(gate.port) as client:
        number = client.request("/", ("authorization", f"Passport {passport}"))
        while not client.answers[number].body:
            assert client.receive()
        assert ends(gate)["status"] == 200
        assert client.answer(number).reset is not None
        assert client.alive()
