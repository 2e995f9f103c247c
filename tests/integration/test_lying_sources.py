"""Servers that lie about type, length, encoding or place, or never end, change nothing.

Each row is a server that was honest once. What a gate learnt from it then stays in force, as old as
it is; the lie is told in one line of status and counted; and the gate recovers by itself when the
server is honest again.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from passgate.sync import sources
from passgate.sync.http_source import HttpSource
from passgate.sync.keeper import Keeper, SourceStatus
from passgate.sync.settings import IssuerSettings
from passgate.sync.sources import Allowed, Kind, Source
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
THIEF = TestIssuer("iss_lab", seed="of a thief")
SECRET = "what only the server knows"

Send = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Lie:
    """An answer, whatever was asked; `then` goes on after it, and `sentence` is in the status."""

    answer: bytes
    sentence: str = ""
    then: Send | None = None


def head(*fields: str, status: str = "200 OK", kind: str | None = "application/json") -> bytes:
    named = (f"HTTP/1.1 {status}", *fields)
    if kind is not None:
        named = (*named, f"Content-Type: {kind}")
    return "\r\n".join((*named, "", "")).encode()


def whole(body: bytes, *fields: str, **options: Any) -> bytes:
    return head(f"Content-Length: {len(body)}", *fields, **options) + body


# What it would like to have believed: keys of its own, under the name of the issuer.
FALSE = json.dumps(THIEF.jwks).encode()
HTML = f"<html>log in first, {SECRET}</html>".encode()
CHUNKED = "Transfer-Encoding: chunked"


async def _spaces(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def _chunks(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


async def _headers(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"X-More: yes\r\n" * 1000)
        await writer.drain()


async def _early_hints(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _silence(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


LIES: dict[str, Lie] = {
    # Another type than it should be, or says it is.
    "a page with 200": Lie(whole(HTML, kind="text/html"), "another content type"),
    "a page that is called JSON": Lie(whole(HTML)),
    "keys that are called a picture": Lie(whole(FALSE, kind="image/png"), "another content type"),
    "keys that are called nothing": Lie(whole(FALSE, kind=None), "another content type"),
    "keys of two types": Lie(whole(FALSE, "Content-Type: text/html"), "another content type"),
    "keys in another charset": Lie(
        whole(json.dumps(THIEF.jwks).encode("utf-16"), kind="application/json; charset=utf-16"),
        "another charset",
    ),
    "keys that are said to be in another charset": Lie(
        whole(FALSE, kind="application/json; charset=utf-16"), "another charset"
    ),
    "keys in another charset, untold": Lie(whole(json.dumps(THIEF.jwks).encode("utf-16"))),
    "keys after a byte order mark": Lie(whole(b"\xef\xbb\xbf" + FALSE)),
    "keys twice": Lie(whole(b'{"keys":[],' + FALSE[1:])),
    "brackets without end": Lie(whole(b'{"keys":' + b"[" * 500_000)),
    # Another length than it says, or none.
    "longer than it says": Lie(head(f"Content-Length: {len(FALSE) - 9}") + FALSE),
    "shorter than it says": Lie(head("Content-Length: 9000") + FALSE, "ClientPayloadError"),
    "shorter than its chunk": Lie(head(CHUNKED) + b"ffff\r\n" + FALSE, "cannot be read"),
    "a last chunk that never comes": Lie(
        head(CHUNKED) + b"%x\r\n%s\r\n" % (len(FALSE), FALSE), "cannot be read"
    ),
    "two lengths": Lie(whole(FALSE, "Content-Length: 2"), "cannot be read"),
    "a length and chunks": Lie(
        whole(b"%x\r\n%s\r\n0\r\n\r\n" % (len(FALSE), FALSE), CHUNKED), "cannot be read"
    ),
    "a negative length": Lie(head("Content-Length: -1") + FALSE, "cannot be read"),
    "a length with a sign": Lie(head(f"Content-Length: +{len(FALSE)}") + FALSE, "cannot be read"),
    "a length beyond the limit": Lie(head("Content-Length: 99999999999"), "larger than"),
    "a length that overflows": Lie(head(f"Content-Length: {2**64 + len(FALSE)}") + FALSE),
    "a body without end": Lie(head(), "", _spaces),
    "chunks without end": Lie(head(CHUNKED), "", _chunks),
    "a drip": Lie(head(), "did not answer within", _drip),
    "a head that drips": Lie(b"HTTP/1.1 200 OK\r\nX-Slow: ", "did not answer within", _drip),
    "silence": Lie(b"", "did not answer within", _silence),
    "silence after the head": Lie(head("Content-Length: 9"), "did not answer within", _silence),
    "no answer": Lie(b"", "cannot be read"),
    "nothing at all": Lie(whole(b"")),
    # Another encoding than was asked for.
    "a bomb": Lie(
        whole(gzip.compress(b" " * (64 << 20)), "Content-Encoding: gzip"), "content encoding"
    ),
    "a bomb after an innocent word": Lie(
        whole(
            gzip.compress(b" " * (1 << 20)),
            "Content-Encoding: identity",
            "Content-Encoding: gzip",
        ),
        "content encoding",
    ),
    "a bomb, untold": Lie(whole(gzip.compress(b" " * (64 << 20)))),
    "packed keys, untold": Lie(whole(zlib.compress(FALSE))),
    "packed for the way": Lie(
        head("Transfer-Encoding: gzip, chunked")
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(gzip.compress(FALSE)), gzip.compress(FALSE))
    ),
    # Another answer than to the question.
    "unchanged, unasked": Lie(head(status="304 Not Modified"), "answered 304"),
    "a part": Lie(
        whole(FALSE, "Content-Range: bytes 0-9/99", status="206 Partial Content"), "answered 206"
    ),
    "no content": Lie(head(status="204 No Content"), "answered 204"),
    "another protocol": Lie(
        head("Upgrade: websocket", "Connection: Upgrade", status="101 Switching Protocols"),
        "answered 101",
    ),
    "an error with keys": Lie(whole(FALSE, status="500 Oops"), "answered 500"),
    "a status that is none": Lie(b"HTTP/1.1 20x OK\r\n\r\n" + FALSE, "cannot be read"),
    "hints without end": Lie(b"", "", _early_hints),
    "another version": Lie(b"HTTP/0.9 200 OK\r\n\r\n" + FALSE),
    "no HTTP": Lie(FALSE, "cannot be read"),
    "TLS where there is none": Lie(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    # More head than any document needs.
    "a huge header": Lie(head(f"X-Long: {'x' * 200_000}") + FALSE, "cannot be read"),
    "headers without end": Lie(b"HTTP/1.1 200 OK\r\n", "cannot be read", _headers),
    "a header over two lines": Lie(
        whole(FALSE, "X-Folded: a\r\n  b: c", "X-\x00: y"), "cannot be read"
    ),
}

ELSEWHERE = ("https://elsewhere.example/", "http://{host}/stolen", "//{host}/stolen", "/stolen")


class Server:
    """An issuer's server: honest, or as its `lie` says. `paths` is what it was asked for."""

    def __init__(self) -> None:
        self.lie: Lie | None = None
        self.paths: list[str] = []
        self.host = ""
        self._listed = whole(LAB.revocation_list(now=800).encode(), kind="application/jwt")
        self._open: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def hang_up(self) -> None:
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            path = asked.split(b" ", 2)[1].decode()
            self.paths.append(path)
            lie = self.lie
            writer.write(self._honest(path) if lie is None else lie.answer)
            await writer.drain()
            if lie is not None and lie.then is not None:
                await lie.then(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the gate has heard enough
        finally:
            writer.close()

    def _honest(self, path: str) -> bytes:
        if path == "/jwks.json":
            return whole(json.dumps(LAB.jwks).encode())
        return self._listed


@asynccontextmanager
async def following(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Server, Keeper, Any]]:
    """A server, a keeper that has learnt from it, and what lets time pass until something is so."""

    def opened(location: str, kind: Kind, allowed: Allowed) -> Source:
        del allowed
        return HttpSource(location, kind, timeout_s=0.3)

    monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, "http": opened})
    served, clock = Server(), ManualClock(wall=1000.0)
    listening = await asyncio.start_server(served.accept, "127.0.0.1", 0)
    served.host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    issuer = LAB.trusted(clock(), keys=None, revocations=None)
    url = f"http://{served.host}"
    keeper = Keeper(
        [IssuerSettings(issuer, f"{url}/jwks.json", f"{url}/list.jwt", refresh_s=5.0)],
        None,
        clock=clock,
        wait=clock.wait,
        jitter=lambda: 0.0,
    )

    async def pass_time(until: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not until():
                clock.advance(1)
                await asyncio.sleep(0.002)

    await keeper.start()
    try:
        await pass_time(
            lambda: all(row["loaded"] and row["next_attempt_s"] > 0 for row in keeper.status())
        )
        yield served, keeper, pass_time
    finally:
        await keeper.close()
        listening.close()
        await served.hang_up()


def believed_nothing(rows: list[SourceStatus], sentence: str) -> None:
    """Each source still has what it taught, and says in one line what is wrong with it."""
    for row in rows:
        assert row["loaded"]
        assert row["failures_total"] >= 1
        assert sentence in row["error"]
        assert 0 < len(row["error"]) < 400
        assert row["error"].isprintable()
        assert SECRET not in row["error"]


async def lied_to(monkeypatch: pytest.MonkeyPatch, lie: Callable[[Server], Lie]) -> Server:
    async with following(monkeypatch) as (served, keeper, pass_time):
        changes: list[object] = []
        keeper.on_change(changes.append)
        known = keeper.trust.issuers["iss_lab"]
        told = served.lie = lie(served)
        await pass_time(lambda: all(row["error"] for row in keeper.status()))
        believed_nothing(keeper.status(), told.sentence)
        now = keeper.trust.issuers["iss_lab"]
        assert now.keys is known.keys
        assert now.revocations is known.revocations
        assert not changes
        served.lie = None
        await pass_time(lambda: not any(row["error"] for row in keeper.status()))
        again = keeper.trust.issuers["iss_lab"].keys
        assert again is not None
        assert known.keys is not None
        assert set(again.keys) == set(known.keys.keys) == {LAB.kid}
        assert again.read_at.wall > known.keys.read_at.wall
    return served


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_changes_nothing(lie: Lie, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, list and version are the very same, the failure is told, and honesty is believed."""
    asyncio.run(lied_to(monkeypatch, lambda _: lie))


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_nobody_is_sent_elsewhere(status: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host, another scheme or another path: what a redirect names is never asked."""

    def redirect(served: Server) -> Lie:
        place = where.format(host=served.host)
        return Lie(whole(FALSE, f"Location: {place}", status=f"{status} Gone"), "with a redirect")

    served = asyncio.run(lied_to(monkeypatch, redirect))
    assert set(served.paths) == {"/jwks.json", "/list.jwt"}
