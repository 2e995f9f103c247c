"""Sources over HTTP against servers that lie, stall, redirect, and never end."""

import asyncio
import datetime as dt
import gzip
import ipaddress
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

from passgate.core.jwks import MAX_JWKS_BYTES, parse_jwks
from passgate.errors import SourceError
from passgate.sync.http_source import HttpSource
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.sync.sources import Fetched, NotModified
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
JWKS = json.dumps(LAB.jwks).encode()
TYPE = "application/jwk-set+json"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of `handler` on a free loopback port."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/jwks.json"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(
    answer: bytes, then: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
) -> AsyncIterator[str]:
    """The URL of a server that says `answer`, whatever it is asked, and goes on with `then`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if then is not None:
                await then(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the source has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"


async def read(
    url: str, etag: str | None = None, kind: Any = "keys", **options: Any
) -> Fetched | NotModified:
    source = HttpSource(url, kind, **options)
    try:
        return await source.read(etag)
    finally:
        await source.close()


def answering(**options: Any) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(**({"body": JWKS, "content_type": TYPE} | options))

    return handler


def refused(handler: Handler, sentence: str, **options: Any) -> None:
    async def scenario() -> None:
        async with served(handler) as url:
            with pytest.raises(SourceError, match=sentence) as caught:
                await read(url, **options)
            assert "\n" not in str(caught.value)

    asyncio.run(scenario())


def refused_raw(answer: bytes, sentence: str, **options: Any) -> None:
    async def scenario() -> None:
        async with raw(answer) as url:
            with pytest.raises(SourceError, match=sentence):
                await read(url, **options)

    asyncio.run(scenario())


def test_a_document_is_read_with_its_etag() -> None:
    async def scenario() -> None:
        async with served(answering(headers={"ETag": '"1"'})) as url:
            assert await read(url) == Fetched(JWKS, '"1"')

    asyncio.run(scenario())


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JWK-Set+JSON"])
def test_a_content_type_is_compared_as_such(given: str) -> None:
    async def scenario() -> None:
        async with served(answering(content_type=None, headers={"Content-Type": given})) as url:
            assert await read(url) == Fetched(JWKS, None)

    asyncio.run(scenario())


def test_what_was_asked_is_what_a_source_should_ask() -> None:
    async def scenario() -> None:
        seen: list[web.Request] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            seen.append(request)
            return web.Response(status=304)

        async with served(handler) as url:
            assert await read(url, '"1"') == NotModified()
        (request,) = seen
        assert request.method == "GET"
        assert request.headers["If-None-Match"] == '"1"'
        assert request.headers["Accept-Encoding"] == "identity"
        assert "application/jwk-set+json" in request.headers["Accept"]
        assert "Cookie" not in request.headers
        assert "Authorization" not in request.headers

    asyncio.run(scenario())


def test_not_modified_without_a_question_is_no_answer() -> None:
    refused(answering(status=304, body=None), "answered 304, expected 200")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_names_itself(status: int) -> None:
    refused(
        answering(status=status, headers={"Location": "/elsewhere"}),
        rf"answered with a redirect \({status}\), which is not followed; name the final address",
    )


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 404, 429, 500, 503])
def test_any_other_status_is_refused(status: int) -> None:
    refused(answering(status=status), f"answered {status}, expected 200")


@pytest.mark.parametrize(
    "given", ["text/html", "text/plain", "application/octet-stream", "application/jsonx", ""]
)
def test_keys_of_another_type_are_refused(given: str) -> None:
    refused(answering(content_type=None, headers={"Content-Type": given}), "another content type")


def test_an_answer_without_a_type_is_refused() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(JWKS), JWKS)
    refused_raw(answer, "another content type")
    refused_raw(answer, "another content type", kind="revocations")


@pytest.mark.parametrize(
    "given",
    ["application/jwt", "application/revocations+jwt", "application/octet-stream"],
)
def test_lists_come_as_the_types_of_lists(given: str) -> None:
    async def scenario() -> None:
        async with served(answering(content_type=given)) as url:
            assert await read(url, kind="revocations") == Fetched(JWKS, None)

    asyncio.run(scenario())
    refused(answering(content_type="text/html"), "another content type", kind="revocations")


def test_a_page_of_a_captive_portal_is_refused() -> None:
    refused(answering(body=b"<html>log in</html>", content_type="text/html"), "content type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    refused(answering(body=bomb, headers={"Content-Encoding": encoding}), "content encoding")


def test_a_length_beyond_the_limit_is_refused_before_it_is_read() -> None:
    refused_raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n",
        "larger than 1048576 bytes",
    )


def test_a_body_that_never_ends_is_cut_at_the_limit() -> None:
    async def scenario() -> None:
        sent = 0

        async def forever(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            while True:
                writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                sent += 65_536
                await writer.drain()

        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        async with raw(head, forever) as url:
            with pytest.raises(SourceError, match="larger than 1048576 bytes"):
                await read(url)
        assert sent < 16 * MAX_JWKS_BYTES  # what the system's buffers hold, and no more

    asyncio.run(scenario())


def test_a_body_shorter_than_promised_is_refused() -> None:
    refused_raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{}",
        "cannot be read: ClientPayloadError",
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_garbage_is_refused(answer: bytes) -> None:
    refused_raw(answer, "cannot be read")


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_slow_server_is_left_alone_in_time(where: str) -> None:
    async def scenario() -> None:
        async def drip(writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        head += b"\r\n" if where == "body" else b"X-Slow: "
        async with raw(head, drip) as url:
            with pytest.raises(SourceError, match=r"did not answer within 0\.2 s"):
                await read(url, timeout_s=0.2)

    asyncio.run(scenario())


def test_a_server_that_is_down_is_an_error_of_one_line() -> None:
    async def scenario() -> None:
        async with raw(b"") as url:
            pass
        with pytest.raises(SourceError, match="cannot be read: "):
            await read(url)

    asyncio.run(scenario())


def test_one_source_can_be_read_again_and_again() -> None:
    async def scenario() -> None:
        async with served(answering()) as url:
            source = HttpSource(url, "keys")
            for _ in range(3):
                assert await source.read(None) == Fetched(JWKS, None)
            await source.close()
            assert await source.read(None) == Fetched(JWKS, None)
            await source.close()
            await source.close()

    asyncio.run(scenario())


def test_an_etag_that_is_no_etag_is_not_sent_back() -> None:
    async def scenario() -> None:
        async with served(answering(headers={"ETag": '"' + "x" * 2000 + '"'})) as url:
            assert await read(url) == Fetched(JWKS, None)

    asyncio.run(scenario())


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a self-signed certificate for 127.0.0.1, and that certificate."""
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
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
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
    return context, cert


def test_a_certificate_is_always_verified(tmp_path: Path) -> None:
    async def scenario() -> None:
        context, cert = certificate(tmp_path)
        async with served(answering(), context) as url:
            with pytest.raises(SourceError, match="cannot be read"):
                await read(url)
            trusting = ssl.create_default_context(cafile=str(cert))
            assert await read(url, tls=trusting) == Fetched(JWKS, None)
            with pytest.raises(SourceError, match="cannot be read"):
                await read(url.replace("127.0.0.1", "localhost"), tls=trusting)

    asyncio.run(scenario())


@pytest.mark.parametrize("sent", [0, 30, len(JWKS) - 1])
def test_tls_that_breaks_off_teaches_nothing(tmp_path: Path, sent: int) -> None:
    """Whoever can cut a connection cannot choose where a document ends: what came is no key set."""

    async def scenario() -> None:
        context, cert = certificate(tmp_path)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(JSON_HEAD + b"\r\n" + JWKS[:sent])  # as long as the connection is open
            await writer.drain()
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
            trusting = ssl.create_default_context(cafile=str(cert))

            async def keys() -> object:
                answer = await read(url, tls=trusting)
                assert isinstance(answer, Fetched)
                return parse_jwks(answer.body)

            with pytest.raises((SourceError, ValueError)):
                await keys()

    asyncio.run(scenario())


def test_tls_that_ends_before_it_began_is_an_error_of_one_line() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
            with pytest.raises(SourceError, match="cannot be read: ") as caught:
                await read(url)
        assert "\n" not in str(caught.value)

    asyncio.run(scenario())


def test_a_keeper_follows_a_server_through_its_troubles(tmp_path: Path) -> None:
    """Learnt, confirmed by 304, kept through a failure, taken up after a restart without it."""

    async def scenario() -> None:
        clock = ManualClock()
        trouble: list[Handler] = []
        seen: list[str | None] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            seen.append(request.headers.get("If-None-Match"))
            if trouble:
                return await trouble[0](request)
            if seen[-1] == '"1"':
                return web.Response(status=304)
            return web.Response(body=JWKS, content_type=TYPE, headers={"ETag": '"1"'})

        def keeper(url: str) -> Keeper:
            issuer = LAB.trusted(clock(), keys=None, revocations=None)
            return Keeper(
                [IssuerSettings(issuer, url, None)],
                tmp_path / "trust",
                clock=clock,
                wait=clock.wait,
                jitter=lambda: 0.0,
            )

        async def pass_time(until: Callable[[], object]) -> None:
            while not until():
                clock.advance(5)
                await asyncio.sleep(0.005)

        async with served(handler) as url:
            first = keeper(url)
            await first.start()
            await eventually(lambda: first.status()[0]["next_attempt_s"] > 0)
            await pass_time(lambda: len(seen) > 1)
            assert seen[:2] == [None, '"1"']
            trouble.append(answering(content_type="text/html"))
            await pass_time(lambda: first.status()[0]["failures"] > 2)
            assert "another content type" in first.status()[0]["error"]
            issuer = first.trust.issuers["iss_lab"]
            assert issuer.keys is not None
            assert clock().age_of(issuer.keys.read_at) > 0
            trouble.clear()
            await pass_time(lambda: first.status()[0]["error"] == "")
            await eventually(lambda: first.status()[0]["next_attempt_s"] > 0)
            await first.close()
        second = keeper(url)
        await second.start()
        assert second.trust.issuers["iss_lab"].keys is not None
        await eventually(lambda: second.status()[0]["error"])
        await second.close()

    asyncio.run(scenario())
