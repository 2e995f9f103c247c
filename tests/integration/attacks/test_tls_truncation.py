"""Whoever cuts the wire behind a TLS upstream cannot make half an answer pass for a whole one."""

import contextlib
import ssl
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.data_plane import data_plane
from tests.support.raw_http import Peer, RawUpstream, until
from tests.support.readers import answer_by_h11

from passgate.proxy.settings import UpstreamTls

ANSWER = b"HTTP/1.1 200 OK\r\n\r\nhalf"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def upstream_that_ends(context: ssl.SSLContext, *, orderly: bool) -> RawUpstream:
    """An upstream whose answer ends with its connection, with or without TLS saying so."""

    def script(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            peer.sock = context.wrap_socket(peer.sock, server_side=True)
            peer.request()
            peer.send(ANSWER)
            if orderly:
                peer.sock.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket here

    return RawUpstream(script)


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("orderly", [True, False], ids=["close_notify", "cut"])
def test_end_of_a_close_delimited_answer(
    authority: Authority, tmp_path: Path, orderly: bool, version: bytes, plain_asyncio: bool
) -> None:
    """RFC 9112 section 9.8: without close_notify such an answer is incomplete, and seen as such."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("upstream", ("upstream.test",)))
    tls = UpstreamTls(authority.cert, server_name="upstream.test")
    with (
        upstream_that_ends(context, orderly=orderly) as upstream,
        data_plane(upstream.port, secure=True, tls=tls, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        client.send(b"GET /x HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % version)
        raw, reset = client.until_end()
        _, answer = answer_by_h11(raw, "GET", ended=not reset)
        until(lambda: plane.gate.outcomes, "it is on record")

        assert answer.body == b"half"
        assert (answer.whole and not reset) is orderly
        outcome = "completed" if orderly else "upstream_failed"
        assert [each.outcome for each in plane.gate.outcomes] == [outcome]
