"""A handshake that ends just as its place is given away: the books of the crowd stay right."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.data_plane import data_plane, with_limits
from tests.support.raw_http import RawUpstream, until

from passgate.proxy.settings import ListenTls


class SlowHandshake:
    """A client that sends the last flight of its handshake when it is told to."""

    def __init__(self, port: int, authority: Authority) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 5)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=authority.cert)
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="gate.test")
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if self._out.pending:
                    self.sock.sendall(self._out.read())
                self._in.write(self.sock.recv(65536))

    def finish(self) -> None:
        self.sock.sendall(self._out.read())


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_a_place_is_given_away_once(tmp_path: Path, plain_asyncio: bool) -> None:
    """Whoever comes and whoever is done with the handshake in one turn of the loop: one has it."""
    authority = Authority(tmp_path)
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    limits = with_limits(connections=1)
    with (
        RawUpstream() as upstream,
        data_plane(
            upstream.port, listen_tls=tls, limits=limits, plain_asyncio=plain_asyncio
        ) as plane,
    ):
        crowd = plane.proxy._plane.crowd
        slow = SlowHandshake(plane.port, authority)
        until(lambda: crowd.served == 1, "its handshake is under way")
        (arrival,) = plane.proxy._plane.arrivals._open.values()
        arrival.began_at -= 10.0  # long enough ago to make room
        held, go = threading.Event(), threading.Event()
        plane.loop.call_soon_threadsafe(lambda: (held.set(), go.wait(5)))
        assert held.wait(5)
        with slow.sock, socket.create_connection(("127.0.0.1", plane.port), 5):
            slow.finish()
            go.set()
            until(lambda: crowd.refused["connections"], "it made room")
            until(lambda: crowd.sockets == 1, "one is left")
            assert crowd.served == 1
        until(lambda: crowd.sockets == 0, "all have left")
        assert crowd.served == 0
