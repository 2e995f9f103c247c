"""An upstream that is slow, in whatever way, is waited for as long as was said, and no longer."""

import time
from collections.abc import Callable

import pytest
from tests.support.data_plane import data_plane
from tests.support.raw_http import OK, Peer, RawUpstream, Script, until
from tests.support.upstreams import silent_port

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
both_loops = pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])


def trickling(head: bytes, piece: bytes, pause_s: float) -> Script:
    """Takes a request, answers `head`, and then `piece` again and again until nobody listens."""

    def script(peer: Peer) -> None:
        if peer.request() is None:
            return
        peer.send(head)
        while not peer.seen.end:
            peer.send(piece)
            peer.pause(pause_s)

    return script


@both_loops
def test_a_connection_that_is_never_established(plain_asyncio: bool) -> None:
    """502 after `connect_timeout`; nothing of the request was sent."""
    with (
        silent_port() as port,
        data_plane(port, connect_timeout=0.15, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        begun = time.monotonic()
        client.send(GET)
        assert client.answer().status == 502
        assert 0.15 <= time.monotonic() - begun < 3
        assert plane.gate.failed == [("upstream_unreachable", False)]
        assert plane.proxy.upstream_connections == 0


@both_loops
@pytest.mark.parametrize(
    "script",
    [
        lambda peer: peer.rest(),
        trickling(b"HTTP/1.1 200 OK\r\n", b"a", 0.02),
        trickling(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.02),
        trickling(b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", 0.02),
    ],
    ids=["accepts and says nothing", "one long line", "line by line", "interim answers"],
)
def test_an_answer_that_does_not_come(script: Callable[[Peer], None], plain_asyncio: bool) -> None:
    """504 after `first_byte_timeout`: a byte now and then gains no time, and the request is cut."""
    with (
        RawUpstream(script) as upstream,
        data_plane(
            upstream.port, first_byte_timeout=0.2, idle_timeout=5.0, plain_asyncio=plain_asyncio
        ) as plane,
        plane.client() as client,
    ):
        begun = time.monotonic()
        client.send(GET)
        while (answer := client.answer()).status == 103:
            pass
        assert answer.status == 504
        assert 0.2 <= time.monotonic() - begun < 3
        assert plane.gate.failed == [("upstream_timeout", True)]
        until(lambda: upstream.seen[0].end, "the upstream's connection is closed")
        assert plane.proxy.upstream_tally.failures["timeout"] == 1
        assert plane.proxy.upstream_connections == 0


def test_the_body_of_a_request_has_its_own_time() -> None:
    """`first_byte_timeout` begins when the request is whole, not before."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, first_byte_timeout=0.1) as plane,
        plane.client() as client,
    ):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        for byte in (b"b", b"o", b"d", b"y"):
            until(lambda: upstream.received, "it is forwarded")
            time.sleep(0.06)
            client.send(byte)
        assert client.answer().body == b"ok"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["length", "chunked", "until close"],
)
def test_a_body_that_trickles_is_a_stream(head: bytes, piece: bytes) -> None:
    """Whatever comes within `idle_timeout` keeps it open: events may be as rare as they are."""
    with (
        RawUpstream(trickling(head, piece, 0.03)) as upstream,
        data_plane(upstream.port, first_byte_timeout=0.1, idle_timeout=0.3) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        client.take_until(b"\r\n\r\n")
        begun = time.monotonic()
        while time.monotonic() - begun < 0.6:
            assert client.take(1)
        assert plane.gate.outcomes == []


def test_a_body_that_stalls_is_cut() -> None:
    """After `idle_timeout` the client's connection is cut: the answer was not whole."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, idle_timeout=0.1) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.take_until(b"half").endswith(b"half")
        assert client.is_closed()
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "upstream_failed"
        assert plane.proxy.upstream_tally.failures["timeout"] == 1


def test_a_slow_client_is_not_the_upstreams_fault() -> None:
    """What ends because the client does not send or read counts against no address."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
    ):
        with plane.client() as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nb")
            until(lambda: upstream.received, "it is forwarded")
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "client_gone"
        assert set(plane.proxy.upstream_tally.failures.values()) == {0}
        with plane.client() as client:
            client.send(GET)
            assert client.answer().body == OK[-2:]
