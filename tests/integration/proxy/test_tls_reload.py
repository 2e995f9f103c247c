"""Certificates of the listener change under load: new handshakes are by the new files alone."""

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import OK, Client, Peer, RawUpstream, answering

from passgate.proxy.settings import ListenTls, UpstreamTls
from passgate.watch import stamps

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"]
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.cert)


@contextlib.contextmanager
def over_tls(
    plane: DataPlane, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Iterator[Client]:
    raw = socket.create_connection(("127.0.0.1", plane.port), 5)
    with Client(context.wrap_socket(raw, server_hostname="gate.test", session=session)) as client:
        yield client


def shown(client: Client) -> str:
    """The common name in the certificate that the gate showed."""
    assert isinstance(client.sock, ssl.SSLSocket)
    found = client.sock.getpeercert()
    assert found is not None
    return str(found["subject"][0][0][1])  # type: ignore[index]  # typeshed knows no subject


def asks(client: Client) -> int:
    client.send(GET)
    return client.answer().status


def turned_away(plane: DataPlane, context: ssl.SSLContext, session: object = None) -> bool:
    """Whether such a client gets no answer; in TLS 1.3 its own side may believe that it is in."""
    judged = len(plane.gate.judged)
    with contextlib.suppress(OSError), over_tls(plane, context, session) as client:  # type: ignore[arg-type]  # an SSLSession
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.everything()
    return len(plane.gate.judged) == judged


def take_over(plane: DataPlane, tls: ListenTls) -> None:
    """The same files with what they hold now, or others."""
    tls = dataclasses.replace(tls, stamps=stamps((tls.cert, tls.key, tls.client_ca)))
    settings = dataclasses.replace(plane.proxy.settings, listen_tls=tls)
    plane.call(lambda: plane.proxy.reconfigure(settings))


@LOOPS
def test_new_handshakes_get_the_new_certificate(
    authority: Authority, tmp_path: Path, plain_asyncio: bool
) -> None:
    """The same file with another certificate: who is connected stays, who comes sees it."""
    tls = ListenTls(*authority.issue("old", ("gate.test",)))
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
        over_tls(plane, trusting(authority)) as before,
    ):
        assert (asks(before), shown(before)) == (200, "old")
        for file, new in zip(
            (tls.cert, tls.key), authority.issue("new", ("gate.test",)), strict=True
        ):
            new.replace(file)
        take_over(plane, tls)
        with over_tls(plane, trusting(authority)) as after:
            assert (asks(after), shown(after)) == (200, "new")
            assert asks(before) == 200
        take_over(plane, tls)
        assert asks(before) == 200


@pytest.mark.parametrize("broken", ["cut short", "another key", "gone"])
def test_a_broken_file_leaves_the_old_certificate_in_force(
    authority: Authority, broken: str
) -> None:
    """Whatever is wrong with the new files is an error, and nothing has changed."""
    tls = ListenTls(*authority.issue("old", ("gate.test",)))
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        whole = tls.cert.read_bytes()
        if broken == "cut short":
            tls.cert.write_bytes(whole[: len(whole) // 2])
        elif broken == "another key":
            authority.issue("new", ("gate.test",))[1].replace(tls.key)
        else:
            tls.key.unlink()
        for _ in range(2):
            with pytest.raises(OSError):  # noqa: PT011 - OpenSSL's words
                take_over(plane, tls)
            with over_tls(plane, trusting(authority)) as client:
                assert (asks(client), shown(client)) == (200, "old")


def test_tls_cannot_be_turned_off_without_a_restart(authority: Authority) -> None:
    """Those who connect over TLS must not find a gate that speaks in the clear."""
    tls = ListenTls(*authority.issue("old", ("gate.test",)))
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        clear = dataclasses.replace(plane.proxy.settings, listen_tls=None)
        with pytest.raises(ValueError, match="restart"):
            plane.call(lambda: plane.proxy.reconfigure(clear))
        with over_tls(plane, trusting(authority)) as client:
            assert asks(client) == 200


@LOOPS
@VERSIONS
def test_a_replaced_client_ca_ends_what_the_old_one_allowed(
    authority: Authority, tmp_path: Path, plain_asyncio: bool, version: ssl.TLSVersion
) -> None:
    """Not even a session from before, resumed, gets in by a certificate that no longer counts."""
    (tmp_path / "new").mkdir()
    successor = Authority(tmp_path / "new", "successor")
    tls = ListenTls(*authority.issue("gate", ("gate.test",)), client_ca=authority.cert)
    old, new = trusting(authority), trusting(authority)
    old.load_cert_chain(*authority.issue("client"))
    new.load_cert_chain(*successor.issue("client"))
    old.maximum_version = new.maximum_version = version
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls, plain_asyncio=plain_asyncio) as plane,
    ):
        with over_tls(plane, old) as before:
            assert asks(before) == 200
            assert isinstance(before.sock, ssl.SSLSocket)
            session = before.sock.session
            with over_tls(plane, old, session) as resumed:
                assert asks(resumed) == 200
                assert isinstance(resumed.sock, ssl.SSLSocket)
                assert resumed.sock.session_reused
            assert turned_away(plane, new)

            take_over(plane, dataclasses.replace(tls, client_ca=successor.cert))

            assert turned_away(plane, old, session)
            assert turned_away(plane, old)
            with over_tls(plane, new) as client:
                assert asks(client) == 200
            assert asks(before) == 200
        names = {wire.client_certificate for wire in plane.gate.judged}
        assert names == {"CN=client"}


def test_client_certificates_come_and_go(authority: Authority) -> None:
    """What a reload says of client certificates holds for the next handshake, each way."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    bare = trusting(authority)
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        for change, admitted in (
            ({}, True),
            ({"client_ca": authority.cert}, False),
            ({"client_ca": authority.cert, "client_optional": True}, True),
            ({"client_ca": authority.cert}, False),
            ({}, True),
        ):
            take_over(plane, dataclasses.replace(tls, **change))  # type: ignore[arg-type]  # two kinds of value
            assert turned_away(plane, bare) is not admitted


def test_the_certificate_of_a_client_is_named_once_it_is_verified(
    authority: Authority, tmp_path: Path
) -> None:
    """Optional: none is no name, a verified one goes with each request, a foreign one is out."""
    (tmp_path / "other").mkdir()
    cert, key = authority.issue("gate", ("gate.test",))
    tls = ListenTls(cert, key, authority.cert, client_optional=True)
    bare, named, stranger = (trusting(authority) for _ in range(3))
    named.load_cert_chain(*authority.issue("agent", uris=("spiffe://example.org/agent/7",)))
    stranger.load_cert_chain(*Authority(tmp_path / "other", "other").issue("agent"))
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        for context in (bare, named):
            with over_tls(plane, context) as client:
                assert asks(client) == asks(client) == 200
        assert turned_away(plane, stranger)
        names = [wire.client_certificate for wire in plane.gate.judged]
        assert names == ["", "", "spiffe://example.org/agent/7", "spiffe://example.org/agent/7"]


def test_without_a_client_ca_no_certificate_is_asked_for(authority: Authority) -> None:
    """What nobody verifies has no name."""
    tls = ListenTls(*authority.issue("gate", ("gate.test",)))
    offering = trusting(authority)
    offering.load_cert_chain(*authority.issue("agent"))
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, listen_tls=tls) as plane,
        over_tls(plane, offering) as client,
    ):
        assert asks(client) == 200
        assert plane.gate.judged[0].client_certificate == ""


@LOOPS
def test_the_upstream_sees_a_renewed_certificate(
    authority: Authority, tmp_path: Path, plain_asyncio: bool
) -> None:
    """The same files with another content: the next connection shows the new one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("api", ("api.test",)))
    context.load_verify_locations(authority.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    names = []

    def script(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            secured = context.wrap_socket(peer.sock, server_side=True)
            peer.sock = secured
            names.append(secured.getpeercert()["subject"][0][0][1])  # type: ignore[index]  # typeshed knows no subject
            answering(OK)(peer)

    cert, key = authority.issue("old")
    tls = UpstreamTls(authority.cert, cert, key, "api.test")
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, secure=True, tls=tls, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        assert [asks(client), asks(client)] == [200, 200]
        for file, new in zip((cert, key), authority.issue("new"), strict=True):
            new.replace(file)
        settings = plane.proxy.settings
        changed = dataclasses.replace(tls, stamps=stamps((tls.ca, tls.cert, tls.key)))
        settings = dataclasses.replace(
            settings, upstream=dataclasses.replace(settings.upstream, tls=changed)
        )
        plane.call(lambda: plane.proxy.reconfigure(settings))
        assert asks(client) == 200
        assert names == ["old", "new"]


def test_old_certificates_are_told(authority: Authority, tmp_path: Path) -> None:
    """How long the gate's certificates hold is known, and known anew after a reload."""
    import datetime as dt

    tls = ListenTls(*authority.issue("old", ("gate.test",), lifetime=dt.timedelta(hours=-0.5)))
    with RawUpstream() as upstream, data_plane(upstream.port, listen_tls=tls) as plane:
        old = plane.proxy.validities["listen"]
        assert old.ends_at - old.begins_at == pytest.approx(1800, abs=2)
        take_over(plane, ListenTls(*authority.issue("new", ("gate.test",))))
        assert plane.proxy.validities["listen"].ends_at > old.ends_at
