"""The API behind the gate under soak: it remembers which decisions reached it, and misbehaves."""

import asyncio
import contextlib
import hashlib
from collections import Counter

EVENTS = 5
"""How many events a stream of `/v1/events` has."""


class Upstream:
    """Serves on a free port of 127.0.0.1; what it does is in the path.

    `reached` counts each decision id that it was sent, `begun` holds those whose body had begun to
    come. `/v1/events` streams, `/v1/echo` becomes a tunnel, `/v1/broken` is no HTTP, `/v1/gone`
    hangs up; everything else is answered with the digest of its body.
    """

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        self.begun: dict[str, asyncio.Event] = {}
        self.port = 0
        self._server: asyncio.Server | None = None
        self._at_work: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hangs up on everyone."""
        assert self._server is not None
        self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def watch(self, mark: str) -> asyncio.Event:
        """Set once the body of the request with this value of `X-Mark` has begun to come."""
        return self.begun.setdefault(mark, asyncio.Event())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            # A gate that gives up on a request hangs up in the middle of it.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    await writer.drain()
        finally:
            self._at_work.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        path = line.split(" ")[1]
        headers = {
            name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)
        }
        self.reached[headers.get("x-passport-decision-id", "none")] += 1
        if path.startswith("/v1/broken"):
            writer.write(b"this is no answer\r\n\r\n")
            return False
        if path.startswith("/v1/gone"):
            return False
        if path.startswith("/v1/echo"):
            writer.write(b"HTTP/1.1 101 Go\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
            return False
        digest = await self._body(reader, headers)
        if path.startswith("/v1/events"):
            await _stream(writer)
            return True
        body = digest.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return True

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> str:
        digest = hashlib.sha256()
        mark = self.begun.pop(headers.get("x-mark", ""), None)
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                digest.update(await reader.readexactly(size))
                await reader.readexactly(2)
                if mark is not None:
                    mark.set()
            await reader.readuntil(b"\r\n")
        left = int(headers.get("content-length", "0"))
        while left:
            data = await reader.read(min(left, 65_536))
            if not data:
                raise ConnectionResetError
            digest.update(data)
            left -= len(data)
            if mark is not None:
                mark.set()
        return digest.hexdigest()


async def _stream(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(EVENTS):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"0\r\n\r\n")
