"""A connection of the pool in the moments when two things happen in one turn of the loop.

Sockets alone do not bring these moments about, so here the loop's part is played within one turn:
what it would tell the two real connections is told to them, one thing right after the other.
"""

from collections.abc import Callable

import pytest
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import OK, Peer, RawUpstream, until

from passgate.proxy.http1 import ServerConnection
from passgate.proxy.upstream_http1 import UpstreamConnection

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


def both(plane: DataPlane) -> tuple[ServerConnection, UpstreamConnection]:
    """The one connection of a client, and the one to the upstream."""
    (client,) = plane.proxy._plane.connections
    (upstream,) = plane.proxy._plane.pool._open
    return client, upstream


def garbage(upstream: UpstreamConnection) -> None:
    upstream.data_received(b"HTTP/1.1 200 OK\r\n")


def end(upstream: UpstreamConnection) -> None:
    upstream.eof_received()
    upstream._transport.close()  # as the loop does, since the answer was no


@pytest.mark.parametrize("event", [garbage, end])
@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_a_connection_that_ended_in_this_turn_is_not_handed_out(
    event: Callable[[UpstreamConnection], None], plain_asyncio: bool
) -> None:
    """It is still among the idle ones, and a POST on it would be lost: another one is used."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().status == 200

        def one_turn() -> None:
            mine, theirs = both(plane)
            event(theirs)
            assert theirs in plane.proxy._plane.pool._open  # nobody has told the pool yet
            mine.data_received(POST)

        plane.call(one_turn)

        assert client.answer().status == 200
        assert [request[:4] for seen in upstream.seen for request in seen.requests] == [
            b"GET ",
            b"POST",
        ]
        assert len(upstream.seen) == 2


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_a_connection_that_was_paused_is_read_again_when_it_is_reused(plain_asyncio: bool) -> None:
    """A client that fell behind within the last read of its answer stops nobody else's."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while peer.request() is not None:
            peer.send(OK)

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio, first_byte_timeout=2.0) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.take_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")

        def one_turn() -> None:
            mine, theirs = both(plane)
            mine.pause_writing()
            assert theirs._paused
            # The rest came with the same reading, before the pause could tell.
            theirs.data_received(b"2\r\nok\r\n0\r\n\r\n")
            mine.resume_writing()

        plane.call(one_turn)

        assert client.take_until(b"0\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"
        client.send(POST)
        assert client.answer().status == 200
        until(lambda: len(plane.gate.outcomes) == 2, "both are on record")
        assert len(upstream.seen) == 1
