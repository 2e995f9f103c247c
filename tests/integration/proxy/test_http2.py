"""Requests over HTTP/2: the same exchanges as over HTTP/1.1, many at a time."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from h2.errors import ErrorCodes
from tests.support.data_plane import data_plane, with_limits
from tests.support.http2_client import (
    DATA,
    GOAWAY,
    RST_STREAM,
    frame,
    http2,
    raw_frames,
    request_fields,
)
from tests.support.raw_http import OK, Flood, Peer, RawUpstream, answering, answering_once, until

T = TypeVar("T")
TRAILERS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n"
    b"Content-Type: application/grpc\r\n\r\n"
    b"5\r\nhello\r\n0\r\ngrpc-status: 0\r\nx-passport-id: forged\r\n\r\n"
)


def upstream_of(answer: bytes) -> RawUpstream:
    return RawUpstream(answering(answer))


def test_request_and_answer() -> None:
    """A request arrives at the upstream as one of HTTP/1.1, and its answer comes back."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        answer = client.get("/x?y=1", ("x-a", "b"), ("cookie", "a=1"), ("cookie", "b=2"))

        assert (answer.status, answer.body) == (200, b"ok")
        assert answer.headers["passport-decision"] == "allow"
        assert answer.headers["content-length"] == "2"
        wire = plane.gate.judged[0]
        assert (wire.method, wire.target, wire.peer, wire.tls) == (
            "GET",
            b"/x?y=1",
            "127.0.0.1",
            False,
        )
        assert wire.headers == [(b"host", b"gate.test"), (b"x-a", b"b"), (b"cookie", b"a=1; b=2")]
    assert upstream.whole_requests == [b"/x?y=1"]


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_many_at_a_time(plain_asyncio: bool) -> None:
    """A hundred requests are under way at once, and a slow one holds up no other."""

    def script(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            if b"/slow" in request:
                until(lambda: len(plane.gate.outcomes) >= 99, "the others are answered")
            peer.send(OK)

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        http2(plane.port) as client,
    ):
        streams = [client.request("/slow")] + [client.request(f"/{n}") for n in range(99)]
        assert {client.answer(stream).status for stream in streams} == {200}
        assert client.alive()


@pytest.mark.parametrize("declared", [True, False])
def test_streamed_body(declared: bool) -> None:
    """A body larger than every window arrives whole, with the framing that it had."""
    body = bytes(range(256)) * 2048
    more = [("content-length", str(len(body)))] if declared else []
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        answer = client.get("/up", *more, method="POST", body=body)

        assert answer.status == 200
    assert upstream.whole_requests == [b"/up"]
    if declared:
        assert upstream.received_ends_with(body)
    else:
        assert b"Transfer-Encoding: chunked\r\n" in upstream.received


def test_body_that_is_here_goes_with_the_head() -> None:
    """A small body that came before the decision is sent in one piece, with its length."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        stream = client.request("/park", method="POST", body=b"hello")
        assert client.alive()
        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))
        assert client.answer(stream).status == 200
    assert b"Content-Length: 5\r\n" in upstream.received


def test_empty_body_that_is_announced() -> None:
    """Content-Length 0 with an empty DATA frame behind it is a request without a body."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        answer = client.get("/x", ("content-length", "0"), method="POST", body=b"")

        assert answer.status == 200
    assert upstream.whole_requests == [b"/x"]


def test_judged_body() -> None:
    """A rule gets the whole body, and the upstream exactly those bytes."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        assert client.get("/judge", method="POST", body=b"hello").status == 200
        assert client.get("/judge").status == 200
        assert plane.gate.bodies == [b"hello", b""]
        for more in ([], [("content-length", "2000")]):
            refused = client.get("/judge", *more, method="POST", body=b"x" * 2000)
            assert (refused.status, refused.ended) == (413, True)
    assert b"Content-Length: 5\r\n" in upstream.received
    assert len(upstream.whole_requests) == 2


def test_judged_bodies_side_by_side() -> None:
    """More bodies than are held whole at a time: each has its turn, and none is lost."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        plane.gate.judged_limit = 200_000
        body = b"x" * 150_000
        streams = [client.request("/judge", method="POST", end=False) for _ in range(20)]
        # All of them fill their window first, so that those in turn are not the first to end.
        for stream in reversed(streams):
            client.send_body(stream, body[:65_000], end=False)
        for stream in streams:
            client.send_body(stream, body[65_000:])
        assert {client.answer(stream).status for stream in streams} == {200}
        assert plane.gate.bodies == [body] * 20


def test_refused_while_the_body_comes() -> None:
    """A refusal comes whole, and the client is told to stop sending (RFC 9113 section 8.1)."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        stream = client.request("/deny", method="POST", end=False)
        answer = client.answer(stream)
        while answer.reset is None:
            assert client.receive()

        assert (answer.status, answer.body, answer.ended) == (403, b"denied", True)
        assert answer.reset == ErrorCodes.NO_ERROR
        assert client.get("/x").status == 200
    assert upstream.whole_requests == [b"/x"]


def test_expectation() -> None:
    """The gate decides, then asks for the body (RFC 9110 section 10.1.1)."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        stream = client.request("/x", ("expect", "100-continue"), method="POST", end=False)
        while not client.answers[stream].interim:
            assert client.receive()
        client.send_body(stream, b"hello")

        assert client.answer(stream).status == 200
        assert client.answers[stream].interim == [100]
        assert (
            client.get("/deny", ("expect", "100-continue"), method="POST", end=False).interim == []
        )
    assert upstream.whole_requests == [b"/x"]


def test_trailers_and_interim_answers() -> None:
    """1xx come before the answer and trailers behind it, without what only the gate may say."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with (
        upstream_of(early + TRAILERS) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        answer = client.get("/x", ("te", "trailers"))

        assert answer.interim == [103]
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.trailers == {"grpc-status": "0"}
        assert "transfer-encoding" not in answer.headers
    assert b"TE:" not in upstream.received


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "5"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
    ],
)
def test_answers_without_a_body(method: str, answer: bytes, length: str | None) -> None:
    """HEAD, 204 and 304 end with their head, and a length says what would have come."""
    with (
        upstream_of(answer) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        got = client.get("/x", method=method)

        assert (got.body, got.headers.get("content-length")) == (b"", length)
        assert client.get("/deny", method="HEAD").body == b""


def test_headers_of_a_connection_stay_behind() -> None:
    """What an upstream says of its connection is none of HTTP/2's (RFC 9113 section 8.2.2)."""
    head = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\n"
        b"X-Mine: 1\r\nProxy-Connection: x\r\nX-Padded: \t y \t\r\nX-UPPER: z\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    with (
        upstream_of(head) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        got = client.get("/x").headers

        assert set(got) == {
            ":status", "x-padded", "x-upper", "passport-decision", "date", "content-length"
        }  # fmt: skip
        assert (got["x-padded"], got["x-upper"]) == ("y", "z")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n",
    ],
)
def test_cut_answer_is_no_whole_one(answer: bytes) -> None:
    """An answer that breaks off ends in RST_STREAM, and other streams do not notice."""
    with (
        RawUpstream(answering_once(answer)) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        got = client.get("/x")

        assert (got.status, got.ended, got.reset) == (200, False, ErrorCodes.INTERNAL_ERROR)
        assert client.alive()
        until(lambda: plane.gate.outcomes, "the outcome")
        assert plane.gate.outcomes[0].outcome == "upstream_failed"


def test_no_answer_is_a_refusal() -> None:
    """An upstream that gives no usable answer is told of with a status, as over HTTP/1.1."""
    with (
        RawUpstream(
            answering_once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
        ) as up,
        data_plane(up.port) as plane,
        http2(plane.port) as client,
    ):
        assert client.get("/x").status == 502
        assert plane.gate.failed == [("upstream_bad_response", True)]


def test_cancelled_by_the_client() -> None:
    """RST_STREAM from the client cancels the upstream's request, and is the outcome."""
    with (
        RawUpstream(lambda peer: (peer.request(), peer.rest())) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        stream = client.request("/x")
        until(lambda: upstream.seen and upstream.seen[0].requests, "the request is there")
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        client.flush()
        until(lambda: plane.gate.outcomes, "the outcome")

        assert plane.gate.outcomes[0].outcome == "client_gone"
        until(lambda: upstream.seen[0].end, "the upstream's request is cut")
        assert client.alive()


@pytest.mark.parametrize("path", ["/park", "/judge"])
def test_cancelled_before_the_decision(path: str) -> None:
    """A request that is judged when its client leaves is abandoned, and never forwarded."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        stream = client.request(path, method="POST", end=False)
        until(lambda: plane.gate.judged, "the request is judged")
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        client.flush()
        until(lambda: plane.gate.abandoned, "the request is abandoned")
        for resume, forward in plane.gate.parked:
            plane.call(lambda resume=resume, forward=forward: resume(forward))

        assert plane.proxy.inflight == 0
    assert upstream.received == b""


def test_revoked_stream_is_cut() -> None:
    """An open answer ends in RST_STREAM once its passport is no longer good."""
    with (
        RawUpstream(
            lambda peer: (peer.request(), peer.send(TRAILERS[:110]), peer.rest())
        ) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        stream = client.request("/x")
        while not client.answers[stream].headers:
            assert client.receive()
        plane.gate.allowed = False

        assert client.answer(stream).reset == ErrorCodes.INTERNAL_ERROR
        assert plane.gate.outcomes[0].outcome == "cut"


def test_client_that_does_not_take_stops_the_upstream() -> None:
    """With its window closed little of an answer is held, and the rest waits at the upstream."""
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", 100_000_000)
    with (
        RawUpstream(flood) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        client.read_windows = False
        client.h2.increment_flow_control_window(10 << 20)
        stream = client.request("/x")
        while len(client.answers[stream].body) < 65_535:
            assert client.receive()
        assert flood.stalled_at() < 20_000_000
        assert client.get("/deny").status == 403

        client.h2.increment_flow_control_window(1 << 20, stream)
        client.flush()
        while len(client.answers[stream].body) < 65_535 + (1 << 20):
            assert client.receive()


def test_upstream_that_does_not_take_stops_the_client() -> None:
    """The window of a stream opens only as the upstream takes its body."""
    with (
        RawUpstream(lambda peer: time.sleep(1)) as upstream,
        data_plane(upstream.port, limits=with_limits(body_bytes=1 << 30)) as plane,
        http2(plane.port) as client,
    ):
        stream = client.request("/x", method="POST", end=False)
        sent = 0
        client.sock.settimeout(0.3)
        try:
            while sent < 200_000_000:
                room = min(client.h2.local_flow_control_window(stream), 16384)
                if room:
                    client.h2.send_data(stream, bytes(room))
                    client.flush()
                    sent += room
                else:
                    assert client.receive()
        except TimeoutError:
            pass
        assert sent < 50_000_000


def test_client_that_takes_nothing_in_time_is_cut() -> None:
    """A closed window is no way to keep an answer for good, whole at the gate or not."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    endless = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", 100_000_000)
    for script in (answering(big), endless):
        with (
            RawUpstream(script) as upstream,
            data_plane(upstream.port, limits=with_limits(body_idle_timeout=0.2)) as plane,
            http2(plane.port) as client,
        ):
            client.read_windows = False
            answer = client.get("/x")

            assert answer.reset is not None
            assert not answer.ended
            assert plane.gate.outcomes[0].outcome == "client_gone"
            assert client.alive()


def test_body_that_never_comes() -> None:
    """A silent body is answered 408 and its stream ended; the connection goes on."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(body_idle_timeout=0.1)) as plane,
        http2(plane.port) as client,
    ):
        for path, more in (("/x", []), ("/judge", []), ("/x", [("content-length", "0")])):
            answer = client.get(path, *more, method="POST", end=False)
            assert answer.status == 408
        assert [status for status, _ in plane.gate.refused] == [408] * 3
        assert client.alive()
    assert upstream.whole_requests == []


@pytest.mark.parametrize(
    ("length", "body"), [("5", b"toolong"), ("5", b"fou"), ("0", b"x"), ("5", b"")]
)
def test_body_that_is_not_as_announced(length: str, body: bytes) -> None:
    """RFC 9113 section 8.1.1: the upstream never gets such a request whole."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        answer = client.get("/x", ("content-length", length), method="POST", body=body)

        assert answer.status == 400
        assert client.alive()
        assert len(plane.gate.refused) == 1
    assert upstream.whole_requests == []


def test_more_than_announced_in_a_second_frame() -> None:
    """All announced bytes are there, but not the end: the upstream has not got them all."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        stream = client.request("/x", ("content-length", "5"), method="POST", end=False)
        client.send_body(stream, b"12345", end=False)
        assert client.alive()
        client.send_body(stream, b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", end=False)

        assert client.answer(stream).status == 400
    assert upstream.whole_requests == []


def test_trailers_of_a_request() -> None:
    """They end the body and are left out; what must not be a trailer cuts the request."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        for trailer, status in (("x-checksum", 200), ("content-length", 400)):
            stream = client.request("/x", method="POST", end=False)
            client.send_body(stream, b"hello", end=False)
            client.h2.send_headers(stream, [(trailer, "5")], end_stream=True)
            client.flush()
            assert client.answer(stream).status == status
    assert upstream.whole_requests == [b"/x"]
    assert b"checksum" not in upstream.received


def test_too_large_a_body() -> None:
    """413 for an announced one at once, for another as soon as it is too large."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(body_bytes=100_000)) as plane,
        http2(plane.port) as client,
    ):
        for more in ([("content-length", "200000")], []):
            answer = client.get("/x", *more, method="POST", body=bytes(200_000))
            assert answer.status == 413
        assert client.alive()
    assert upstream.whole_requests == []


def test_answered_before_the_body_was_read() -> None:
    """The answer comes whole, no more of the body is wanted, the upstream is not used again."""
    early = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(early)
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        stream = client.request("/x", method="POST", end=False)
        client.send_body(stream, b"part", end=False)
        answer = client.answer(stream)
        while answer.reset is None:
            assert client.receive()

        assert (answer.status, answer.body, answer.reset) == (403, b"no", ErrorCodes.NO_ERROR)
        until(lambda: plane.proxy.upstream_connections == 0, "the connection is dropped")


def test_drain() -> None:
    """GOAWAY at once, what is open to its end; a stream that crosses it is refused untouched."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(client.headers(1, request_fields("/park")))
        until(lambda: plane.gate.parked, "the request is judged")
        drained = plane.run(started(plane.proxy.drain(5.0)))
        last = client.until(GOAWAY)
        assert last == (1).to_bytes(4, "big") + bytes(4)
        client.send(client.headers(3))
        assert client.until(RST_STREAM, 3) == ErrorCodes.REFUSED_STREAM.to_bytes(4, "big")

        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))
        assert client.until(DATA, 1) == b"ok"
        assert client.next() is None
        assert plane.run(finished(drained)) is True
        assert len(plane.gate.judged) == 1


async def started(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.ensure_future(work)


async def finished(task: asyncio.Task[T]) -> T:
    return await task


def test_idle_connection_closes_when_the_gate_stops() -> None:
    """Where nothing is under way a drain is GOAWAY and the end."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(client.headers(1))
        assert client.until(DATA, 1) == b"ok"
        assert plane.run(plane.proxy.drain(5.0)) is True
        assert client.ends_with() == ErrorCodes.NO_ERROR


def test_stop_resets_what_is_open() -> None:
    """After the drain's time the gate stops: open streams are reset, not ended."""
    with (
        RawUpstream(lambda peer: peer.rest()) as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(client.headers(1), client.headers(3, request_fields("/park")))
        until(lambda: plane.gate.parked, "both requests are there")
        assert plane.run(plane.proxy.drain(0.05)) is False
        assert plane.gate.outcomes[0].outcome == "cut"
        assert len(plane.gate.abandoned) == 1


def test_streams_beyond_the_limit_are_refused_alone() -> None:
    """One too many is REFUSED_STREAM, also if the client takes it back meanwhile; others go on."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(streams=2)) as plane,
        raw_frames(plane.port) as client,
    ):
        for number in (1, 3, 5):
            client.send(client.headers(number, request_fields("/park")))
        client.send(frame(RST_STREAM, 0, 5, ErrorCodes.CANCEL.to_bytes(4, "big")))
        assert client.until(RST_STREAM, 5) == ErrorCodes.REFUSED_STREAM.to_bytes(4, "big")
        for resume, forward in plane.gate.parked:
            plane.call(lambda resume=resume, forward=forward: resume(forward))
        assert client.until(DATA, 3) == b"ok"
        client.send(client.headers(7))
        assert client.until(DATA, 7) == b"ok"
        assert len(plane.gate.judged) == 3


def test_idle_connection_ends() -> None:
    """Without a request a connection stays for the keep-alive timeout, whatever pings come."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(keepalive_timeout=0.2)) as plane,
        http2(plane.port) as client,
    ):
        assert client.get("/x").status == 200
        assert client.alive()
        assert client.ends() == ErrorCodes.NO_ERROR


def test_goaway_of_a_client_lets_streams_end() -> None:
    """A client that will send nothing more still gets what it asked for."""

    def script(peer: Peer) -> None:
        peer.request()
        until(lambda: plane.proxy._plane.connections, "still connected")
        peer.send(OK)

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        stream = client.request("/park")
        client.send(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))
        until(lambda: plane.gate.parked, "the request is judged")
        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))

        assert client.answer(stream).status == 200
        client.ends()
        assert client.closed


def test_too_many_connections() -> None:
    """By prior knowledge and beyond the limit there is a refusal, and the gate goes on."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(connections=1)) as plane,
        http2(plane.port) as client,
    ):
        assert client.get("/x").status == 200
        with plane.client() as other:
            assert other.answer().status == 503
        assert client.get("/x").status == 200
