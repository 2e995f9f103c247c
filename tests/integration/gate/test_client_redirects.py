"""PassportAuth before a server that redirects elsewhere: the passport stays where it was sent."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import pytest
import requests

from passgate.client import Holder, PassportAuth

TOKEN = "the.passport.itself"


class _Stranger(BaseHTTPRequestHandler):
    """Asks whoever comes for a proof with its nonce, and notes what came."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(str(self.headers))
        self.send_response(401)
        self.send_header("DPoP-Nonce", "a-nonce")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing: the test looks at `seen`."""


class _Redirecting(_Stranger):
    """Sends whoever comes to the stranger."""

    to: str

    def do_GET(self) -> None:
        self.seen.append(str(self.headers))
        self.send_response(302)
        self.send_header("Location", self.to)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def places() -> Iterator[tuple[str, list[str], list[str]]]:
    """The URL that redirects, what it saw, and what the stranger saw."""
    stranger = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Stranger", (_Stranger,), {"seen": (theirs := [])})
    )
    to = f"http://127.0.0.1:{stranger.server_address[1]}/"
    first = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Redirecting", (_Redirecting,), {"seen": (ours := []), "to": to})
    )
    threads = [
        threading.Thread(target=each.serve_forever, args=(0.02,)) for each in (first, stranger)
    ]
    for thread in threads:
        thread.start()
    try:
        yield f"http://127.0.0.1:{first.server_address[1]}/", ours, theirs
    finally:
        for server in (first, stranger):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("library", ["httpx", "requests", "aiohttp"])
@pytest.mark.parametrize("bound", [True, False])
def test_a_redirect_takes_the_passport_nowhere_else(
    places: tuple[str, list[str], list[str]], library: str, bound: bool
) -> None:
    """Bound or not, also where the stranger asks for a nonce; the first place did get it."""
    url, ours, theirs = places
    auth = PassportAuth(TOKEN, Holder.generate() if bound else None)

    async def by_aiohttp() -> None:
        async with (
            aiohttp.ClientSession(middlewares=[auth.for_aiohttp()]) as session,
            session.get(url),
        ):
            pass

    if library == "httpx":
        httpx.get(url, auth=auth.for_httpx(), follow_redirects=True)
    elif library == "requests":
        requests.get(url, auth=auth.for_requests(), timeout=10)
    else:
        asyncio.run(by_aiohttp())

    assert TOKEN in ours[0]
    assert theirs
    assert not any(TOKEN in each for each in theirs)
