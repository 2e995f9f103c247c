"""A stream of server-sent events over HTTPS: one GET that follows nothing and is never waited for
longer than it may be silent.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

from passgate.errors import SourceError
from passgate.sync.events import Event, EventReader
from passgate.sync.http_source import check_url, is_loopback

SILENCE_S: Final = 30.0
"""The longest time without a whole event, from the asking on; bytes that make none do not count."""

_PIECE_BYTES: Final = 64 * 1024


class EventSource:
    """Where an issuer pushes. Certificates are always verified; `tls` replaces the machine's own.

    `http://` counts only on the loopback interface, or with `insecure_http`. `name` may be shown.
    """

    def __init__(
        self,
        location: str,
        *,
        insecure_http: bool = False,
        tls: ssl.SSLContext | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        scheme, host, self.name = check_url(location)
        if scheme not in ("http", "https"):
            raise SourceError(f"{self.name} is no https:// URL")
        if scheme == "http" and not insecure_http and not is_loopback(host):
            raise SourceError(
                f"{self.name} is not protected; use https, or set insecure_http: true for this"
                " issuer"
            )
        self._url = location
        self._tls = tls
        self._silence_s = silence_s

    async def events(self, last_id: str) -> AsyncGenerator[Event, None]:
        """The events after the one with the id `last_id`, until the server ends the stream.

        Raises `SourceError`, and nothing else, for whatever is wrong with server or answer.
        """
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-store",
            "Last-Event-ID": last_id,
        }
        reader = EventReader()
        pending: list[Event] = []
        connector = aiohttp.TCPConnector(
            ssl=self._tls if self._tls is not None else True, limit=1, force_close=True
        )
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session:
                asked = session.get(self._url, headers=headers, allow_redirects=False)
                async with asyncio.timeout(self._silence_s):
                    answer = await asked
                async with answer:
                    self._check(answer)
                    while True:
                        async with asyncio.timeout(self._silence_s):
                            while not pending:
                                piece = await answer.content.readany()
                                if not piece:
                                    return
                                pending = reader.feed(piece)
                        for event in pending:
                            yield event
                        pending = []
        except TimeoutError:
            raise SourceError(f"{self.name} said nothing for {self._silence_s:g} s") from None
        except (OSError, aiohttp.ClientError) as error:
            raise SourceError(f"{self.name} cannot be read: {_reason(error)}") from None
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}") from None

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        """Raises `SourceError` unless status and headers are those of a stream of events."""
        if 300 <= answer.status < 400:
            raise SourceError(
                f"{self.name} answered with a redirect ({answer.status}), which is not followed;"
                " name the final address"
            )
        if answer.status != 200:
            raise SourceError(f"{self.name} answered {answer.status}, expected 200")
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise SourceError(f"{self.name} answered in a content encoding that was not asked for")
        given = answer.headers.get("Content-Type", "")
        if given.partition(";")[0].strip().lower() != "text/event-stream":
            raise SourceError(
                f"{self.name} answered with another content type than text/event-stream"
            )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.splitlines()[0]
    return type(error).__name__
