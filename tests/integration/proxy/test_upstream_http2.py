"""An upstream that is asked over HTTP/2: what it sees, what clients of either version get."""

import pytest
from tests.support.data_plane import data_plane
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
    answering,
    speaking,
)
from tests.support.raw_http import RawUpstream, until
from tests.support.raw_http import answering as answering_http1

GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
QUICK = {"first_byte_timeout": 0.2, "idle_timeout": 0.2, "connect_timeout": 0.5}


def test_what_the_upstream_sees() -> None:
    """A request is the one that was judged, without what belongs to a connection of HTTP/1.1."""
    seen = Conversation()
    request = (
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: api.test:80\r\nX-Two: 1\r\nX-Two: 2\r\n"
        b"Cookie: a=b\r\nConnection: TE, close\r\nTE: gzip, Trailers\r\nContent-Length: 4\r\n\r\n"
        b"body"
    )
    with (
        RawUpstream(speaking(answering(), seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(request)
        assert client.answer().body == b"ok"
    asked = seen.requests[0]
    assert asked.fields == {
        ":method": "POST",
        ":scheme": "http",
        ":authority": "upstream",
        ":path": "/a%20b?c=d",
        "x-two": "2",
        "cookie": "a=b",
        "content-length": "4",
        "te": "trailers",
    }
    assert (asked.body, asked.ended) == (b"body", True)
    # Nothing may be pushed (RFC 9113 section 6.5.2).
    assert seen.settings[2] == 0


@pytest.mark.parametrize("te", [None, "gzip", "trailers;q=0.5, xtrailers"])
def test_te_says_trailers_or_is_not_there(te: str | None) -> None:
    """Nothing of TE but exactly `trailers` reaches the upstream (RFC 9113 section 8.2.2)."""
    seen = Conversation()
    line = b"" if te is None else b"TE: %b\r\nConnection: TE\r\n" % te.encode()
    with (
        RawUpstream(speaking(answering(), seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n%b\r\n" % line)
        assert client.answer().status == 200
    assert "te" not in seen.requests[0].fields


def test_a_connection_is_kept_for_the_next_request() -> None:
    """One connection carries request after request, each on a stream of its own."""
    seen = Conversation()
    with (
        RawUpstream(speaking(answering(), seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        for request in (GET, POST, GET):
            client.send(request)
            assert client.answer().status == 200
        # The chunks of HTTP/1.1 are not in what is sent.
        client.send(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert client.answer().status == 200
    assert [asked.stream for asked in seen.requests] == [1, 3, 5, 7]
    assert seen.requests[3].body == b"abcde"
    assert "transfer-encoding" not in seen.requests[3].fields
    assert seen.connections == 1


def test_an_answer_to_a_client_of_http1() -> None:
    """Interim answers, a body of unknown length and trailers arrive as HTTP/1.1 has them."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(
            peer.head(asked.stream, (":status", "103"), ("link", "</a>")),
            peer.head(asked.stream, *OK, ("set-cookie", "a"), ("set-cookie", "b")),
            frame(DATA, 0, asked.stream, b"hel"),
            frame(DATA, 0, asked.stream, b"lo"),
            peer.head(asked.stream, ("x-sum", "5"), ("x-passport-id", "forged"), end=True),
        )
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().status == 103
        answer = client.answer()
    assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.head.count(b"set-cookie") == 2
    assert answer.body == b"hello"
    assert answer.trailers == b"x-sum: 5\r\n"


@pytest.mark.parametrize(
    ("method", "status", "fields", "end_with_head"),
    [
        ("HEAD", 200, [("content-length", "5")], True),
        ("HEAD", 200, [("content-length", "5")], False),
        ("GET", 204, [], False),
        ("GET", 304, [("content-length", "5")], True),
        ("GET", 200, [("content-length", "0")], True),
        ("GET", 200, [], True),
        ("GET", 200, [("grpc-status", "5")], True),
    ],
)
def test_answers_without_a_body(
    method: str, status: int, fields: list[tuple[str, str]], end_with_head: bool
) -> None:
    """Whether HEADERS or an empty DATA end them: they are whole, and the connection is kept."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            head = peer.head(asked.stream, (":status", str(status)), *fields, end=end_with_head)
            end = b"" if end_with_head else frame(DATA, END_STREAM, asked.stream)
            peer.send(head + end)

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
        http2(plane.port) as modern,
    ):
        for _ in range(2):
            client.send(GET.replace(b"GET", method.encode()))
            answer = client.answer(method)
            assert (answer.status, answer.body) == (status, b"")
        got = modern.get("/x", method=method)
        assert (got.status, got.body, got.ended) == (status, b"", True)
        for name, value in fields:
            assert got.headers[name] == value
    assert seen.connections == 1


def test_a_whole_answer_before_the_end_of_the_request() -> None:
    """It is passed on as whole, and what is left of the request goes nowhere."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        peer.send(peer.head(asked.stream, (":status", "413"), ("grpc-status", "8"), end=True))
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        http2(plane.port) as client,
    ):
        number = client.request("/x", method="POST", end=False)
        answer = client.answer(number)
        assert (answer.status, answer.headers["grpc-status"]) == (413, "8")
        until(lambda: not plane.proxy.upstream_connections, "its connection is closed")
    assert plane.gate.outcomes[-1].outcome == "completed"


def test_an_upgrade_is_refused() -> None:
    """WebSocket has no way through HTTP/2: told as such, nothing sent, the connection kept."""
    seen = Conversation()
    with (
        RawUpstream(speaking(answering(), seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().status == 200
        client.send(UPGRADE)
        assert client.answer().body == b"upgrade_unsupported"
        client.send(GET)
        assert client.answer().status == 200
    assert plane.gate.failed == [("upgrade_unsupported", False)]
    assert (len(seen.requests), seen.connections) == (2, 1)


def test_without_the_setting_the_upstream_is_asked_over_http1() -> None:
    """The same request, as ever."""
    with (
        RawUpstream(answering_http1(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as upstream,
        data_plane(upstream.port) as plane,
        http2(plane.port) as client,
    ):
        assert client.get("/x", ("te", "trailers")).status == 200
    assert upstream.received.startswith(b"GET /x HTTP/1.1\r\n")
    assert b"trailers" not in upstream.received
