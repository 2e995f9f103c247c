"""Answers that go on: passed at once, slowed with their reader, cut when no longer allowed."""

import socket
import threading

import pytest
from tests.support.allow_all import Finished
from tests.support.data_plane import data_plane, with_limits
from tests.support.raw_http import Flood, Peer, RawUpstream, until

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize("framing", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_each_event_arrives_at_once(framing: bytes) -> None:
    """An event reaches the client before the next one exists."""
    taken = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(EVENTS + framing)
        for at in range(5):
            event = b"data: %d\n\n" % at
            peer.send(b"%x\r\n%b\r\n" % (len(event), event) if b"chunked" in framing else event)
            assert taken.acquire(timeout=5)
        if b"chunked" in framing:
            peer.send(b"0\r\n\r\n")

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            client.take_until(b"\r\n\r\n")
            for at in range(5):
                assert client.take_until(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % at
                taken.release()
            assert client.take_until(b"0\r\n\r\n")
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(200, 45, "completed", True)]


def test_stream_outlives_the_first_byte_timeout() -> None:
    """A stream lasts as long as something comes within each idle timeout."""
    with RawUpstream() as upstream:

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(EVENTS + b"\r\n")
            pause = threading.Event()
            for _ in range(8):
                pause.wait(0.1)
                peer.send(b"data: x\n\n")

        upstream.script = script
        settings = {"first_byte_timeout": 0.2, "idle_timeout": 0.4}
        with data_plane(upstream.port, **settings) as plane, plane.client() as client:
            client.send(GET)
            assert client.answer().body == b"data: x\n\n" * 8


@pytest.mark.parametrize("cut_on_revocation", [True, False])
def test_revoked_stream_is_cut(cut_on_revocation: bool) -> None:
    """Once the passport is no longer good a stream ends, visibly, unless configured otherwise."""
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(EVENTS + b"\r\ndata: x\n\n")
        ended.wait(1.6)
        peer.send(b"data: y\n\n")

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, cut_on_revocation=cut_on_revocation) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        client.take_until(b"data: x\n\n\r\n")
        plane.gate.allowed = False
        if cut_on_revocation:
            with pytest.raises((AssertionError, ConnectionResetError)):
                client.take_until(b"0\r\n\r\n")
            ended.set()
            assert plane.gate.outcomes == [Finished(200, 9, "cut", True)]
        else:
            client.take_until(b"0\r\n\r\n")


def test_slow_client_slows_the_upstream() -> None:
    """What the client does not take is not read from the upstream without bound."""
    total = 48 << 20
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total, total)
    with RawUpstream(flood) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(GET)
            client.take_until(b"\r\n\r\n")
            assert flood.stalled_at() < total
            for _ in range(total >> 20):
                client.take(1 << 20)
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(200, total, "completed", True)]


def test_client_that_stops_reading_is_given_up() -> None:
    """A client that takes nothing for the idle time is cut, and the upstream's request with it."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(EVENTS + b"\r\n")
        while True:
            try:
                peer.sock.sendall(bytes(1 << 20))
            except OSError:
                peer.seen.end = "reset"
                return

    limits = with_limits(body_idle_timeout=0.2)
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        until(lambda: plane.gate.outcomes, "it is given up")
        assert plane.gate.outcomes[0].outcome == "client_gone"
        until(lambda: upstream.seen[0].end, "the upstream's request is cut")


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_long_answers_of_every_kind(plain_asyncio: bool) -> None:
    """Long bodies arrive byte for byte, whatever their framing on either side."""
    body = bytes(range(256)) * 12000
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece)
        for piece in (body[at : at + 50000] for at in range(0, len(body), 50000))
    )
    answers = (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%b" % body,
    )
    with RawUpstream() as upstream, data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane:
        for answer in answers:

            def script(peer: Peer, answer: bytes = answer) -> None:
                peer.request()
                peer.send(answer)

            upstream.script = script
            for version in (b"1.1", b"1.0"):
                with plane.client() as client:
                    client.send(b"GET /x HTTP/%b\r\nHost: a\r\n\r\n" % version)
                    assert client.answer().body == body
                until(lambda: plane.proxy.upstream_connections == 0, "the connection is closed")
