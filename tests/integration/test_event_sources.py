"""Streams of events from servers that lie, stall, redirect, and never end; and an honest one."""

import asyncio
import gzip
import re
import ssl
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.awaiting import eventually
from tests.integration.test_http_sources import answering, certificate, raw, served

from passgate.errors import SourceError
from passgate.sync.event_source import EventSource
from passgate.sync.events import MAX_EVENT_BYTES, Event
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.testing import ManualClock, TestIssuer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
GOOD = b"event: delta\ndata: a.b.c\n\n"
LAB = TestIssuer("iss_lab")


async def listen(url: str, **options: Any) -> list[Event]:
    """What comes until the stream ends."""
    async with aclosing(EventSource(url, **options).events("7")) as events:
        return [event async for event in events]


def refused(answer: bytes, sentence: str, then: Any = None, **options: Any) -> None:
    async def scenario() -> None:
        async with raw(answer, then) as url:
            with pytest.raises(SourceError, match=sentence) as caught:
                await listen(url, **options)
            assert "\n" not in str(caught.value)

    asyncio.run(scenario())


def test_what_is_asked_is_what_a_follower_should_ask() -> None:
    """With the number that it has, for nothing else, and without a cookie."""

    async def scenario() -> None:
        seen: list[web.Request] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            seen.append(request)
            return web.Response(body=GOOD * 2, content_type="text/event-stream")

        async with served(handler) as url:
            assert await listen(url) == [Event("delta", b"a.b.c")] * 2
        (request,) = seen
        assert request.headers["Last-Event-ID"] == "7"
        assert request.headers["Accept"] == "text/event-stream"
        assert request.headers["Accept-Encoding"] == "identity"
        assert "Cookie" not in request.headers

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """It could lead to whoever wants to confirm an old list."""
    refused(
        b"HTTP/1.1 %d X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % status,
        "redirect",
    )


@pytest.mark.parametrize("status", [201, 204, 304, 400, 404, 429, 503])
def test_any_other_status_is_refused(status: int) -> None:
    """Nothing but 200 begins a stream; 304 is a redirect to nothing."""
    refused(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status, f"{status}")


@pytest.mark.parametrize("given", [b"text/html", b"application/json", b"text/event-streams", b""])
def test_another_type_is_refused(given: bytes) -> None:
    """The page of a captive portal is no stream."""
    refused(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n" % given + GOOD, "content type")


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    """Nothing is ever unpacked."""
    bomb = gzip.compress(b" " * (16 << 20))
    refused(HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n" + bomb, "content encoding")


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: " + b"x" * 65_536 + b"\n"])
def test_a_line_and_an_event_that_never_end_are_cut_at_the_limit(piece: bytes) -> None:
    """The connection is closed; the server finds that it writes to nobody."""
    sent = 0

    async def forever(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    refused(HEAD, f"larger than {MAX_EVENT_BYTES} bytes", forever)
    assert sent < 16 * MAX_EVENT_BYTES  # what the system's buffers hold, and no more


@pytest.mark.parametrize(
    ("head", "drip"),
    [(HEAD, b"x"), (HEAD, b": still here\n\n"), (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")],
)
def test_bytes_that_make_no_event_keep_nothing_alive(head: bytes, drip: bytes) -> None:
    """A slow header, a slow line, and comments for ever: silence is what is not an event."""

    async def dripping(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.01)

    refused(head, r"said nothing for 0\.2 s|cannot be read", dripping, silence_s=0.2)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x16\x03\x01\x02\x00", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"],
)
def test_garbage_is_refused(answer: bytes) -> None:
    """What is not HTTP."""
    refused(answer, "cannot be read")


@pytest.mark.parametrize(
    "url",
    ["http://issuer.example/e", "https://u:p@issuer.example/e", "ftp://127.0.0.1/e", "https:///"],
)
def test_an_address_that_protects_nothing_is_none(url: str) -> None:
    """Plain HTTP only on this machine, or on the operator's word; no passwords."""
    with pytest.raises(SourceError):
        EventSource(url)
    assert (
        EventSource("http://issuer.example/e", insecure_http=True).name == "http://issuer.example/e"
    )


def test_a_certificate_is_always_verified(tmp_path: Path) -> None:
    """One that nobody vouches for ends it before anything is read."""

    async def scenario() -> None:
        context, cert = certificate(tmp_path)
        handler = answering(body=GOOD, content_type="text/event-stream")
        async with served(handler, context) as url:
            with pytest.raises(SourceError, match="cannot be read"):
                await listen(url)
            trusting = ssl.create_default_context(cafile=str(cert))
            assert await listen(url, tls=trusting) == [Event("delta", b"a.b.c")]

    asyncio.run(scenario())


def settings(list_url: str, push_url: str) -> IssuerSettings:
    static = LAB.trusted(ManualClock()(), keys=None, revocations=None)
    return IssuerSettings(static, LAB.jwks, list_url, 60.0, revocations_push=push_url)


def pushed(keeper: Keeper) -> dict[str, Any]:
    (row,) = (each for each in keeper.status() if each["kind"] == "revocations")
    assert row["push"] is not None
    return row["push"]


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (b"event: message\ndata: x\n\n", "an event that is no delta"),
        (b"data: x\n\n", "an event that is no delta"),
        (GOOD, "base64url|64 bytes|canonical"),
        (
            b"event: delta\ndata: " + LAB.revocation_list(now=1_800_000_000).encode() + b"\n\n",
            "typ",
        ),
        (b": nothing\n\n", "ended the stream"),
    ],
)
def test_what_is_no_delta_changes_nothing_and_is_reported(stream: bytes, sentence: str) -> None:
    """The list stays as it was; the stream is asked for again, later each time."""

    async def scenario() -> None:
        clock = ManualClock()
        listed = LAB.revocation_list(("agent", "a"), now=clock.wall)
        asked = 0

        async def events(_: web.Request) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            return web.Response(body=stream, content_type="text/event-stream")

        async with (
            served(answering(body=listed.encode(), content_type="application/jwt")) as url,
            served(events) as push,
        ):
            keeper = Keeper(
                [settings(url, push)], None, clock=clock, wait=clock.wait, jitter=lambda: 0.0
            )
            await keeper.start()
            for _ in range(3):
                await eventually(lambda: pushed(keeper)["failures_total"] == asked > 0)
                before = asked
                while asked == before:
                    clock.advance(1)
                    await asyncio.sleep(0.002)
            await eventually(lambda: pushed(keeper)["failures_total"] >= 3)
            assert not pushed(keeper)["connected"]
            assert pushed(keeper)["deltas"] == 0
            assert re.search(sentence, pushed(keeper)["error"]), pushed(keeper)
            revocations = keeper.trust.issuers["iss_lab"].revocations
            assert revocations is not None
            assert "a" in revocations.agents
            assert len(revocations.agents) == 1
            await keeper.close()

    asyncio.run(scenario())
