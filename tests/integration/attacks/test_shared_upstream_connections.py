"""Agents share the upstream's connections; what one of them does must not reach another."""

import time
from collections.abc import Callable

import pytest
from tests.support.data_plane import data_plane
from tests.support.raw_http import Peer, RawUpstream, until

LARGE = b"x" * 40_000


def two_answers(peer: Peer) -> None:
    """A large answer, in one piece, to the first request, and a small one to each other."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    while (request := peer.request()) is not None:
        body = LARGE if b"/large" in request else b"ok"
        peer.send(head % len(body) + body)


def has_settled(count: Callable[[], int]) -> bool:
    """Whether something has been counted, and nothing more for a while."""
    before = count()
    time.sleep(0.1)
    return 0 < before == count()


@pytest.mark.parametrize("plain_asyncio", [False, True])
def test_a_reader_that_stalls_does_not_stall_the_next_user_of_its_connection(
    plain_asyncio: bool,
) -> None:
    """Filling the client's buffer with the last of an answer pauses no connection of the pool."""
    with (
        RawUpstream(two_answers) as upstream,
        data_plane(
            upstream.port, plain_asyncio=plain_asyncio, first_byte_timeout=1.0, max_connections=1
        ) as plane,
        plane.client() as slow,
        plane.client() as quick,
    ):
        slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        until(
            lambda: has_settled(lambda: len(plane.gate.outcomes)), "the client's buffers are full"
        )
        assert len(plane.gate.outcomes) < 500
        quick.send(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")

        answer = quick.answer()

        assert (answer.status, answer.body) == (200, b"ok")
