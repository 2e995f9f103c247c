"""OpenID issuers and did:web over real sockets: two documents, one origin, the same limits."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.awaiting import eventually

from passgate.core.discovery import MAX_DISCOVERY_BYTES
from passgate.core.jwks import parse_jwks
from passgate.errors import SourceError
from passgate.sync.did_source import DidSource
from passgate.sync.keeper import Keeper
from passgate.sync.oidc_source import OidcSource
from passgate.sync.settings import IssuerSettings
from passgate.sync.sources import Fetched, NotModified, Source
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
[JWK] = LAB.jwks["keys"]
DISCOVERY = "/.well-known/openid-configuration"

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """A server of pages by their path; `seen` are the paths asked for, with the ETags sent."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.origin = ""

    def has(
        self, path: str, document: Any, etag: str | None = None, kind: str = "application/json"
    ) -> None:
        """From now on `path` is `document`, bytes or to become JSON, confirmed by its ETag."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()

        async def page(request: web.Request) -> web.StreamResponse:
            if etag is not None and request.headers.get("If-None-Match") == etag:
                return web.Response(status=304)
            headers = {"Content-Type": kind} | ({} if etag is None else {"ETag": etag})
            return web.Response(body=body, headers=headers)

        self.pages[path] = page

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        self.seen.append((request.path, request.headers.get("If-None-Match")))
        page = self.pages.get(request.path)
        return web.Response(status=404) if page is None else await page(request)  # type: ignore[arg-type]  # a plain server's requests have all that pages ask for


@asynccontextmanager
async def site(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """A site on a free loopback port."""
    made = Site()
    runner = web.ServerRunner(web.Server(made.answer), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        made.origin = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


@asynccontextmanager
async def provider(**options: Any) -> AsyncIterator[tuple[Site, OidcSource]]:
    """An OpenID issuer with one key, and its source."""
    async with site() as made:
        made.has(DISCOVERY, {"issuer": made.origin, "jwks_uri": f"{made.origin}/keys"})
        made.has("/keys", LAB.jwks)
        source = OidcSource(f"oidc:{made.origin}", **options)
        try:
            yield made, source
        finally:
            await source.close()


async def kids(source: Source) -> set[str]:
    """The names of the keys that the source gives."""
    answer = await source.read(None)
    assert isinstance(answer, Fetched)
    return set(parse_jwks(answer.body))


def test_an_openid_issuers_keys_are_found() -> None:
    """Both documents are asked for each time, and a key for encryption is no key to verify with."""

    async def scenario() -> None:
        async with provider() as (made, source):
            encrypting = {"kty": "RSA", "use": "enc", "kid": "e", "n": "AQ", "e": "AQAB"}
            made.has("/keys", {"keys": [encrypting, JWK]})
            assert await kids(source) == {JWK["kid"]}
            assert await kids(source) == {JWK["kid"]}
            assert [path for path, _ in made.seen] == [DISCOVERY, "/keys"] * 2

    asyncio.run(scenario())


def test_an_etag_confirms_the_keys_of_one_address_alone() -> None:
    """Keys that moved are read anew, whatever ETag they had where they were."""

    async def scenario() -> None:
        async with provider() as (made, source):
            made.has(DISCOVERY, {"issuer": made.origin, "jwks_uri": f"{made.origin}/keys"}, '"d"')
            made.has("/keys", LAB.jwks, '"1"')
            first = await source.read(None)
            assert isinstance(first, Fetched)
            assert await source.read(first.etag) == NotModified()
            assert made.seen[2:] == [(DISCOVERY, '"d"'), ("/keys", '"1"')]
            made.has(DISCOVERY, {"issuer": made.origin, "jwks_uri": f"{made.origin}/new"}, '"e"')
            made.has("/new", {"keys": []}, '"1"')
            moved = await source.read(first.etag)
            assert isinstance(moved, Fetched)
            assert parse_jwks(moved.body) == {}
            assert made.seen[-1] == ("/new", None)

    asyncio.run(scenario())


def test_keys_elsewhere_need_the_operators_word() -> None:
    """A document leads to another origin only where that was named."""

    async def scenario() -> None:
        async with site() as elsewhere, provider() as (made, source):
            elsewhere.has("/keys", LAB.jwks)
            made.has(DISCOVERY, {"issuer": made.origin, "jwks_uri": f"{elsewhere.origin}/keys"})
            with pytest.raises(SourceError, match="keys at another origin"):
                await source.read(None)
            assert elsewhere.seen == []
            told = OidcSource(f"oidc:{made.origin}", keys_origin=elsewhere.origin)
            assert await kids(told) == {JWK["kid"]}
            await told.close()

    asyncio.run(scenario())


def test_another_issuers_document_is_refused() -> None:
    """Also when it changes into one after it was right; what was read before is not asked for."""

    async def scenario() -> None:
        async with provider() as (made, source):
            assert await kids(source) == {JWK["kid"]}
            evil = {"issuer": "https://evil.example", "jwks_uri": f"{made.origin}/keys"}
            made.has(DISCOVERY, evil)
            with pytest.raises(SourceError, match="of another issuer"):
                await source.read(None)
            assert made.seen[-1][0] == DISCOVERY

    asyncio.run(scenario())


def redirect(_: web.Request) -> Awaitable[web.StreamResponse]:
    async def answer() -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/keys"})

    return answer()


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
@pytest.mark.parametrize(
    ("document", "kind", "sentence"),
    [
        (redirect, "", "redirect"),
        (None, "", "answered 404"),
        (b"{}", "text/html", "another content type"),
        (b" " * (2 << 20), "application/json", "larger than"),
    ],
)
def test_both_documents_obey_the_rules_of_sources(
    path: str, document: Any, kind: str, sentence: str
) -> None:
    """No redirect, no other status, type or size; the limit of the first document is small."""

    async def scenario() -> None:
        async with provider() as (made, source):
            if document is None:
                del made.pages[path]
            elif callable(document):
                made.pages[path] = document
            else:
                made.has(path, document, kind=kind)
            with pytest.raises(SourceError, match=sentence) as caught:
                await source.read(None)
            assert "\n" not in str(caught.value)

    asyncio.run(scenario())


def test_a_discovery_document_is_small() -> None:
    """64 KiB and one byte more is refused."""

    async def scenario() -> None:
        async with provider() as (made, source):
            document = {"issuer": made.origin, "jwks_uri": f"{made.origin}/keys"}
            body = json.dumps(document).encode()
            made.has(DISCOVERY, body + b" " * (MAX_DISCOVERY_BYTES - len(body)))
            assert await kids(source) == {JWK["kid"]}
            made.has(DISCOVERY, body + b" " * (MAX_DISCOVERY_BYTES - len(body) + 1))
            with pytest.raises(SourceError, match="larger than 65536 bytes"):
                await source.read(None)

    asyncio.run(scenario())


def test_a_key_set_that_never_comes_ends_in_time() -> None:
    """Both readings together take no longer than one may."""

    async def stall(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def scenario() -> None:
        async with provider(timeout_s=0.3) as (made, source):
            made.pages["/keys"] = stall
            with pytest.raises(SourceError, match=r"did not answer within 0\.3 s"):
                await source.read(None)

    asyncio.run(scenario())


def certificate(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for localhost, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "passgate test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    return context, ssl.create_default_context(cafile=str(cert))


@pytest.mark.parametrize(
    "kind", ["application/did+json", "application/did", "application/json; charset=utf-8"]
)
def test_a_did_web_is_read_over_tls(tmp_path: Path, kind: str) -> None:
    """Its document is where the name says, confirmed by its ETag, and only over TLS."""

    async def scenario() -> None:
        context, trusting = certificate(tmp_path)
        async with site(context) as made:
            port = made.origin.rpartition(":")[2]
            did = f"did:web:localhost%3A{port}:lab"
            method = {"id": "#1", "type": "JsonWebKey", "controller": did, "publicKeyJwk": JWK}
            document = {"id": did, "verificationMethod": [method], "assertionMethod": ["#1"]}
            made.has("/lab/did.json", document, '"1"', kind)
            source = DidSource(did, tls=trusting)
            answer = await source.read(None)
            assert isinstance(answer, Fetched)
            assert set(parse_jwks(answer.body)) == {JWK["kid"]}
            assert await source.read(answer.etag) == NotModified()
            made.has("/lab/did.json", {**document, "id": "did:web:evil.example"}, kind=kind)
            with pytest.raises(SourceError, match="of another `id`"):
                await source.read(answer.etag)
            made.has("/lab/did.json", document, kind="text/html")
            with pytest.raises(SourceError, match="another content type"):
                await source.read(None)
            await source.close()
            unknown = DidSource(did)
            with pytest.raises(SourceError, match="cannot be read"):
                await unknown.read(None)
            await unknown.close()

    asyncio.run(scenario())


def test_a_keeper_keeps_the_last_good_keys_of_an_openid_issuer(tmp_path: Path) -> None:
    """Learnt, kept while the document is another's, and taken up after a restart without it."""

    async def scenario() -> None:
        clock = ManualClock()

        def keeper(made: Site) -> Keeper:
            issuer = LAB.trusted(clock(), keys=None, revocations=None)
            settings = IssuerSettings(issuer, f"oidc:{made.origin}", None)
            return Keeper([settings], tmp_path / "trust", clock=clock, wait=clock.wait)

        async with site() as made:
            made.has(DISCOVERY, {"issuer": made.origin, "jwks_uri": f"{made.origin}/keys"})
            made.has("/keys", LAB.jwks)
            first = keeper(made)
            await first.start()
            await eventually(lambda: first.trust.issuers["iss_lab"].keys)
            made.has(DISCOVERY, {"issuer": "https://evil.example", "jwks_uri": "https://x.example"})

            async def failed() -> None:
                while not first.status()[0]["failures"]:
                    clock.advance(5)
                    await asyncio.sleep(0.005)

            await asyncio.wait_for(failed(), 20)
            assert "of another issuer" in first.status()[0]["error"]
            assert first.trust.issuers["iss_lab"].keys is not None
            await first.close()
        second = keeper(made)
        await second.start()
        keys = second.trust.issuers["iss_lab"].keys
        assert keys is not None
        assert set(keys.keys) == {JWK["kid"]}
        await second.close()

    asyncio.run(scenario())
