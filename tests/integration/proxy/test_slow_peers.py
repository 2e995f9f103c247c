"""Slow is not gone: whoever takes what waits for it keeps it, whoever takes nothing does not.

The peers here have small buffers, so that the gate's own fill, and take a little at a time.
"""

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from tests.support.allow_all import Finished
from tests.support.certificates import Authority
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.raw_http import OK, Flood, Peer, RawUpstream, connected, until

from passgate.proxy.settings import ListenTls

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TOTAL = 12 << 20
PATIENCE_S = 0.2


def sip(sock: socket.socket, total: int, seconds: float) -> int:
    """Takes a little every few milliseconds for so long, then the rest; returns how much came."""
    taken = 0
    end = time.monotonic() + seconds
    pause = threading.Event()
    while taken < total and (data := sock.recv(16384)):
        taken += len(data)
        if time.monotonic() < end:
            pause.wait(0.02)
    return taken


def small(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_a_slow_reader_gets_all_of_its_answer(plain_asyncio: bool) -> None:
    """A client that reads steadily, slower than the gate could buffer in the timeout, is served."""
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL, TOTAL)
    limits = with_limits(body_idle_timeout=PATIENCE_S)
    with (
        RawUpstream(flood) as upstream,
        data_plane(upstream.port, limits=limits, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        small(client.sock)
        client.send(GET)
        client.take_until(b"\r\n\r\n")
        held = len(client._held)

        assert sip(client.sock, TOTAL - held, 5 * PATIENCE_S) == TOTAL - held
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(200, TOTAL, "completed", True)]


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_a_slow_reader_over_tls_gets_all_of_its_answer(tmp_path: Path, plain_asyncio: bool) -> None:
    """What TLS holds on the way counts as not taken, too."""
    authority = Authority(tmp_path)
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL, TOTAL)
    limits = with_limits(body_idle_timeout=PATIENCE_S)
    context = ssl.create_default_context(cafile=authority.cert)
    with (
        RawUpstream(flood) as upstream,
        data_plane(
            upstream.port, limits=limits, listen_tls=tls, plain_asyncio=plain_asyncio
        ) as plane,
        socket.create_connection(("127.0.0.1", plane.port), 5) as raw,
    ):
        small(raw)
        with context.wrap_socket(raw, server_hostname="gate.test") as sock:
            sock.sendall(GET)
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(1)

            assert sip(sock, TOTAL, 5 * PATIENCE_S) == TOTAL
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(200, TOTAL, "completed", True)]


def test_a_slow_reader_gets_the_last_answer_before_the_close() -> None:
    """What is left when the gate closes is taken at the client's pace."""
    body = bytes(6 << 20)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)

    limits = with_limits(body_idle_timeout=PATIENCE_S, keepalive_timeout=PATIENCE_S)
    for close in (b"Connection: close\r\n", b""):
        with (
            RawUpstream(script) as upstream,
            data_plane(upstream.port, limits=limits) as plane,
            plane.client() as client,
        ):
            small(client.sock)
            client.send(GET[:-2] + close + b"\r\n")
            client.take_until(b"\r\n\r\n")
            left = len(body) - len(client._held)

            assert sip(client.sock, left, 4 * PATIENCE_S) == left


def test_a_slow_upstream_gets_all_of_a_body() -> None:
    """An upstream that reads steadily is given the body at its own pace."""

    def script(peer: Peer) -> None:
        small(peer.sock)
        head = peer.sock.recv(1024)
        got = len(head) - head.index(b"\r\n\r\n") - 4
        sip(peer.sock, TOTAL - got, 5 * PATIENCE_S)
        peer.send(OK)

    limits = with_limits(body_bytes=TOTAL, body_idle_timeout=10.0)
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, limits=limits, idle_timeout=PATIENCE_S) as plane,
        plane.client() as client,
    ):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % TOTAL)
        client.send(bytes(TOTAL))

        assert client.answer().status == 200


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_slow_side_keeps_its_tunnel(direction: str) -> None:
    """A tunnel in which one side takes what the other has sent is not idle."""
    taken = 0

    def script(peer: Peer) -> None:
        nonlocal taken
        small(peer.sock)
        peer.head()
        peer.send(SWITCHED)
        if direction == "down":
            peer.sock.sendall(bytes(TOTAL))
        else:
            taken = sip(peer.sock, TOTAL, 5 * PATIENCE_S)
            peer.send(b"done")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, idle_timeout=PATIENCE_S) as plane,
        plane.client() as client,
    ):
        small(client.sock)
        client.send(UPGRADE)
        client.take_until(b"\r\n\r\n")
        if direction == "down":
            left = TOTAL - len(client._held)
            assert sip(client.sock, left, 5 * PATIENCE_S) == left
        else:
            client.sock.sendall(bytes(TOTAL))
            assert client.take(4) == b"done"
            assert taken == TOTAL


@pytest.mark.parametrize("stuck", ["client", "upstream"])
def test_a_side_that_takes_nothing_loses_its_tunnel(stuck: str) -> None:
    """Where nothing moves either way for the idle time, the tunnel is cut."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(SWITCHED)
        if stuck == "client":
            with contextlib.suppress(OSError):
                peer.sock.sendall(bytes(64 << 20))
        else:
            ended.wait(10)

    ended = threading.Event()
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, idle_timeout=0.2) as plane,
        plane.client() as client,
    ):
        client.send(UPGRADE)
        client.take_until(b"\r\n\r\n")
        started = time.monotonic()
        if stuck == "upstream":
            with contextlib.suppress(OSError):
                client.sock.sendall(bytes(64 << 20))
        until(lambda: plane.gate.outcomes, "it is cut")
        ended.set()
        assert plane.gate.outcomes[0].outcome == "cut"
        assert time.monotonic() - started < 3


def test_an_upload_that_is_answered_early_goes_on_both_ways() -> None:
    """An answer that waits for the body to end is not idle while the body comes."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        while b"0\r\n\r\n" not in peer.seen.received:
            if not peer.receive():
                return
        peer.send(b"4\r\ndone\r\n0\r\n\r\n")

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, idle_timeout=0.2) as plane,
        plane.client() as client,
    ):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.take_until(b"ok\r\n")
        pause = threading.Event()
        for _ in range(8):
            pause.wait(0.1)
            client.send(b"1\r\nx\r\n")
        client.send(b"0\r\n\r\n")

        assert client.take_until(b"0\r\n\r\n") == b"4\r\ndone\r\n0\r\n\r\n"
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "completed"


def test_a_hundred_readers_that_read_nothing_take_little_room() -> None:
    """What an upstream sends is held for each stalled client only up to what is in flight."""
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30), 1 << 30)
    with (
        RawUpstream(flood) as upstream,
        data_plane(upstream.port) as plane,
        contextlib.ExitStack() as clients,
    ):
        for _ in range(100):
            client = clients.enter_context(connected(plane.port))
            small(client.sock)
            client.send(GET)
        until(lambda: sum(size > 65536 for size in _held(plane)) == 100, "all are full")
        flood.stalled_at()
        # One reading of the upstream's socket more than the mark at which it is paused.
        assert max(_held(plane)) <= 64 * 1024 + 256 * 1024


def _held(plane: DataPlane) -> list[int]:
    def sizes() -> list[int]:
        clients = plane.proxy._plane.connections
        return [client._transport.get_write_buffer_size() for client in clients]

    return plane.call(sizes)
