"""The PROXY protocol before HTTP and before TLS: who the client is, by a load balancer's word."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import Authority
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.proxy_v2 import LOCAL, UNSPEC, checked, from_client, header
from tests.support.raw_http import Client, Flood, RawUpstream, until

from passgate.core.client_address import TrustedProxies
from passgate.proxy.settings import Endpoint, Limits, ListenTls

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
CLIENT = from_client("203.0.113.9")
LOOPS = pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.contextmanager
def behind(
    upstream: RawUpstream, *, senders: tuple[str, ...] = ("127.0.0.0/8",), **options: Any
) -> Iterator[DataPlane]:
    """A data plane that expects headers from this machine."""
    listener = {"proxy_protocol": True, "proxy_protocol_from": TrustedProxies(senders)}
    with data_plane(upstream.port, listener=listener, **options) as plane:
        yield plane


def peers(plane: DataPlane) -> list[str]:
    return [wire.peer for wire in plane.gate.judged]


@LOOPS
def test_the_client_is_the_one_in_the_header(plain_asyncio: bool) -> None:
    """With the request in the same segment, in pieces, and for every request that follows."""
    with RawUpstream() as upstream, behind(upstream, plain_asyncio=plain_asyncio) as plane:
        with plane.client() as client:
            client.send(CLIENT + GET)
            assert client.answer().status == 200
            client.send(GET)
            assert client.answer().status == 200
        with plane.client() as client:
            client.send_bytewise(checked("2001:db8::9") + GET)
            assert client.answer().status == 200
        with plane.client() as client:
            client.send(header(LOCAL, UNSPEC))
            client.send(GET)
            assert client.answer().status == 200
        assert peers(plane) == ["203.0.113.9", "203.0.113.9", "2001:db8::9", "127.0.0.1"]


class HandMadeTls:
    """A TLS client whose every byte goes out when the test says so."""

    def __init__(self, sock: socket.socket, authority: Authority) -> None:
        self.sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=authority.cert)
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="gate.test")

    def hello(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()

    def ask(self) -> bytes:
        """Finishes the handshake, and returns the first bytes of the answer to a request."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        self._tls.write(GET)
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._exchange()

    def _exchange(self) -> None:
        self.sock.sendall(self._out.read())
        data = self.sock.recv(65536)
        assert data, "the gate closed the connection"
        self._in.write(data)


@LOOPS
@pytest.mark.parametrize("pieces", ["one segment", "two segments", "bytewise"])
def test_the_handshake_follows_the_header(
    authority: Authority, plain_asyncio: bool, pieces: str
) -> None:
    """Not a byte of it is lost, wherever the segments end."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    with (
        RawUpstream() as upstream,
        behind(upstream, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        shaking = HandMadeTls(client.sock, authority)
        hello = shaking.hello()
        if pieces == "one segment":
            client.send(CLIENT + hello)
        elif pieces == "two segments":
            client.send(CLIENT[:20])
            client.send(CLIENT[20:] + hello[:5])
            client.send(hello[5:])
        else:
            client.send_bytewise(CLIENT + hello)
        assert shaking.ask().startswith(b"HTTP/1.1 200 ")
        assert peers(plane) == ["203.0.113.9"]
        assert plane.gate.judged[0].tls


@LOOPS
@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n" + GET,
        checked("203.0.113.9", flip=1) + GET,
        header(0x21, 0x12, bytes(12)) + GET,
        from_client("203.0.113.9", b"\4\2\0" + bytes(512)) + GET,
        b"\r\n" + CLIENT + GET,
    ],
    ids=["no header", "version 1", "a wrong checksum", "datagrams", "too long", "not at once"],
)
def test_whoever_does_not_begin_with_a_good_header_is_closed(
    sent: bytes, plain_asyncio: bool
) -> None:
    """Without a word: there is nobody to whom it could be said."""
    with (
        RawUpstream() as upstream,
        behind(upstream, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(sent)
        assert client.is_closed()
        assert plane.gate.judged == []
        assert plane.proxy.turned_away["proxy_header"] == 1
        until(lambda: plane.proxy.connections == 0, "its place is free")


@LOOPS
def test_a_header_from_anyone_else_is_not_read(plain_asyncio: bool) -> None:
    """The peer that connects has to be one of the load balancers, or anyone could be anyone."""
    with (
        RawUpstream() as upstream,
        behind(upstream, senders=("10.0.0.0/8", "unix"), plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(CLIENT + GET)
        assert client.is_closed()
        assert plane.gate.judged == []
        assert plane.proxy.turned_away["proxy_header"] == 1


def test_without_the_setting_a_header_is_a_malformed_request() -> None:
    """Both versions: what nobody expects must not name a client."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        for sent in (CLIENT, b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n"):
            with plane.client() as client:
                client.send(sent + GET)
                assert client.answer().status == 400
                assert client.is_closed()
        assert plane.gate.judged == []


@LOOPS
@pytest.mark.parametrize("sent", [b"", CLIENT[:1], CLIENT[:-1]], ids=["nothing", "a byte", "most"])
def test_a_header_has_its_time(sent: bytes, plain_asyncio: bool) -> None:
    """A header that does not come, or not to its end, keeps its place no longer than a request."""
    limits = with_limits(header_timeout=0.1)
    with (
        RawUpstream() as upstream,
        behind(upstream, limits=limits, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(sent)
        assert client.is_closed()
        assert plane.proxy.turned_away["proxy_header"] == 1
        until(lambda: plane.proxy.connections == 0, "its place is free")


def test_a_header_takes_none_of_the_time_for_the_request() -> None:
    """The time for the head of a request begins once it is known who asks."""
    limits = with_limits(header_timeout=0.1)
    with (
        RawUpstream() as upstream,
        behind(upstream, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(CLIENT + b"GET /x HTTP/1.1\r\n")
        assert client.answer().status == 408


@LOOPS
def test_clients_are_counted_by_the_header(plain_asyncio: bool) -> None:
    """Behind a load balancer each has a share of its own, and the balancer is not one client."""
    with (
        RawUpstream() as upstream,
        behind(upstream, limits=with_limits(per_client=1), plain_asyncio=plain_asyncio) as plane,
        plane.client() as one,
        plane.client() as two,
        plane.client() as again,
    ):
        for client, sent, status in (
            (one, CLIENT, 200),
            (two, from_client("203.0.113.10"), 200),
            (again, CLIENT, 503),
        ):
            client.send(sent + GET)
            assert client.answer().status == status
        assert again.is_closed()
        assert plane.proxy.turned_away["connections_per_client"] == 1


def test_unix_sockets_carry_headers_too(tmp_path: Path) -> None:
    """The word `unix` names their senders; what the header says counts, not the socket."""
    path = tmp_path / "gate.sock"
    listen = Endpoint(path=path)
    with (
        RawUpstream() as upstream,
        behind(upstream, senders=("unix",), listen=listen) as plane,
        socket.socket(socket.AF_UNIX) as raw,
    ):
        raw.connect(str(path))
        client = Client(raw)
        client.send(CLIENT + GET)
        assert client.answer().status == 200
        assert peers(plane) == ["203.0.113.9"]
    with (
        RawUpstream() as upstream,
        behind(upstream, senders=("127.0.0.1",), listen=listen) as plane,
        socket.socket(socket.AF_UNIX) as raw,
    ):
        raw.connect(str(path))
        client = Client(raw)
        client.send(CLIENT + GET)
        assert client.is_closed()


@LOOPS
def test_a_slow_reader_holds_up_the_upstream(plain_asyncio: bool) -> None:
    """What comes before HTTP takes nothing away from back-pressure."""
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", 100_000_000)
    with (
        RawUpstream(flood) as upstream,
        behind(upstream, limits=Limits(), plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(CLIENT + GET)
        until(lambda: flood.sent, "it begins")
        assert flood.stalled_at() < 50_000_000
