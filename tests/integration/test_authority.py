"""`passgate authority serve`: what it serves, to how many, and how it ends."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from passgate.authority import serving
from passgate.authority.keys import KeySigner, new_issuer
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.authority.serving import EVENTS_PATH, Authority
from passgate.sync.events import Event, EventReader


@pytest.fixture
def signer(tmp_path: Path) -> KeySigner:
    made = new_issuer(tmp_path, "iss_lab")
    new_list(tmp_path, made, time.time())
    return made


@asynccontextmanager
async def served(
    directory: Path, signer: KeySigner, heartbeat_s: float = 10.0
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    authority = Authority(directory, signer, heartbeat_s=heartbeat_s)
    await authority.start()
    runner = web.AppRunner(authority.app(), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", client
    finally:
        await runner.cleanup()


async def next_events(answer: aiohttp.ClientResponse, reader: EventReader) -> list[Event]:
    while True:
        piece = await answer.content.readany()
        assert piece, "the stream ended"
        if events := reader.feed(piece):
            return events


def test_keys_and_list_are_served_with_their_types_and_tags(
    tmp_path: Path, signer: KeySigner
) -> None:
    """Asked again, the same is not sent again; the private key is nowhere."""

    async def scenario() -> None:
        async with served(tmp_path, signer) as (url, client):
            for name, kind in (
                ("jwks.json", "application/jwk-set+json"),
                ("revocations.jwt", "application/jwt"),
            ):
                async with client.get(f"{url}/{name}") as answer:
                    assert answer.status == 200
                    assert answer.headers["Content-Type"] == kind
                    assert await answer.read() == (tmp_path / name).read_bytes()
                    tag = {"If-None-Match": answer.headers["ETag"]}
                async with client.get(f"{url}/{name}", headers=tag) as answer:
                    assert answer.status == 304
            revoke(tmp_path, signer, [Revoked("agent", "a")], time.time())
            async with client.get(f"{url}/revocations.jwt", headers=tag) as answer:
                assert answer.status == 200
            for name in ("issuer.key", "", "../issuer.key", ".revocations.lock", "revocations"):
                async with client.get(f"{url}/{name}") as answer:
                    assert answer.status == 404
            async with client.post(url + EVENTS_PATH) as answer:
                assert answer.status == 405

    asyncio.run(scenario())


def test_a_stream_begins_with_what_was_missed_and_goes_on(
    tmp_path: Path, signer: KeySigner
) -> None:
    """First a word on where the list stands, then each delta as it comes, then heartbeats."""

    async def scenario() -> None:
        async with served(tmp_path, signer, 0.2) as (url, client):
            async with client.get(url + EVENTS_PATH) as answer:
                assert answer.headers["Content-Type"] == "text/event-stream"
                reader = EventReader()
                ((name, first),) = await next_events(answer, reader)
                assert name == "delta"
                revoke(tmp_path, signer, [Revoked("agent", "a")], time.time())
                seen = await next_events(answer, reader)
                while len(seen[-1].data) <= len(first):  # heartbeats before it
                    seen = await next_events(answer, reader)
                delta = seen[-1]
                beat = await next_events(answer, reader)
                assert len(beat[0].data) < len(delta.data)
            # An older number than any: everything that is kept comes again.
            async with client.get(url + EVENTS_PATH, headers={"Last-Event-ID": "1"}) as answer:
                assert (await next_events(answer, EventReader()))[0] == delta

    asyncio.run(scenario())


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "1" * 17, "²"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, signer: KeySigner, given: str) -> None:
    """Nothing is guessed of where a gate stands."""

    async def scenario() -> None:
        async with served(tmp_path, signer) as (url, client):
            headers = {"Last-Event-ID": given}
            async with client.get(url + EVENTS_PATH, headers=headers) as answer:
                assert answer.status == 400

    asyncio.run(scenario())


def test_there_is_a_most_of_followers_and_who_leaves_makes_room(
    tmp_path: Path, signer: KeySigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it 503, to be tried again."""
    monkeypatch.setattr(serving, "MAX_FOLLOWERS", 1)

    async def scenario() -> None:
        async with served(tmp_path, signer, 0.02) as (url, client):
            async with client.get(url + EVENTS_PATH) as answer:
                assert answer.status == 200
                async with client.get(url + EVENTS_PATH) as second:
                    assert (second.status, second.headers["Retry-After"]) == (503, "10")

            async def room() -> int:
                async with client.get(url + EVENTS_PATH) as answer:
                    return answer.status

            for _ in range(500):
                if await room() == 200:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("who left makes no room")

    asyncio.run(scenario())


def test_at_the_end_every_stream_is_closed(tmp_path: Path, signer: KeySigner) -> None:
    """Who follows looks for another server then."""

    async def scenario() -> None:
        async with aiohttp.ClientSession() as client:
            async with served(tmp_path, signer) as (url, _):
                answer = await client.get(url + EVENTS_PATH)
                await next_events(answer, EventReader())
            assert await asyncio.wait_for(answer.content.read(), 10) == b""
            answer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--listen", "nowhere"], 2, "--listen must be an address"),
        (["--listen", ":80"], 2, "must name a host"),
        (["--listen", "203.0.113.1:80"], 1, "cannot be had"),
        (["--issuer", "none"], 1, "issuer new"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    tmp_path: Path, signer: KeySigner, arguments: list[str], code: int, words: str
) -> None:
    """Wrong use is 2, everything else 1."""
    run = subprocess.run(
        [
            sys.executable, "-m", "passgate", "authority", "serve",
            "--issuer", str(tmp_path), *arguments,
        ],
        capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == code
    assert words in run.stderr
    assert run.stderr.count("\n") == 1
