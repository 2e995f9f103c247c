"""Serves an issuer's public side: its keys, its signed list, and a stream of what is added to it.

Nothing here is secret, and nothing is changed by asking. Put TLS before it for gates elsewhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from passgate.authority.keys import JWKS_FILE, REVOCATIONS_FILE, Signer
from passgate.authority.pushing import Pushing
from passgate.errors import PassgateError
from passgate.watch import Watch

EVENTS_PATH: Final = "/revocations/events"

LOOK_S: Final = 0.02
"""How often the list's file is looked at: a look at its status takes some microseconds."""

HEARTBEAT_S: Final = 10.0
"""How often a gate is told that nothing has changed, a third of what it waits."""

MAX_FOLLOWERS: Final = 1000
_SLOW_S: Final = 10.0

_logger = structlog.get_logger("passgate")


class Authority:
    """One issuer's directory, served. `start` looks at its list and `close` ends every stream.

    `now` is where the time of what is signed comes from.
    """

    def __init__(
        self,
        directory: Path,
        signer: Signer,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._pushing = Pushing(directory, signer)
        self._heartbeat_s = heartbeat_s
        self._now = now
        self._changed = asyncio.Event()
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Looks at the list, and from now on whenever it changes.

        Raises `DataError` and `KeyFileError`.
        """
        watch = Watch([self._directory / REVOCATIONS_FILE])
        await asyncio.to_thread(self._pushing.look, self._now())
        self._watching = asyncio.get_running_loop().create_task(self._watch(watch))

    async def close(self) -> None:
        """Ends the streams, so that those who follow look for another server."""
        self._closing = True
        self._wake()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_get(f"/{JWKS_FILE}", self._file(JWKS_FILE, "application/jwk-set+json"))
        app.router.add_get(f"/{REVOCATIONS_FILE}", self._file(REVOCATIONS_FILE, "application/jwt"))
        app.router.add_get(EVENTS_PATH, self._events)
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, _: web.Application) -> None:
        await self.close()

    def _file(
        self, name: str, content_type: str
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        path = self._directory / name

        async def serve(_: web.Request) -> web.StreamResponse:
            headers = {"Content-Type": content_type, "Cache-Control": "no-cache"}
            return web.FileResponse(path, headers=headers)

        return serve

    async def _watch(self, watch: Watch) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if not watch.changed():
                continue
            try:
                changed = await asyncio.to_thread(self._pushing.look, self._now())
            except PassgateError as error:
                _logger.warning("list_not_pushed", error=str(error))
                continue
            if changed:
                self._wake()

    def _wake(self) -> None:
        """Lets every stream look for what is new."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The stream of one gate, from the number on that it has."""
        given = request.headers.get("Last-Event-ID", "")
        if given and not (given.isascii() and given.isdigit() and len(given) <= 16):
            raise web.HTTPBadRequest(text="Last-Event-ID is the number of a list.\n")
        if self._followers >= MAX_FOLLOWERS:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"})
        self._followers += 1
        try:
            answer = web.StreamResponse(
                headers={
                    "Content-Type": "text/event-stream",
                    "Cache-Control": "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            await answer.prepare(request)
            await self._tell(answer, int(given) if given else self._pushing.number)
        except (ConnectionError, TimeoutError):
            pass  # it is gone, or takes nothing, and comes back for what it missed
        finally:
            self._followers -= 1
        return answer

    async def _tell(self, answer: web.StreamResponse, number: int) -> None:
        while not self._closing:
            changed = self._changed
            deltas = self._pushing.after(number)
            if deltas:
                number = deltas[-1][0]
            else:
                # Also right away: it tells a gate that has missed something so.
                deltas = [self._pushing.heartbeat(self._now())]
            text = "".join(f"event: delta\nid: {n}\ndata: {delta}\n\n" for n, delta in deltas)
            async with asyncio.timeout(_SLOW_S):
                await answer.write(text.encode("ascii"))
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await changed.wait()
            except TimeoutError:
                continue
