"""HTTP/2 to an upstream within TLS: chosen by ALPN, or not spoken at all."""

import ssl

import pytest
from structlog.testing import capture_logs
from tests.support.certificates import Authority
from tests.support.data_plane import data_plane
from tests.support.http2_upstream import (
    Conversation,
    Http2Peer,
    answering,
)
from tests.support.raw_http import Peer, RawUpstream

from passgate.proxy.settings import UpstreamTls

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def server(authority: Authority, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("api", ("127.0.0.1",)))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_over_tls_the_upstream_chooses_http2(authority: Authority, plain_asyncio: bool) -> None:
    """By ALPN (RFC 9113 section 3.2); the scheme is https, and the connection is kept."""
    context = server(authority, "http/1.1", "h2")
    seen = Conversation()

    def script(peer: Peer) -> None:
        seen.connections += 1
        try:
            with context.wrap_socket(peer.sock, server_side=True) as sock:
                answering()(Http2Peer(sock, seen).start())
        except OSError:
            return

    with (
        RawUpstream(script) as upstream,
        data_plane(
            upstream.port,
            http2=True,
            secure=True,
            tls=UpstreamTls(ca=authority.cert),
            plain_asyncio=plain_asyncio,
        ) as plane,
        plane.client() as client,
    ):
        for _ in range(2):
            client.send(POST)
            assert client.answer().body == b"ok"
    assert [asked.fields[":scheme"] for asked in seen.requests] == ["https", "https"]
    assert seen.connections == 1


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]], ids=["no ALPN", "HTTP/1.1 alone"])
def test_over_tls_nothing_but_http2_is_spoken(authority: Authority, protocols: list[str]) -> None:
    """A server that does not choose it is unreachable, gets nothing, and the journal says why."""
    context = server(authority, *protocols)

    def script(peer: Peer) -> None:
        try:
            peer.sock = context.wrap_socket(peer.sock, server_side=True)
        except OSError:
            return
        peer.rest()

    with (
        capture_logs() as journal,
        RawUpstream(script) as upstream,
        data_plane(
            upstream.port, http2=True, secure=True, tls=UpstreamTls(ca=authority.cert)
        ) as plane,
        plane.client() as client,
    ):
        client.send(POST)
        assert client.answer().body == b"upstream_unreachable"
    assert plane.gate.failed == [("upstream_unreachable", False)]
    assert not upstream.received
    assert "HTTP/2" in str(journal) or "alert" in str(journal).lower()
