"""After a 101 the bytes are the two peers' own, as long as the passport is good."""

import socket

import pytest
from tests.support.allow_all import Finished
from tests.support.data_plane import data_plane
from tests.support.raw_http import OK, Client, Flood, Peer, RawUpstream, until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: y\r\n\r\n"
)


def echo(peer: Peer) -> None:
    """Switches, then sends back whatever comes until its end, and ends."""
    peer.request()
    peer.send(SWITCHED)
    while data := peer.sock.recv(65536):
        peer.send(data)
    peer.send(b"bye")


def switch(client: Client) -> None:
    client.send(UPGRADE)
    answer = client.answer()
    assert answer.status == 101
    assert answer.header("Upgrade") == "websocket"
    assert answer.header("Connection") == "Upgrade"
    assert answer.header("Sec-WebSocket-Accept") == "y"


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_bytes_both_ways_and_half_close(plain_asyncio: bool) -> None:
    """Bytes pass unchanged, each side may end first, and those to the client are counted."""
    with (
        RawUpstream(echo) as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        switch(client)
        blob = bytes(range(256)) * 1000
        client.send(blob)
        assert client.take(len(blob)) == blob
        client.sock.shutdown(socket.SHUT_WR)
        assert client.everything() == b"bye"
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, len(blob) + 3, "completed", True)]


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_the_upstream_may_end_its_half_first(plain_asyncio: bool) -> None:
    """The client is told, and what it goes on to send arrives; both directions are counted."""
    got = bytearray()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED + b"that is all")
        peer.sock.shutdown(socket.SHUT_WR)
        while data := peer.sock.recv(65536):
            got.extend(data)

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        switch(client)
        assert client.everything() == b"that is all"
        for _ in range(3):
            client.send(bytes(100_000))
        client.sock.shutdown(socket.SHUT_WR)
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, 11, "completed", True)]
        assert plane.gate.forwards[0].record.bytes_in == 300_000
        until(lambda: len(got) == 300_000, "all of it arrives")


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_half_of_a_tunnel_does_not_stay_for_ever(side: str) -> None:
    """Where one side has ended and the other is silent, the idle timeout holds as before."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED)
        if side == "upstream":
            peer.sock.shutdown(socket.SHUT_WR)
        until(lambda: plane.gate.outcomes, "it is cut")

    with RawUpstream(script) as upstream, data_plane(upstream.port, idle_timeout=0.2) as plane:
        with plane.client() as client:
            switch(client)
            if side == "client":
                client.sock.shutdown(socket.SHUT_WR)
            until(lambda: plane.gate.outcomes, "it is cut")
            assert client.is_closed()
        assert plane.gate.outcomes == [Finished(101, 0, "cut", True)]


def test_early_bytes_are_not_lost() -> None:
    """Bytes that came along with either head are the first of the tunnel."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED + b"hello client")
        while not peer.seen.received.endswith(b"hello upstream"):
            assert peer.receive()
        peer.send(b"got it")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(UPGRADE + b"hello upstream")
        assert client.answer().status == 101
        assert client.take(18) == b"hello clientgot it"


def test_other_protocols_are_tunnelled_too() -> None:
    """Any protocol may be switched to, not only WebSocket."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(SWITCHED.replace(b"websocket", b"Foo/2") + b"foo")
            peer.rest()

        upstream.script = script
        client.send(UPGRADE.replace(b"websocket", b"bar, foo/2"))
        assert client.answer().header("Upgrade") == "Foo/2"
        assert client.take(3) == b"foo"
        assert b"Connection: Upgrade\r\nUpgrade: bar, foo/2\r\n\r\n" in upstream.received


@pytest.mark.parametrize("protocol", [b"h2c", b"HTTP/2.0", b"TLS/1.0", b"websocket, h2c"])
def test_protocols_that_carry_requests_are_not(protocol: bytes) -> None:
    """An upgrade behind which unjudged requests could travel is ignored (RFC 9110 section 7.8)."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(UPGRADE.replace(b"websocket", protocol))

        assert client.answer().status == 200
        assert b"pgrade" not in upstream.received


def test_upstream_may_decline() -> None:
    """An answer other than 101 is an answer; the connection goes on."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        for _ in range(2):
            client.send(UPGRADE)
            assert client.answer().body == b"ok"
        assert len(upstream.seen) == 1


def test_upgrade_needs_connection() -> None:
    """RFC 9110 section 7.8: an Upgrade that Connection does not name is not one."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(UPGRADE.replace(b"keep-alive, Upgrade", b"keep-alive"))

        assert client.answer().status == 200
        assert b"pgrade" not in upstream.received


def test_switch_to_something_else_is_unusable() -> None:
    """A 101 to a protocol that the client did not offer is refused."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED.replace(b"websocket", b"h2c"))
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(UPGRADE)
        assert client.answer().status == 502


def test_idle_tunnel_ends() -> None:
    """A tunnel in which nothing moves for the idle timeout is cut."""
    with RawUpstream(echo) as upstream, data_plane(upstream.port, idle_timeout=0.2) as plane:
        with plane.client() as client:
            switch(client)
            assert client.is_closed()
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, 0, "cut", True)]


def test_revoked_tunnel_is_cut() -> None:
    """Once the passport is no longer good, the tunnel ends within moments."""
    with RawUpstream(echo) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            switch(client)
            client.send(b"hello")
            assert client.take(5) == b"hello"
            plane.gate.allowed = False
            assert client.is_closed()
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, 5, "cut", True)]
        assert plane.proxy.upstream_connections == 0


def test_client_that_vanishes_ends_the_tunnel() -> None:
    """A reset on one side ends the other."""
    with RawUpstream(echo) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            switch(client)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, 0, "client_gone", True)]
        until(lambda: plane.proxy.upstream_connections == 0, "the upstream's side ends")


def test_upstream_that_vanishes_ends_the_tunnel() -> None:
    """A reset of the upstream's side cuts the client's."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED)
        peer.sock.recv(5)
        peer.reset()

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            switch(client)
            client.send(b"hello")
            assert client.is_closed()
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(101, 0, "upstream_failed", True)]


def test_slow_side_slows_the_other() -> None:
    """What one side does not take is not read from the other without bound."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED)
        until(lambda: go, "the test lets the upstream read")
        taken = 0
        while taken < total:
            taken += len(peer.sock.recv(1 << 20))
        peer.send(b"done")
        peer.rest()

    go: list[bool] = []
    total = 48 << 20
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        switch(client)
        sent = client.send_until_stuck(total)
        assert sent < total
        go.append(True)
        client.send(bytes(total - sent))
        assert client.take(4) == b"done"


def test_slow_client_slows_the_upstream() -> None:
    """What the client does not take is not read from the upstream without bound."""
    flood = Flood(SWITCHED, 48 << 20)
    with (
        RawUpstream(flood) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        switch(client)
        assert flood.stalled_at() < flood.total
        for _ in range(flood.total >> 20):
            client.take(1 << 20)


def test_tunnel_counts_as_in_flight() -> None:
    """A tunnel is in flight until it ends, and a stopping gate cuts it after the drain time."""
    with RawUpstream(echo) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            switch(client)
            assert plane.proxy.inflight == 1
            assert plane.run(plane.proxy.drain(0.05)) is False
            assert client.is_closed()
        assert plane.gate.outcomes == [Finished(101, 0, "cut", True)]


def test_upgrade_with_a_body_is_a_plain_request() -> None:
    """A request with a body does not switch: its body could be taken for the tunnel's bytes."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(UPGRADE[:-2] + b"Content-Length: 2\r\n\r\nhi")

        assert client.answer().body == OK[-2:]
        assert b"pgrade" not in upstream.received
