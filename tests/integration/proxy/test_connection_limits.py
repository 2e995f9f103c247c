"""Sockets count from accept: handshakes that hang keep nobody out, and no client takes all."""

import contextlib
import dataclasses
import resource
import socket
import ssl
import time
from collections.abc import Iterator

import pytest
from tests.support.certificates import Authority
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.raw_http import Client, RawUpstream, until

from passgate.core.client_address import TrustedProxies
from passgate.proxy.settings import ListenTls

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ListenTls:
    return ListenTls(*authority.issue("gate", ("gate.test",)))


@contextlib.contextmanager
def over_tls(plane: DataPlane, authority: Authority) -> Iterator[Client]:
    context = ssl.create_default_context(cafile=authority.cert)
    raw = socket.create_connection(("127.0.0.1", plane.port), 5)
    with Client(context.wrap_socket(raw, server_hostname="gate.test")) as client:
        yield client


def asked(plane: DataPlane, authority: Authority) -> int:
    with over_tls(plane, authority) as client:
        client.send(GET)
        return client.answer().status


@contextlib.contextmanager
def hanging(plane: DataPlane, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that go no further than `sent`."""
    with contextlib.ExitStack() as sockets:
        opened = []
        for _ in range(count):
            sock = sockets.enter_context(socket.create_connection(("127.0.0.1", plane.port), 5))
            if sent:
                sock.sendall(sent)
            opened.append(sock)
        yield opened


@LOOPS
def test_two_hundred_hanging_handshakes_keep_nobody_out(
    authority: Authority, tls: ListenTls, plain_asyncio: bool
) -> None:
    """The limit holds for them as well, and one that dawdles makes room for whoever comes next."""
    limits = with_limits(connections=100)
    with (
        RawUpstream() as upstream,
        data_plane(
            upstream.port, listen_tls=tls, limits=limits, plain_asyncio=plain_asyncio
        ) as plane,
        over_tls(plane, authority) as before,
    ):
        crowd = plane.proxy._plane.crowd
        before.send(GET)
        assert before.answer().status == 200
        with hanging(plane, 200, sent=b"\x16\x03\x01") as flood:
            until(lambda: crowd.served == 100, "they are there")
            assert crowd.sockets <= 201
            # Those who are served are not disturbed, those who come are told or served at once.
            before.send(GET)
            assert before.answer().status == 200
            assert asked(plane, authority) in (200, 503)
            until(lambda: asked(plane, authority) == 200, "the next one is served")
            for _ in range(20):
                assert asked(plane, authority) == 200
                assert crowd.served <= 100
            before.send(GET)
            assert before.answer().status == 200
            # Whoever made room was closed, and visibly so.
            with contextlib.suppress(ConnectionError):
                assert flood[0].recv(10) == b""
        until(lambda: crowd.sockets == 1, "nothing is left of them")


@LOOPS
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "begun"])
def test_a_handshake_has_its_time(tls: ListenTls, sent: bytes, plain_asyncio: bool) -> None:
    """Whatever was sent of it: then the socket is closed, and counts no more."""
    limits = with_limits(header_timeout=0.1)
    with (
        RawUpstream() as upstream,
        data_plane(
            upstream.port, listen_tls=tls, limits=limits, plain_asyncio=plain_asyncio
        ) as plane,
        hanging(plane, 5, sent) as sockets,
    ):
        for sock in sockets:
            with contextlib.suppress(ConnectionError):
                assert sock.recv(10) == b""
        until(lambda: plane.proxy.connections == 0, "their places are free")
        assert plane.proxy.turned_away["handshake"] == 5


@LOOPS
def test_a_handshake_that_fails_frees_its_place(
    authority: Authority, tls: ListenTls, plain_asyncio: bool
) -> None:
    """Plain text, nonsense, or a client that leaves: none of them stays counted."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
    ):
        for sent in (GET, b"\x16\x03\x01\x00\x05hello", b""):
            with hanging(plane, 1, sent) as (sock,):
                if sent:
                    with contextlib.suppress(ConnectionError):
                        while sock.recv(100):
                            pass
        until(lambda: plane.proxy.turned_away["handshake"] == 3, "all have failed")
        assert plane.proxy.connections == 0
        assert asked(plane, authority) == 200


@LOOPS
def test_a_gate_that_stops_waits_for_no_handshake(tls: ListenTls, plain_asyncio: bool) -> None:
    """Nobody who shakes hands has asked for anything yet."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
        hanging(plane, 3) as sockets,
    ):
        until(lambda: plane.proxy.connections == 3, "they are there")
        before = time.monotonic()
        assert plane.run(plane.proxy.drain(5.0))
        assert time.monotonic() - before < 2.0
        for sock in sockets:
            with contextlib.suppress(ConnectionError):
                assert sock.recv(10) == b""


@LOOPS
def test_one_address_gets_no_more_than_its_share(plain_asyncio: bool) -> None:
    """503 and the end for one more, until one of them has left; a reload changes the share."""
    limits = with_limits(per_client=2)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=limits, plain_asyncio=plain_asyncio) as plane,
    ):
        with plane.client() as one, plane.client() as two, plane.client() as three:
            for client, status in ((one, 200), (two, 200), (three, 503)):
                client.send(GET)
                answer = client.answer()
                assert answer.status == status
            assert answer.header("Retry-After") == "1"
            assert answer.header("Connection") == "close"
            assert three.is_closed()
            three.sock.close()
            assert plane.proxy.turned_away["connections_per_client"] == 1

            settings = plane.proxy.settings
            more = dataclasses.replace(settings, limits=with_limits(per_client=3))
            plane.call(lambda: plane.proxy.reconfigure(more))
            until(lambda: plane.proxy.connections == 2, "the third has left")
            with plane.client() as client:
                client.send(GET)
                assert client.answer().status == 200
            plane.call(lambda: plane.proxy.reconfigure(settings))
        until(lambda: plane.proxy.connections == 0, "all have left")
        with plane.client() as client:
            client.send(GET)
            assert client.answer().status == 200


def test_a_share_holds_over_tls_too(authority: Authority, tls: ListenTls) -> None:
    """The answer goes through the handshake, or nobody could read it."""
    limits = with_limits(per_client=1)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, limits=limits) as plane,
        over_tls(plane, authority) as one,
    ):
        one.send(GET)
        assert one.answer().status == 200
        assert asked(plane, authority) == 503


def test_a_trusted_proxy_is_not_one_client() -> None:
    """It carries the connections of many."""
    listener = {"trusted_proxies": TrustedProxies(["127.0.0.1"])}
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(per_client=1), listener=listener) as plane,
        plane.client() as one,
        plane.client() as two,
    ):
        for client in (one, two):
            client.send(GET)
            assert client.answer().status == 200


@LOOPS
def test_a_gate_without_descriptors_accepts_again_once_it_has_some(
    authority: Authority, tls: ListenTls, plain_asyncio: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """It neither dies nor spins meanwhile; who is connected goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    context = ssl.create_default_context(cafile=authority.cert)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
        over_tls(plane, authority) as before,
        socket.socket() as raw,
    ):
        before.send(GET)
        assert before.answer().status == 200
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            raw.settimeout(5)
            raw.connect(("127.0.0.1", plane.port))
            until(lambda: plane.proxy._plane.arrivals._retry is not None, "it has paused")
            before.send(GET)
            assert before.answer().status == 200
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with Client(context.wrap_socket(raw, server_hostname="gate.test")) as client:
            client.send(GET)
            assert client.answer().status == 200
    assert "accepting_failed" in capsys.readouterr().out
