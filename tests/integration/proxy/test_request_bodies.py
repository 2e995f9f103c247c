"""Request bodies: judged before they move, streamed as they come, bounded, never altered."""

import contextlib
import tracemalloc
from functools import partial

import pytest
from tests.support.allow_all import AllowAll, Finished
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.raw_http import OK, Peer, RawUpstream, answering, until

BIG = bytes(range(256)) * 8192  # 2 MiB


def post(path: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"POST %b HTTP/1.1" % path, b"Host: a", *lines, b"", b""))


CHUNKED = b"Transfer-Encoding: chunked"
EXPECT = b"Expect: 100-continue"


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_long_body_streams_unchanged(plain_asyncio: bool) -> None:
    """A body of any length arrives byte for byte, with the client's length."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(post(b"/x", b"Content-Length: %d" % len(BIG)) + BIG)

        assert client.answer().status == 200
        request = upstream.seen[0].requests[0]
        assert request.endswith(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(BIG), BIG))


def test_chunked_body_streams_as_chunks() -> None:
    """A chunked body arrives chunked, without the client's extensions and trailers."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send_bytewise(
            post(b"/x", CHUNKED)
            + b'5;a;b=c;d="e f"\r\nhello\r\n00006\r\n world\r\n000\r\nX-T: 1\r\n\r\n'
        )

        assert client.answer().status == 200
        head, _, body = upstream.seen[0].requests[0].partition(b"\r\n\r\n")
        assert head.endswith(b"\r\nTransfer-Encoding: chunked")
        assert body.endswith(b"0\r\n\r\n")
        assert b"X-T" not in body
        data = b""
        while body != b"0\r\n\r\n":
            size, _, body = body.partition(b"\r\n")
            data += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        assert data == b"hello world"


@pytest.mark.parametrize(
    "message",
    [
        post(b"/judge", b"Content-Length: 11") + b"hello world",
        post(b"/judge", CHUNKED) + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    ],
)
def test_judged_body_is_the_forwarded_body(message: bytes) -> None:
    """A body that a rule judges goes upstream whole, with its length, exactly as judged."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send_bytewise(message)

        assert client.answer().status == 200
        assert plane.gate.bodies == [b"hello world"]
        assert upstream.received.endswith(b"\r\nContent-Length: 11\r\n\r\nhello world")
        assert b"chunked" not in upstream.received


def test_empty_judged_body() -> None:
    """A request without a body has an empty one where a rule judges it."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /judge HTTP/1.1\r\nHost: a\r\n\r\n")

        assert client.answer().status == 200
        assert plane.gate.bodies == [b""]
        assert b"Content-Length" not in upstream.received


@pytest.mark.parametrize(
    "message",
    [
        post(b"/judge", b"Content-Length: 1025"),
        post(b"/judge", CHUNKED) + b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
def test_body_beyond_what_is_judged(message: bytes) -> None:
    """A body longer than a rule may read is refused, and nothing of it goes upstream."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(message)

        assert client.answer().status == 413
        assert upstream.seen == []


@pytest.mark.parametrize("path", [b"/stream", b"/judge"])
def test_chunked_body_beyond_the_limit(path: bytes) -> None:
    """The limit on bodies holds for chunked ones too; the upstream's request is cut."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(body_bytes=1000)) as plane,
        plane.client() as client,
    ):
        client.send(post(path, CHUNKED) + b"3E8\r\n" + b"x" * 1000 + b"\r\n")
        if path == b"/stream":
            until(lambda: b"x" * 1000 in upstream.received, "the allowed part is forwarded")
        client.send(b"1\r\nx\r\n0\r\n\r\n")

        assert client.answer().status == 413
        assert client.is_closed()
        until(lambda: all(seen.end for seen in upstream.seen), "the upstream's request is cut")
        assert upstream.whole_requests == []


def test_continue_comes_after_the_decision() -> None:
    """RFC 9110 section 10.1.1: the client is asked for a body only once it may be forwarded."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(b"/park", EXPECT, b"Content-Length: 5"))
        until(lambda: plane.gate.parked, "the request is judged")
        resume, forward = plane.gate.parked[0]
        assert upstream.seen == []
        plane.call(lambda: resume(forward))

        assert client.answer().head == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.answer().status == 200
        assert upstream.received.endswith(b"\r\n\r\nhello")
        assert b"Expect" not in upstream.received


@pytest.mark.parametrize("path", [b"/judge", b"/x"])
def test_continue_for_judged_and_streamed(path: bytes) -> None:
    """The body is asked for once, whether a rule or the upstream wants it."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(path, EXPECT, CHUNKED))

        assert client.answer().head == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.answer().status == 200
        assert upstream.whole_requests == [path]


def test_no_continue_for_the_refused() -> None:
    """A refused client is not asked for its body, and the connection ends with the refusal."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(b"/deny", EXPECT, b"Content-Length: 5"))

        answer = client.answer()
        assert answer.status == 403
        assert answer.header("Connection") == "close"
        assert client.is_closed()
        assert upstream.seen == []


def test_no_continue_where_the_body_came_already() -> None:
    """A client that did not wait is not asked."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(b"/x", EXPECT, b"Content-Length: 5") + b"he")
        until(lambda: upstream.received.endswith(b"he"), "it streams")
        client.send(b"llo")

        assert client.answer().status == 200


def test_connection_survives_a_refusal_with_a_body() -> None:
    """A short body of a refused request is read and dropped; the next request is judged."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(b"/deny", b"Content-Length: 5"))
        assert client.answer().status == 403
        client.send_bytewise(b"GET /" + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")

        assert client.answer().status == 200
        assert upstream.whole_requests == [b"/next"]


def test_refusal_reaches_a_client_that_is_still_sending() -> None:
    """A long body of a refused request does not destroy the refusal."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(post(b"/deny", b"Content-Length: 500000"))
        client.send(b"x" * 500000)

        answer = client.answer()
        assert answer.status == 403
        assert answer.header("Connection") == "close"
        assert client.everything() == b""  # an orderly end: a reset would raise
        assert upstream.seen == []


TOTAL = 24 * len(BIG)  # far more than the kernel's own buffers hold


def test_nothing_of_a_body_moves_before_the_decision() -> None:
    """While the decision waits, a body stays with the gate, in bounded memory."""
    limits = with_limits(body_bytes=TOTAL)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(post(b"/park", b"Content-Length: %d" % TOTAL))
        sent = client.send_until_stuck(TOTAL)
        assert sent < TOTAL
        assert upstream.seen == []
        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))
        client.send(bytes(TOTAL - sent))

        assert client.answer().status == 200
        assert len(upstream.received.partition(b"\r\n\r\n")[2]) == TOTAL


def test_slow_upstream_slows_the_client() -> None:
    """Bytes that the upstream does not read are not taken from the client either."""
    release: list[bool] = []

    def script(peer: Peer) -> None:
        peer.head()
        until(lambda: release, "the test lets the upstream read")
        got = len(peer.seen.received.partition(b"\r\n\r\n")[2])
        while got < TOTAL:
            got += len(peer.sock.recv(1 << 20))
        peer.send(OK)

    limits = with_limits(body_bytes=TOTAL)
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(post(b"/x", b"Content-Length: %d" % TOTAL))
        sent = client.send_until_stuck(TOTAL)
        assert sent < TOTAL
        release.append(True)
        client.send(bytes(TOTAL - sent))

        assert client.answer().status == 200


def test_body_that_stops_coming() -> None:
    """A body that stalls is answered 408, and the upstream's request is cut."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(body_idle_timeout=0.1)) as plane,
    ):
        for path in (b"/x", b"/judge"):
            with plane.client() as client:
                client.send(post(path, b"Content-Length: 5") + b"he")

                assert client.answer().status == 408
                assert client.is_closed()
        until(lambda: upstream.seen and upstream.seen[0].end, "the upstream's request is cut")
        assert upstream.whole_requests == []
        assert plane.gate.outcomes == [Finished(408, 38, "cut", True)]


def test_trickled_judged_body_gains_no_time() -> None:
    """A body that is held whole is answered 408 where it trickles, however short its silences."""
    limits = with_limits(body_idle_timeout=0.3)
    with RawUpstream() as upstream, data_plane(upstream.port, limits=limits) as plane:
        with plane.client() as client:
            client.send(post(b"/judge", b"Content-Length: 1000"))
            client.sock.settimeout(0.05)
            answer = b""
            for _ in range(60):  # 3 s of it; the whole would take 50
                with contextlib.suppress(OSError):
                    client.sock.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    answer = client.sock.recv(12)
                    break

            assert answer == b"HTTP/1.1 408"
        assert upstream.seen == []
        assert plane.gate.abandoned


def test_judged_body_in_tiny_chunks_takes_little_room() -> None:
    """A judged body in chunks of two bytes is kept in about its own size, not as its pieces."""
    body = b"ab" * (64 * 1024)
    chunks = b"2\r\nab\r\n" * (64 * 1024)
    gate = AllowAll(judged_limit=len(body))
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, gate=gate) as plane,
        plane.client() as client,
    ):
        tracemalloc.start()
        try:
            client.send(post(b"/judge", CHUNKED) + chunks)
            until(lambda: _collected(plane) == len(body), "the body is collected", 20)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        client.send(b"0\r\n\r\n")

        assert client.answer().status == 200
        assert gate.bodies == [body]
        assert held < 1 << 20


def _collected(plane: DataPlane) -> int:
    return sum(len(client._collected or b"") for client in tuple(plane.proxy._plane.connections))


def test_client_that_leaves_within_its_body() -> None:
    """A body cut short by the client never becomes a whole request."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        for message, streamed in (
            (post(b"/x", b"Content-Length: 5") + b"he", b"he"),
            (post(b"/x", CHUNKED) + b"5\r\nhello\r\n", b"5\r\nhello\r\n"),
        ):
            with plane.client() as client:
                client.send(message)
                until(partial(upstream.received_ends_with, streamed), "it streams")
        until(lambda: len(plane.gate.outcomes) == 2, "both are on record")
        assert {each.outcome for each in plane.gate.outcomes} == {"client_gone"}
        until(lambda: all(seen.end for seen in upstream.seen), "the upstream's requests are cut")
        assert upstream.whole_requests == []


def test_client_that_leaves_while_its_body_is_judged() -> None:
    """A client that leaves before the decision leaves nothing to forward."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(post(b"/judge", b"Content-Length: 5") + b"he")
            until(lambda: plane.gate.judged, "it is judged")
        until(lambda: plane.gate.abandoned, "the case is abandoned")
        assert plane.proxy.inflight == 0
        assert upstream.seen == []


def test_body_with_a_get() -> None:
    """A body is forwarded whatever the method, since the upstream may read it."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")

        assert client.answer().status == 200
        assert upstream.received.endswith(b"\r\nContent-Length: 5\r\n\r\nhello")


def test_length_of_zero_is_kept() -> None:
    """`Content-Length: 0` is forwarded as it was said."""
    with RawUpstream(answering(OK)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(post(b"/x", b"Content-Length: 0"))
            assert client.answer().status == 200
        assert upstream.received.endswith(b"\r\nContent-Length: 0\r\n\r\n")
