"""Bodies to and from an upstream of HTTP/2 stream, as fast as the slower side takes them."""

import socket
import threading
import time

from h2.errors import ErrorCodes
from tests.support.data_plane import data_plane, with_limits
from tests.support.http2_client import (
    DATA,
    END_STREAM,
    frame,
    http2,
)
from tests.support.http2_upstream import (
    OK,
    Conversation,
    Http2Peer,
    open_window,
    speaking,
)
from tests.support.raw_http import PATIENCE_S, RawUpstream, until

GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


def test_both_sides_stream_at_once() -> None:
    """Each message is answered before the next one is sent, over HTTP/2 on both sides."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        peer.send(peer.head(asked.stream, *OK))
        while (found := peer.next()) is not None:
            kind, flags, stream, body = found
            if kind == DATA:
                if body:
                    peer.send(frame(DATA, 0, stream, body[::-1]))
                if flags & END_STREAM:
                    peer.send(peer.head(stream, ("x-end", "yes"), end=True))

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        http2(plane.port) as client,
    ):
        number = client.request("/x", method="POST", end=False)
        answer = client.answers[number]
        expected = b""
        for message in (b"one", b"two", b"three"):
            client.send_body(number, message, end=False)
            expected += message[::-1]
            while answer.body != expected:
                assert client.receive()
        client.send_body(number, b"")
        assert client.answer(number).trailers == {"x-end": "yes"}


def test_back_pressure_towards_the_client() -> None:
    """An upstream that opens no window gets no more than it asked for, and holds up the client."""
    seen = Conversation()
    go_on = threading.Event()

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        taken = 0
        while taken < 65_535:
            found = peer.next()
            assert found is not None
            taken += len(found[3]) if found[0] == DATA else 0
        assert go_on.wait(PATIENCE_S)
        peer.send(open_window(0, 1 << 30), open_window(asked.stream, 1 << 30))
        while True:
            found = peer.next()
            assert found is not None
            taken += len(found[3]) if found[0] == DATA else 0
            if found[0] == DATA and found[1] & END_STREAM:
                break
        seen.requests[0].body = b"%d" % taken
        peer.answer(asked.stream)
        peer.rest()

    total = 48 << 20
    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True, limits=with_limits(body_bytes=total)) as plane,
        plane.client() as client,
    ):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % total)
        sent = client.send_until_stuck(total)
        assert sent < total
        go_on.set()
        client.send(bytes(total - sent))
        assert client.answer().status == 200
    assert seen.requests[0].body == b"%d" % total


def test_back_pressure_towards_the_upstream() -> None:
    """A client that does not read lets the upstream send no more than a window ahead."""
    sent = [0]
    total = 64 << 20

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(peer.head(asked.stream, *OK))
        peer.sock.settimeout(0.05)
        while sent[0] < total:
            room = min(peer.room(asked.stream), total - sent[0])
            if room:
                last = sent[0] + room == total
                peer.send(frame(DATA, END_STREAM if last else 0, asked.stream, bytes(room)))
                peer.sent(asked.stream, room)
                sent[0] += room
                continue
            try:
                if peer.next() is None:
                    return
            except TimeoutError:
                continue
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True, idle_timeout=30.0) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        before = -1
        while before != sent[0]:
            before = sent[0]
            time.sleep(0.3)
        assert 0 < before < total // 2
        received, tail = 0, b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = client.sock.recv(1 << 20)
            received += len(data)
            tail = (tail + data)[-7:]
        assert received > total


def test_a_client_that_leaves_cancels_its_request() -> None:
    """The upstream's stream is reset, or its connection ends, before its end was sent."""
    seen = Conversation()
    ends: list[str] = []

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        peer.send(peer.head(asked.stream, *OK))
        peer.rest()
        kinds = [kind for kind, flags, _, _ in peer.frames if kind == DATA and flags & END_STREAM]
        ends.append("whole" if kinds else "cut")

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        http2(plane.port) as client,
    ):
        number = client.request("/x", method="POST", end=False)
        while not client.answers[number].status:
            client.receive()
        client.h2.reset_stream(number, ErrorCodes.CANCEL)
        client.flush()
        until(lambda: ends, "the upstream has seen the end")
    assert ends == ["cut"]
    assert plane.gate.outcomes[-1].outcome == "client_gone"


def test_a_client_may_listen_for_longer_than_it_may_be_silent() -> None:
    """Its half of the stream stays open as long as the answer goes on, and carries more then."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        peer.send(peer.head(asked.stream, *OK))
        for _ in range(12):
            peer.send(frame(DATA, 0, asked.stream, b"x"))
            time.sleep(0.05)
        while (found := peer.next()) is not None:
            if found[0] == DATA and found[1] & END_STREAM:
                peer.send(frame(DATA, END_STREAM, asked.stream, found[3]))

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(
            upstream.port,
            http2=True,
            limits=with_limits(body_idle_timeout=0.1),
            idle_timeout=0.4,
        ) as plane,
        http2(plane.port) as client,
    ):
        number = client.request("/x", method="POST", end=False)
        while len(client.answers[number].body) < 12:
            assert client.receive()
            assert not client.answers[number].over
        client.send_body(number, b"more")
        assert client.answer(number).body == b"x" * 12 + b"more"


def test_all_that_came_before_the_end_counts() -> None:
    """An answer of more frames than one turn works on is whole, though its connection has ended."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(
            peer.head(asked.stream, *OK),
            frame(DATA, 0, asked.stream, b"x") * 2000,
            frame(DATA, END_STREAM, asked.stream),
        )
        peer.sock.shutdown(socket.SHUT_WR)
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().body == b"x" * 2000
