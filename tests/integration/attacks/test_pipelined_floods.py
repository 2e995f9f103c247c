"""Requests sent far ahead on one connection: answered all, and nobody else waits for them."""

import threading

import pytest
from tests.support.data_plane import data_plane
from tests.support.raw_http import RawUpstream, until

REQUESTS = 5000
DENIED = b"GET /deny HTTP/1.1\r\nHost: a\r\n\r\n"
FEW = 32


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "last", [b"", b"GET / HTTP/1.1\r\nX-A: " + b"a" * 70_000], ids=["", "half"]
)
def test_requests_ahead_take_turns(plain_asyncio: bool, last: bytes) -> None:
    """A few of them are judged in one turn of the loop, however many have come."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        judged = plane.gate.judged
        most = before = 0
        stopped = False

        def turn() -> None:
            nonlocal before, most
            most = max(most, len(judged) - before)
            before = len(judged)
            if not stopped:
                plane.loop.call_soon(turn)

        held, go = threading.Event(), threading.Event()
        plane.loop.call_soon_threadsafe(lambda: (held.set(), go.wait(5), turn()))
        assert held.wait(5)
        sender = threading.Thread(target=client.send, args=(DENIED * REQUESTS + last,))
        sender.start()
        until(lambda: not sender.is_alive() or sender.join(0.2) is None, "some are in the kernel")
        go.set()
        for _ in range(REQUESTS):
            assert client.answer().status == 403
        sender.join(5)
        if last:
            client.send(b"\r\nHost: a\r\n\r\n")
            assert client.answer().status == 200
        stopped = True
        assert len(judged) == REQUESTS + bool(last)
        assert most <= FEW
