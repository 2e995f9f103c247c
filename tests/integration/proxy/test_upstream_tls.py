"""An upstream that cannot prove who it is gets nothing, and the journal says what it lacked."""

import datetime as dt
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.certificates import Authority
from tests.support.data_plane import data_plane
from tests.support.raw_http import OK, Client, Peer, RawUpstream, until
from tests.support.running_gate import eventually, running_gate
from tests.support.upstreams import at, tls_upstream

from passgate.proxy.settings import Endpoint, UpstreamHealth, UpstreamTls

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
EXPIRED = dt.timedelta(minutes=-30)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def server(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def status(client: Client) -> int:
    client.send(GET)
    return client.answer().status


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("another name", "its certificate is refused: Hostname mismatch"),
        ("no name at all", "its certificate is refused: Hostname mismatch"),
        ("expired", "its certificate is refused: certificate has expired"),
        ("self-signed", "its certificate is refused: self-signed certificate"),
        ("another authority", "its certificate is refused: unable to get local issuer"),
        ("TLS 1.0", "TLS failed: "),
        ("no TLS", "TLS failed: "),
        ("cut handshake", ""),
    ],
)
def test_what_cannot_be_verified_is_unreachable(
    authority: Authority, tmp_path: Path, case: str, reason: str, plain_asyncio: bool
) -> None:
    """502 before a byte of the request is sent; the reason is told, without what a peer wrote."""
    hosts = {"another name": ("other.test",), "no name at all": ()}.get(case, ("upstream.test",))
    lifetime = EXPIRED if case == "expired" else dt.timedelta(days=1)
    signer, ca = authority, authority.cert
    if case == "another authority":
        signer = Authority(tmp_path, "other")
    context = server(*signer.issue("upstream", hosts, lifetime=lifetime))
    if case == "self-signed":
        lonely = Authority(tmp_path, "lonely")
        context = server(lonely.cert, lonely.write_key())
    if case == "TLS 1.0":
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1
    tls = UpstreamTls(ca, server_name="upstream.test")
    with (
        tls_upstream(context) as (upstream, _),
        capture_logs() as logs,
        data_plane(upstream.port, secure=True, tls=tls, plain_asyncio=plain_asyncio) as plane,
        plane.client() as client,
    ):
        if case == "no TLS":
            upstream.script = lambda peer: peer.receive() and peer.send(OK)  # type: ignore[assignment,func-returns-value]  # a script's result is not looked at
        elif case == "cut handshake":
            upstream.script = lambda peer: peer.receive() and None
        assert status(client) == 502
        assert plane.gate.failed == [("upstream_unreachable", False)]
        assert b"HTTP/1.1" not in upstream.received
        (address,) = plane.proxy.upstream_addresses
        assert address.error.startswith(reason)
        assert address.error
        assert plane.proxy.upstream_tally.failures["connect"] == 1
        assert plane.proxy.upstream_connections == 0
    assert [(line["event"], line["error"]) for line in logs] == [
        ("upstream_failing", address.error)
    ]


@pytest.mark.parametrize("plain_asyncio", [False, True], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("what", ["says nothing", "trickles"])
def test_a_handshake_has_the_time_to_connect(
    authority: Authority, what: str, plain_asyncio: bool
) -> None:
    """Accepting is not enough, nor is a byte now and then: 502, and the socket is closed."""

    def script(peer: Peer) -> None:
        # A record that announces a ServerHello of nearly 16 KiB, and never comes to its end.
        begun = iter(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while what == "trickles" and not peer.seen.end:
            peer.send(bytes([next(begun, 0)]))
            peer.pause(0.02)
        peer.rest()

    tls = UpstreamTls(authority.cert, server_name="upstream.test")
    with (
        RawUpstream(script) as upstream,
        data_plane(
            upstream.port, secure=True, tls=tls, connect_timeout=0.2, plain_asyncio=plain_asyncio
        ) as plane,
        plane.client() as client,
    ):
        assert status(client) == 502
        (address,) = plane.proxy.upstream_addresses
        assert address.error == "no connection within 0.2 s"
        until(lambda: upstream.seen[0].end, "the socket is closed")
        assert plane.proxy.upstream_connections == 0


def test_the_next_address_must_prove_itself_as_well(authority: Authority) -> None:
    """A forger beside the real one gets no request, only the real one does."""
    real = server(*authority.issue("real", ("upstream.test",)))
    forged = server(*authority.issue("forged", ("forger.test",)))
    tls = UpstreamTls(authority.cert, server_name="upstream.test")
    with (
        tls_upstream(forged) as (bad, _),
        tls_upstream(real) as (good, _),
        data_plane(at(bad.port, good.port), secure=True, tls=tls) as plane,
        plane.client() as client,
    ):
        assert [status(client) for _ in range(6)] == [200] * 6
        assert bad.received == b""
        assert len(good.whole_requests) == 6


def test_each_name_is_asked_for_and_verified_by_itself(authority: Authority) -> None:
    """Without `server_name` it is the host of the URL that counts, whatever it resolves to."""
    one = server(*authority.issue("one", ("one.test",)))
    two = server(*authority.issue("two", ("two.test",)))

    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with tls_upstream(one) as (first, first_names), tls_upstream(two) as (second, second_names):
        endpoints = (Endpoint("one.test", first.port), Endpoint("two.test", second.port))
        with (
            data_plane(
                endpoints,
                secure=True,
                tls=UpstreamTls(authority.cert),
                balance="round_robin",
                resolve=resolve,
            ) as plane,
            plane.client() as client,
        ):
            assert [status(client) for _ in range(4)] == [200] * 4
    assert (first_names, second_names) == (["one.test"], ["two.test"])


def test_an_upstream_that_misses_our_certificate_answers_nothing(authority: Authority) -> None:
    """TLS 1.3 tells it after the handshake: 502, never a hang, and the reason is in the journal."""
    context = server(*authority.issue("strict", ("upstream.test",)))
    context.load_verify_locations(authority.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = UpstreamTls(authority.cert, server_name="upstream.test")
    with (
        tls_upstream(context) as (upstream, _),
        data_plane(upstream.port, secure=True, tls=tls) as plane,
        plane.client() as client,
    ):
        assert status(client) == 502
        assert upstream.received == b""
        (address,) = plane.proxy.upstream_addresses
        assert "TLS" in address.error


def test_a_renewed_authority_and_certificate_are_taken_over(tmp_path: Path) -> None:
    """The same file names with another content: after a reload new connections are made by it."""
    before, after = (
        Authority(tmp_path / name, "ca") for name in ("before", "after") if _made(tmp_path / name)
    )
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "gate.pem", "gate.key"))

    def install(authority: Authority) -> None:
        for source, target in zip(
            (authority.cert, *authority.issue("gate-client")), (ca, cert, key), strict=True
        ):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)

    install(before)
    contexts = [server(*each.issue("upstream", ("127.0.0.1",))) for each in (before, after)]
    for context, each in zip(contexts, (before, after), strict=True):
        context.load_verify_locations(each.cert)
        context.verify_mode = ssl.CERT_REQUIRED
    with tls_upstream(contexts[0]) as (old, _), tls_upstream(contexts[1]) as (new, _):
        config = {
            "upstream": {
                "url": None,
                "urls": [f"https://127.0.0.1:{old.port}", f"https://127.0.0.1:{new.port}"],
                "balance": "round_robin",
                "tls": {"ca": str(ca), "cert": str(cert), "key": str(key)},
            },
            "anonymous": {"enabled": True, "allowed_actions": ["public"],
                          "rate_limit_per_minute": 1000, "rate_limit_per_hour": 1000},
        }  # fmt: skip
        with running_gate(tmp_path, "", config=config) as gate:

            def served(count: int) -> bool:
                return all(gate.request("GET", "/public/x").status == 200 for _ in range(count))

            assert served(4)
            assert (bool(old.whole_requests), bool(new.whole_requests)) == (True, False)
            seen = len(old.whole_requests)
            install(after)
            assert gate.admin("POST", "/api/reload", "the-operator's-secret").status == 200
            eventually(lambda: served(1) and new.whole_requests)
            assert served(4)
            assert len(old.whole_requests) == seen


def _made(directory: Path) -> bool:
    directory.mkdir()
    return True


def test_tls_failures_put_an_address_out_like_any_other(authority: Authority) -> None:
    """Handshakes cost both sides a lot: what cannot prove itself is asked rarely."""
    forged = server(*authority.issue("forged", ("forger.test",)))
    tls = UpstreamTls(authority.cert, server_name="upstream.test")
    health = UpstreamHealth(failures=2, ejection=600, max_ejection=600)
    context = server(*authority.issue("real", ("upstream.test",)))
    with (
        tls_upstream(forged) as (bad, asked),
        tls_upstream(context) as (good, _),
        data_plane(at(bad.port, good.port), secure=True, tls=tls, health=health) as plane,
        plane.client() as client,
    ):
        assert [status(client) for _ in range(10)] == [200] * 10
        assert len(asked) == 2
