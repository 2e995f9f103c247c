"""An API of long-lived exchanges, by another HTTP library: WebSocket, events, long polls, uploads.

It runs on the test's own event loop, behind a gate in a process of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web


@dataclass
class LongApi:
    """What the API saw. `ends` has one word for each exchange that is over, as the API sees it."""

    port: int = 0
    ends: list[str] = field(default_factory=list)
    polls: int = 0
    uploaded: int = 0
    next_event: asyncio.Event = field(default_factory=asyncio.Event)
    answer_poll: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """Sends every message back; `close` ends the conversation from this side."""
        socket = web.WebSocketResponse(max_msg_size=0, protocols=("chat.v2",))
        await socket.prepare(request)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and message.data == "close":
                    await socket.close(code=4001, message=b"as you wish")
                elif message.type is WSMsgType.TEXT:
                    await socket.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
        finally:
            self.ends.append("websocket")
        return socket

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One event at once, then one each time that the test asks for it."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        number = 0
        try:
            while True:
                await answer.write(b"data: %d\n\n" % number)
                number += 1
                await self.next_event.wait()
                self.next_event.clear()
        finally:
            self.ends.append("events")

    async def poll(self, request: web.Request) -> web.Response:
        """Answers when the test says so."""
        self.polls += 1
        try:
            await self.answer_poll.wait()
        finally:
            self.ends.append("poll")
        return web.Response(text="something happened")

    async def upload(self, request: web.Request) -> web.Response:
        """Takes whatever comes."""
        try:
            async for piece in request.content.iter_any():
                self.uploaded += len(piece)
        finally:
            self.ends.append("upload")
        return web.Response(text=str(self.uploaded))


@asynccontextmanager
async def long_api() -> AsyncIterator[LongApi]:
    """A running `LongApi` on a free port of 127.0.0.1."""
    api = LongApi()
    app = web.Application()
    app.router.add_get("/ws", api.echo)
    app.router.add_get("/events", api.events)
    app.router.add_post("/poll", api.poll)
    app.router.add_post("/upload", api.upload)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.port = runner.addresses[0][1]
    try:
        yield api
    finally:
        await runner.cleanup()
