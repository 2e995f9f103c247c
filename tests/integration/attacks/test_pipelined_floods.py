"""Requests sent far ahead on one connection: answered all, and nobody else waits for them."""

import threading

import pytest
from tests.support.allow_all import AllowAll
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


CRUMB = b"1\r\nx\r\n"


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("path", [b"/x", b"/judge"])
def test_chunks_of_single_bytes_take_turns(plain_asyncio: bool, path: bytes) -> None:
    """Reading them takes long, and others have their turn meanwhile."""
    count = 200_000
    gate = AllowAll(judged_limit=count)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio, gate=gate) as plane,
        plane.client() as client,
    ):
        client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % path)
        until(lambda: plane.gate.judged, "it is under way")
        (connection,) = plane.proxy._plane.connections
        turns: list[int] = []
        before = 0
        stopped = False

        def turn() -> None:
            nonlocal before
            exchange, held = connection._exchange, connection._collected
            if path == b"/judge":
                now = len(held or b"")
            else:
                now = exchange._bytes_in if exchange is not None else 0
            turns.append(now - before)
            before = now
            if not stopped:
                plane.loop.call_soon(turn)

        held, go = threading.Event(), threading.Event()
        plane.loop.call_soon_threadsafe(lambda: (held.set(), go.wait(5), turn()))
        assert held.wait(5)
        sender = threading.Thread(target=client.send, args=(CRUMB * count + b"0\r\n\r\n",))
        sender.start()
        sender.join(0.2)
        go.set()
        assert client.answer().status == 200
        sender.join(5)
        stopped = True
        assert sorted(turns)[-2] <= 6_000
        assert max(turns) < 50_000
