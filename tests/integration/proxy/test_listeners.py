"""Where the data plane listens and whom it calls: TCP, Unix sockets, TLS on either side."""

import asyncio
import contextlib
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.allow_all import AllowAll
from tests.support.certificates import Authority
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import Client, Peer, RawUpstream, answering, until
from tests.support.upstreams import tls_upstream

from passgate.proxy.settings import (
    Endpoint,
    ListenTls,
    ProxySettings,
    UpstreamSettings,
    UpstreamTls,
)

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def over_tls(plane: DataPlane, context: ssl.SSLContext) -> Iterator[Client]:
    raw = socket.create_connection(("127.0.0.1", plane.port), 5)
    with Client(context.wrap_socket(raw, server_hostname="gate.test")) as client:
        yield client


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_tls_listener(authority: Authority, plain_asyncio: bool) -> None:
    """Requests over TLS are judged as such; HTTP/1.1 is what is agreed on."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    with (
        RawUpstream(answering(long)) as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
        over_tls(plane, trusting(authority)) as client,
    ):
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        for _ in range(2):
            client.send(GET)
            assert len(client.answer().body) == 1_000_000
        client.send(b"GET /x HTTP/1.1\r\nHost : a\r\n\r\n")
        assert client.answer().status == 400
        assert client.is_closed()
        assert plane.gate.judged[0].tls is True
        assert plane.gate.judged[0].peer == "127.0.0.1"


def test_tls_listener_refuses_old_versions_and_plain_text(authority: Authority) -> None:
    """TLS 1.1 and plain HTTP get no answer on a TLS listener."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    old = trusting(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        with pytest.raises(ssl.SSLError), over_tls(plane, old):
            pass
        with plane.client() as client:
            client.send(GET)
            assert b"HTTP/" not in client.everything()
        assert plane.gate.judged == []


def test_client_certificates(authority: Authority, tmp_path: Path) -> None:
    """With `client_ca`, a client without a certificate from it reaches nothing."""
    cert, key = authority.issue("gate", ("gate.test",))
    tls = ListenTls(cert, key, authority.cert)
    known, stranger = trusting(authority), trusting(authority)
    known.load_cert_chain(*authority.issue("client"))
    stranger.load_cert_chain(*Authority(tmp_path, "other").issue("client"))
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        with over_tls(plane, known) as client:
            client.send(GET)
            assert client.answer().status == 200
        for context in (trusting(authority), stranger):
            # In TLS 1.3 the refusal arrives only after the client's side is done.
            with contextlib.suppress(OSError), over_tls(plane, context) as client:
                client.send(GET)
                assert client.everything() == b""
        assert len(plane.gate.judged) == 1


def test_tls_upstream(authority: Authority) -> None:
    """The upstream's name is asked for and verified, and the gate shows its own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("upstream", ("upstream.test",)))
    context.load_verify_locations(authority.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    cert, key = authority.issue("gate-client")
    tls = UpstreamTls(authority.cert, cert, key, "upstream.test")
    with (
        tls_upstream(context) as (upstream, names),
        data_plane(upstream.port, secure=True, tls=tls) as plane,
        plane.client() as client,
    ):
        for _ in range(2):
            client.send(GET)
            assert client.answer().body == b"ok"
        assert names == ["upstream.test"]


@pytest.mark.parametrize("case", ["another name", "another authority", "no ca given"])
def test_unverified_upstream_gets_nothing(authority: Authority, case: str, tmp_path: Path) -> None:
    """An upstream that cannot prove its name is unreachable: not one byte is sent to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer = Authority(tmp_path, "other") if case == "another authority" else authority
    host = "other.test" if case == "another name" else "upstream.test"
    context.load_cert_chain(*signer.issue("upstream", (host,)))
    ca = None if case == "no ca given" else authority.cert
    tls = UpstreamTls(ca, server_name="upstream.test")
    with (
        tls_upstream(context) as (upstream, _),
        data_plane(upstream.port, secure=True, tls=tls) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        answer = client.answer()
        assert (answer.status, answer.body) == (502, b"upstream_unreachable")
        assert upstream.received == b""


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    """The gate listens on a socket file of the right mode, calls one, and leaves none behind."""
    below = tmp_path / "upstream.sock"
    above = tmp_path / "gate.sock"
    with (
        RawUpstream() as inner,
        data_plane(inner.port, listen=Endpoint(path=below)) as lower,
        data_plane(Endpoint(path=below), listen=Endpoint(path=above)) as upper,
    ):
        assert stat.S_IMODE(above.stat().st_mode) == 0o660
        assert str(upper.proxy.addresses[0]) == f"unix:{above}"
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(above))
        with Client(raw) as client:
            for _ in range(2):
                client.send(GET)
                assert client.answer().body == b"ok"
        assert upper.gate.judged[0].peer == lower.gate.judged[0].peer == "unix"
    assert list(tmp_path.iterdir()) == []


def test_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    """The file of a gate that was killed does not keep the next one from starting."""
    path = tmp_path / "gate.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with RawUpstream() as upstream, data_plane(upstream.port, listen=Endpoint(path=path)):
        assert path.is_socket()


def test_occupied_paths_are_not_taken(tmp_path: Path) -> None:
    """Neither a living listener's socket file nor any other file is removed."""
    path = tmp_path / "gate.sock"
    plain = tmp_path / "notes.txt"
    plain.write_text("mine")
    with RawUpstream() as upstream, data_plane(upstream.port, listen=Endpoint(path=path)):
        for taken in (path, plain):
            with (
                pytest.raises(OSError, match=r"in use|not a socket"),
                data_plane(upstream.port, listen=Endpoint(path=taken)),
            ):
                pass
        assert path.is_socket()
    assert plain.read_text() == "mine"


def test_socket_file_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    """A gate that stops removes its own socket file and no other."""
    path = tmp_path / "gate.sock"
    with RawUpstream() as upstream, data_plane(upstream.port, listen=Endpoint(path=path)):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
    assert path.is_socket()
    successor.close()


def test_occupied_port_is_an_error() -> None:
    """A port that another program has is an error at start."""
    with RawUpstream() as upstream:
        listen = Endpoint("127.0.0.1", upstream.port)
        with pytest.raises(OSError), data_plane(upstream.port, listen=listen):  # noqa: PT011 - the kernel's words
            pass


def test_missing_certificate_is_an_error(tmp_path: Path) -> None:
    """A certificate file that cannot be read is an error at start, before anything listens."""
    tls = ListenTls(tmp_path / "no.pem", tmp_path / "no.key")

    async def start() -> None:
        from passgate.proxy.listener import Proxy

        settings = ProxySettings(
            Endpoint("127.0.0.1", 0), UpstreamSettings((Endpoint("127.0.0.1", 1),)), listen_tls=tls
        )
        await Proxy(settings, AllowAll()).start()

    with pytest.raises(FileNotFoundError):
        asyncio.run(start())


def test_ipv6_listener() -> None:
    """An IPv6 address is listened on and named in brackets."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    probe.close()
    with RawUpstream() as upstream, data_plane(upstream.port, listen=Endpoint("::1", 0)) as plane:
        assert str(plane.proxy.addresses[0]).startswith("[::1]:")
        with Client(socket.create_connection(("::1", plane.port), 5)) as client:
            client.send(GET)
            assert client.answer().status == 200
        assert plane.gate.judged[0].peer == "::1"


def test_revoked_tls_client_stream_ends(authority: Authority) -> None:
    """A tunnel over TLS is cut like any other."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        while data := peer.sock.recv(100):
            peer.send(data)

    with RawUpstream(script) as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        with over_tls(plane, trusting(authority)) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            assert client.answer().status == 101
            client.send(b"hello")
            assert client.take(5) == b"hello"
            plane.gate.allowed = False
            with contextlib.suppress(OSError):
                assert client.everything() == b""
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "cut"
