"""What an upstream of HTTP/2 refuses before it looks at it is sent again where that is safe."""

from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from tests.support.data_plane import data_plane
from tests.support.http2_client import (
    DATA,
    END_STREAM,
    PING,
    RST_STREAM,
    SETTINGS,
    frame,
)
from tests.support.http2_upstream import (
    OK,
    Conversation,
    Http2Peer,
    goaway,
    setting,
    speaking,
)
from tests.support.raw_http import RawUpstream, until

GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def refusing(refusal: Callable[[int], bytes]) -> Callable[[Conversation], Callable[..., None]]:
    def make(seen: Conversation) -> Callable[[Http2Peer], None]:
        def talk(peer: Http2Peer) -> None:
            first = seen.connections == 1
            while (asked := peer.request(whole=False)) is not None:
                if first:
                    peer.send(refusal(asked.stream))
                else:
                    peer.answer(asked.stream)

        return talk

    return make


REFUSALS = {
    "REFUSED_STREAM": lambda stream: frame(RST_STREAM, 0, stream, b"\0\0\0\7"),
    "GOAWAY": lambda stream: goaway(stream - 1 if stream > 1 else 0),
    "GOAWAY with an error": lambda _: goaway(0, ErrorCodes.ENHANCE_YOUR_CALM),
}


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_what_was_refused_unread_is_sent_again(
    refusal: Callable[[int], bytes], request_: bytes
) -> None:
    """Once, over another connection, whatever the method (RFC 9113 section 8.7)."""
    seen = Conversation()
    with (
        RawUpstream(speaking(refusing(refusal)(seen), seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(request_.replace(b"/x", b"/judge") if request_ is POST else request_)
        assert client.answer().body == b"ok"
    assert (len(seen.requests), seen.connections) == (2, 2)
    assert plane.gate.outcomes[-1].outcome == "completed"


def test_what_is_refused_twice_is_not_tried_a_third_time() -> None:
    """502, and as nothing was done with it, nothing counts as sent."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(REFUSALS["REFUSED_STREAM"](asked.stream))

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().body == b"upstream_bad_response"
        assert plane.call(lambda: plane.proxy.upstream_addresses[0].failures) == 0
    assert plane.gate.failed == [("upstream_bad_response", False)]
    assert seen.connections == 2


def test_a_refusal_of_the_second_attempt_says_nothing_of_the_first() -> None:
    """The first may have been acted upon before its connection was lost, so it counts as sent."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        first = seen.connections == 1
        asked = peer.request()
        assert asked is not None
        if first:
            peer.answer(asked.stream)
            peer.request()  # and gone without a word
        else:
            peer.send(REFUSALS["REFUSED_STREAM"](asked.stream))

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True, pool_idle=60.0) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().body == b"ok"
        client.send(GET)
        assert client.answer().body == b"upstream_bad_response"
    assert (len(seen.requests), seen.connections) == (3, 2)
    assert plane.gate.failed == [("upstream_bad_response", True)]


def test_a_streamed_body_that_has_begun_is_not_sent_again() -> None:
    """What the gate no longer holds it cannot repeat, even where that would be safe."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        assert asked is not None
        while (found := peer.next()) is not None:
            if found[0] == DATA:
                peer.send(REFUSALS["REFUSED_STREAM"](asked.stream))

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(CHUNKED + b"3\r\nabc\r\n")
        assert client.answer().body == b"upstream_bad_response"
    assert (len(seen.requests), seen.connections) == (1, 1)


def test_an_upstream_that_allows_no_stream() -> None:
    """MAX_CONCURRENT_STREAMS of 0 before a request: nothing is sent, 502 in the end."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(frame(SETTINGS, 0, 0, setting(3, 0)))
        peer.answer(asked.stream)
        while (again := peer.request()) is not None:
            peer.answer(again.stream)

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        for _ in range(3):
            client.send(GET)
            assert client.answer().status == 200
    # Each connection took one request; the one that it then had to refuse went over the next.
    assert (len(seen.requests), seen.connections) == (3, 3)


def test_a_goaway_lets_what_is_under_way_end() -> None:
    """The answer goes on to its end; the next request has a connection of its own."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(peer.head(asked.stream, *OK), goaway((1 << 31) - 1), goaway(asked.stream))
            peer.send(frame(DATA, END_STREAM, asked.stream, b"ok"))

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        for _ in range(2):
            client.send(GET)
            assert client.answer().body == b"ok"
    assert seen.connections == 2


def test_an_idle_connection_that_says_goodbye_is_not_used() -> None:
    """GOAWAY between two requests costs nobody an answer, not even a POST."""
    seen = Conversation()

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        if asked is not None:
            peer.answer(asked.stream)
            peer.send(frame(PING, 0, 0, b"12345678"), goaway(asked.stream))
            peer.rest()

    with (
        RawUpstream(speaking(talk, seen)) as upstream,
        data_plane(upstream.port, http2=True, pool_idle=60.0) as plane,
        plane.client() as client,
    ):
        for _ in range(3):
            client.send(POST)
            assert client.answer().body == b"ok"
            until(lambda: not plane.proxy.upstream_connections, "the connection is closed")
    assert seen.connections == 3


@pytest.mark.parametrize(
    ("code", "failures"),
    [(ErrorCodes.CANCEL, 0), (ErrorCodes.NO_ERROR, 0), (ErrorCodes.INTERNAL_ERROR, 2)],
)
def test_a_server_that_ends_one_request_on_purpose_has_not_failed(
    code: ErrorCodes, failures: int
) -> None:
    """Agents can have their own calls cancelled, and must not put an address out by that."""

    def talk(peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.send(frame(RST_STREAM, 0, asked.stream, code.to_bytes(4, "big")))

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        for _ in range(2):
            client.send(GET)
            assert client.answer().body == b"upstream_bad_response"
        assert plane.call(lambda: plane.proxy.upstream_addresses[0].failures) == failures
