"""Answers of the upstream: passed on as they were, or not at all."""

import re
import threading

import pytest
from tests.support.allow_all import AllowAll, Finished
from tests.support.data_plane import data_plane, with_limits
from tests.support.raw_http import (
    OK,
    Peer,
    RawUpstream,
    answering,
    answering_once,
    until,
)

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HTTP10 = b"GET /x HTTP/1.0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def answer(*lines: bytes, body: bytes = b"", first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((first, *lines, b"", body))


def test_reset_ends_a_close_delimited_body_visibly() -> None:
    """A body that ends with the connection is cut, not completed, when that is reset."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(body=b"half"))
        until(lambda: go, "the client has the first half")
        peer.reset()

    for request in (GET, HTTP10):
        go: list[bool] = []
        with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
            with plane.client() as client:
                client.send(request)
                client.take_until(b"half")
                go.append(True)
                with pytest.raises(ConnectionResetError):
                    client.take_until(b"0\r\n\r\n")
            until(lambda: plane.gate.outcomes, "it is on record")
            assert plane.gate.outcomes == [Finished(200, 4, "upstream_failed", True)]


def test_close_delimited_body() -> None:
    """A body that ends with the connection is chunked for HTTP/1.1, and as it is for HTTP/1.0."""
    script = answering_once(answer(b"Content-Type: text/plain", body=b"hello"))
    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            for _ in range(2):
                client.send(GET)
                got = client.answer()
                assert (got.body, got.header("Transfer-Encoding")) == (b"hello", "chunked")
        with plane.client() as client:
            client.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            got = client.answer()
            assert (got.body, got.header("Connection")) == (b"hello", "close")
            assert got.header("Transfer-Encoding") is None


def test_chunked_body_with_trailers() -> None:
    """HTTP/1.0 gets the data alone; trailers arrive but for those that only the gate may say."""
    chunked = (
        CHUNKED
        + b"Trailer: X-Sum\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n"
        + b"0\r\nX-Sum: 1\r\nX-Passport-Agent: root\r\nPassport-Decision: allow\r\n"
        + b"Content-Length: 3\r\n\r\n"
    )
    with RawUpstream(answering(chunked)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            for _ in range(2):
                client.send(GET)
                got = client.answer()
                assert (got.body, got.trailers) == (b"hello world", b"X-Sum: 1\r\n")
                assert got.header("Trailer") == "X-Sum"
        with plane.client() as client:
            client.send(HTTP10)
            got = client.answer()
            assert (got.body, got.header("Trailer")) == (b"hello world", None)
        assert len(upstream.seen) == 1


def test_bytewise_answer() -> None:
    """An answer that comes byte by byte is the same answer."""
    whole = answer(b"X: y", body=b"", first=b"HTTP/1.1 103 Early Hints") + CHUNKED
    whole += b"\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            for at in range(len(whole)):
                peer.send(whole[at : at + 1])

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        for _ in range(3):
            client.send(GET)
            assert client.answer().header("X") == "y"
            got = client.answer()
            assert (got.body, got.trailers) == (b"hello", b"X-Sum: 1\r\n")


@pytest.mark.parametrize(
    ("bodiless", "connections"),
    [
        (answer(first=b"HTTP/1.1 204 No Content"), 1),
        (answer(b"Content-Length: 0", first=b"HTTP/1.1 204 No Content"), 1),
        (answer(b'ETag: "a"', first=b"HTTP/1.1 304 Not Modified"), 1),
        (answer(b"Content-Length: 99", first=b"HTTP/1.1 304 Not Modified"), 3),
        (answer(b"Transfer-Encoding: chunked", first=b"HTTP/1.1 304 Not Modified"), 3),
    ],
)
def test_answers_without_a_body(bodiless: bytes, connections: int) -> None:
    """RFC 9112 section 6.3: 204 and 304 have no body; a connection that announces one ends."""
    with RawUpstream(answering(bodiless)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            for _ in range(3):
                client.send(GET)
                got = client.answer()
                assert got.status in (204, 304)
                assert got.header("Transfer-Encoding") is None
                assert got.status == 304 or got.header("Content-Length") is None
        assert len(upstream.seen) == connections


def test_body_behind_a_204_is_dropped() -> None:
    """Bytes behind an answer without a body never become the answer to another request."""
    split = answer(b"Content-Length: 40", first=b"HTTP/1.1 204 No Content", body=OK)

    with RawUpstream(answering(split)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            assert client.answer().status == 204
            upstream.script = answering(OK)
            client.send(GET)
            assert client.answer().body == b"ok"
        assert len(upstream.seen) == 2


def test_head_answers_keep_their_length() -> None:
    """RFC 9110 section 9.3.2: HEAD has the length of GET; a chunked one has no body either."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        for line, length in (
            (b"Content-Length: 99", "99"),
            (b"Transfer-Encoding: chunked", None),
            (b"X: y", None),
        ):
            upstream.script = answering_once(answer(line, b"Connection: close"))
            client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.answer("HEAD").header("Content-Length") == length


def test_body_behind_a_head_answer_reaches_nobody() -> None:
    """A server that answers HEAD with a body, which many do, spoils no answer to anyone else."""

    def careless(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"Content-Length: %d" % len(OK)))
        until(lambda: go or peer.seen.end, "the head has been taken")
        peer.send(OK.replace(b"ok", b"no"))
        peer.rest()

    go: list[bool] = []
    with (
        RawUpstream(careless) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer("HEAD").status == 200
        upstream.script = answering(OK)
        client.send(GET)
        go.append(True)
        assert client.answer().body == b"ok"


@pytest.mark.parametrize(
    "parts", [(OK,), (OK[:-1], OK[-1:]), (CHUNKED, b"\r\n2\r\nok\r\n0\r\n\r\n")]
)
def test_garbage_behind_an_answer_is_dropped(parts: tuple[bytes, ...]) -> None:
    """RFC 9112 section 9.2: bytes that nothing asked for end the connection, and reach nobody."""

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            for part in parts[:-1]:
                peer.send(part)
                threading.Event().wait(0.02)
            peer.send(parts[-1] + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nspoilt")

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            for _ in range(3):
                client.send(GET)
                assert client.answer().body == b"ok"
        assert len(upstream.seen) == 3


def test_late_garbage_is_dropped() -> None:
    """An answer on an idle connection is thrown away with the connection."""
    go: list[bool] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        until(lambda: go, "the answer has been taken")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nspoilt")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, pool_idle=60.0) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().body == b"ok"
        upstream.script = answering(OK)
        go.append(True)
        until(lambda: upstream.seen[0].end, "the spoilt connection is closed")
        client.send(GET)
        assert client.answer().body == b"ok"


def test_headers_that_stay_behind_the_gate() -> None:
    """Hop-by-hop headers and what only the gate may say are left out; the rest is unchanged."""
    full = answer(
        b"Server: up/1",
        b"Connection: keep-alive, X-Hop",
        b"Keep-Alive: timeout=5",
        b"X-Hop: 1",
        b"X-Passport-Agent: root",
        b"x_passport_agent: root",
        b"Passport-Decision: allow",
        b"Proxy-Authenticate: Basic",
        b"Upgrade: h2c",
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        b"Content-Length: 2",
        body=b"ok",
        first=b"HTTP/1.1 200 Quite OK",
    )
    with (
        RawUpstream(answering(full)) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().head == (
            b"HTTP/1.1 200 Quite OK\r\nServer: up/1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nPassport-Decision: allow\r\n"
            b"Content-Length: 2\r\n\r\n"
        )


def test_missing_date_is_added() -> None:
    """RFC 9110 section 6.6.1: an answer without a Date gets one on its way."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(GET)
        assert re.fullmatch(r"\w{3}, .* GMT", client.answer().header("Date") or "")


def test_interim_answers_are_passed_on() -> None:
    """RFC 9110 section 15.2: 1xx answers reach HTTP/1.1 clients in order, and no others."""
    hints = answer(b"Link: </a>", b"X-Passport-Id: 1", first=b"HTTP/1.1 103 Early Hints")
    full = answer(first=b"HTTP/1.1 102 Processing") + hints + OK
    with RawUpstream(answering(full)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            assert [client.answer().status, client.answer().head, client.answer().body] == [
                102,
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                b"ok",
            ]
        with plane.client() as client:
            client.send(HTTP10)
            assert client.answer().status == 200
        assert len(upstream.seen) == 1


def test_reason_phrase_may_be_missing() -> None:
    """RFC 9112 section 4: the reason phrase may be empty."""
    for first in (b"HTTP/1.1 200 ", b"HTTP/1.1 200"):
        script = answering(answer(b"Content-Length: 0", first=first))
        with (
            RawUpstream(script) as upstream,
            data_plane(upstream.port) as plane,
            plane.client() as client,
        ):
            client.send(GET)
            assert client.answer().head.startswith(b"HTTP/1.1 200 \r\n")


def test_http_1_0_upstream() -> None:
    """An HTTP/1.0 answer is passed on; its connection is used once unless it says otherwise."""
    once = answer(b"Content-Length: 2", body=b"ok", first=b"HTTP/1.0 200 OK")
    kept = answer(
        b"Content-Length: 2", b"Connection: Keep-Alive", body=b"ok", first=b"HTTP/1.0 200 OK"
    )
    for one, connections in ((once, 2), (kept, 1)):
        with RawUpstream(answering(one)) as upstream, data_plane(upstream.port) as plane:
            with plane.client() as client:
                for _ in range(2):
                    client.send(GET)
                    assert client.answer().head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert len(upstream.seen) == connections


def test_answer_before_the_request_is_read() -> None:
    """An early answer arrives whole; both connections end, since half a request is left over."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"Content-Length: 4", body=b"nope", first=b"HTTP/1.1 401 Unauthorized"))
        peer.rest()

    with RawUpstream(script) as upstream, data_plane(upstream.port, pool_idle=60.0) as plane:
        with plane.client() as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome")
            got = client.answer()
            assert (got.status, got.body, got.header("Connection")) == (401, b"nope", "close")
            client.send(b"more" * 1000)
            assert client.is_closed()
        until(lambda: upstream.seen[0].end, "the upstream's connection ends")
        assert upstream.whole_requests == []
        assert plane.gate.outcomes == [Finished(401, 4, "completed", True)]


def test_answer_while_the_request_streams() -> None:
    """An answer may begin before the request ends, and both go on together."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(CHUNKED + b"\r\n")
        for times in range(1, 4):
            while not peer.seen.received.endswith(b"hello" * times):
                assert peer.receive()
            peer.send(b"4\r\necho\r\n")
        peer.send(b"0\r\n\r\n")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n")
        for _ in range(3):
            client.send(b"hello")
            client.take_until(b"echo")
        client.take_until(b"0\r\n\r\n")
        assert client.is_closed()


def test_upstream_that_does_not_answer() -> None:
    """Without a first byte in time the answer is 504, and the upstream's request is cut."""
    with (
        RawUpstream(lambda peer: peer.rest()) as upstream,
        data_plane(upstream.port, first_byte_timeout=0.1) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        got = client.answer()

        assert (got.status, got.body) == (504, b"upstream_timeout")
        until(lambda: upstream.seen[0].end, "the upstream's request is cut")
        assert plane.gate.failed == [("upstream_timeout", True)]


def test_upstream_that_stops_answering() -> None:
    """An answer that stalls is cut, not completed."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"Content-Length: 10", body=b"half"))
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, idle_timeout=0.1) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        with pytest.raises((AssertionError, ConnectionResetError)):
            client.answer()
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(200, 4, "upstream_failed", True)]


def test_nobody_listens() -> None:
    """An upstream that cannot be reached is a 502, and nothing was sent."""
    with RawUpstream() as gone:
        port = gone.port
    with data_plane(port) as plane, plane.client() as client:
        for _ in range(3):
            client.send(GET)
            got = client.answer()
            assert (got.status, got.body) == (502, b"upstream_unreachable")
        assert plane.gate.failed == [("upstream_unreachable", False)] * 3
        assert plane.proxy.upstream_connections == 0


def test_limits_hold_for_answers() -> None:
    """`limits.header_bytes` and `.headers` bound the upstream's heads as well."""
    limits = with_limits(headers=3, header_bytes=300)
    for lines in ([b"X: y"] * 3, [b"X: " + b"y" * 300]):
        script = answering(answer(*lines, b"Content-Length: 0"))
        with (
            RawUpstream(script) as upstream,
            data_plane(upstream.port, limits=limits) as plane,
            plane.client() as client,
        ):
            client.send(GET)
            assert client.answer().status == 502


def test_empty_answer_headers() -> None:
    """A forward without headers of its own adds none."""
    gate = AllowAll(answer_headers=b"")
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, gate=gate) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().header("Passport-Decision") is None
