"""A client that says exactly what it is told, from an address of its own, and reads the answer."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

_PATIENCE_S = 20.0


class HungUpError(Exception):
    """The gate closed the connection before an answer was whole."""


class Way:
    """The way to the gate: its port, in clear text or within TLS that `ca` vouches for."""

    def __init__(self, port: int, ca: Path | None = None) -> None:
        self._port = port
        self._context = None if ca is None else ssl.create_default_context(cafile=ca)
        self._http2 = None if ca is None else ssl.create_default_context(cafile=ca)
        if self._http2 is not None:
            self._http2.set_alpn_protocols(["h2"])

    @property
    def scheme(self) -> str:
        """That of its URLs."""
        return "http" if self._context is None else "https"

    async def connect(
        self, address: str, *, http2: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from a loopback address of one's own."""
        context = self._http2 if http2 else self._context
        return await asyncio.open_connection(
            "127.0.0.1",
            self._port,
            local_addr=(address, 0),
            ssl=context,
            server_hostname=None if context is None else "localhost",
        )


@dataclass
class Answer:
    """One answer; `code` is the reason that the gate gives, "" for what it let pass."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def decision_id(self) -> str:
        """The id of the decision, from the answer's headers or from a refusal's body."""
        return self.headers.get("passport-decision-id") or str(self._problem()["decision_id"])

    @property
    def code(self) -> str:
        """The reason code of a refusal, or "" where the upstream has answered."""
        if self.headers.get("passport-decision") == "allow":
            return ""
        return str(self._problem()["code"])

    @property
    def flooded(self) -> bool:
        """Whether the refusal says that there were too many refusals before it."""
        return self.status == 429 and "refused requests" in str(self._problem().get("detail"))

    def _problem(self) -> dict[str, Any]:
        if self.headers.get("content-type") != "application/problem+json":
            raise HungUpError(f"{self.status} with {self.headers}")
        problem: dict[str, Any] = msgspec.json.decode(self.body)
        return problem


class Client:
    """One connection to the gate; use as a context manager."""

    def __init__(self, way: Way, address: str) -> None:
        self._way = way
        self._address = address
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await self._way.connect(self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    def abort(self) -> None:
        """Goes away at once."""
        self.writer.transport.abort()

    def send(self, data: bytes) -> None:
        """Writes bytes as they are."""
        self.writer.write(data)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer; raises `HungUpError` where the gate closes instead."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._read(head_only)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise HungUpError(type(error).__name__) from None

    async def ended(self) -> None:
        """Returns once the gate has closed; raises `HungUpError` where it says something first."""
        async with asyncio.timeout(_PATIENCE_S):
            said = await self.reader.read(1)
        if said:
            raise HungUpError("bytes after the end")

    async def _read(self, head_only: bool) -> Answer:
        line, *rest = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)
        }
        status = int(line.split(" ")[1])
        if status == 100:
            return await self._read(head_only)
        body = b""
        if head_only or status == 101:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readuntil(b"\r\n")
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)


def request(
    method: str, target: str, passport: str | None, *more: str, body: bytes | None = None
) -> bytes:
    """The bytes of a request; `more` are whole header lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: api.example", *more]
    if passport is not None:
        lines.append(f"Authorization: Passport {passport}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
