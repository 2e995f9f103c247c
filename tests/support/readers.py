"""Two independent readers of HTTP/1.1, to ask whether bytes have the one reading that we gave them.

h11 and aiohttp's parser in Python share no code with each other nor with llhttp, which the gate
uses.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import h11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParserPy

HeaderLines = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Reading:
    """One whole request; header names are in lower case."""

    method: bytes
    target: bytes
    headers: HeaderLines
    body: bytes


class Unreadable(Exception):  # noqa: N818 - it is what the bytes are
    """These bytes are no requests."""


def requests_by_h11(data: bytes) -> tuple[list[Reading], bool]:
    """The whole requests in `data`, and whether anything stands behind them."""
    found: list[Reading] = []
    return found, _read_by_h11(data, found)


def leniently_by_h11(data: bytes) -> list[Reading]:
    """The whole requests in `data` up to where h11 finds a fault, trailers left out.

    One empty line before a request is ignored, as RFC 9112 section 2.2 asks and h11 does not.
    """
    found: list[Reading] = []
    with contextlib.suppress(Unreadable):
        _read_by_h11(data, found, leniently=True)
    return found


def _read_by_h11(data: bytes, found: list[Reading], *, leniently: bool = False) -> bool:
    """Adds the whole requests to `found`; true where anything stands behind them."""
    head: h11.Request | None = None
    body = b""
    while data:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        parser.receive_data(data.removeprefix(b"\r\n") if leniently else data)
        try:
            event = parser.next_event()
            while not isinstance(event, h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    head, body = event, b""
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    return True
                event = parser.next_event()
        except h11.ProtocolError as error:
            raise Unreadable(str(error)) from error
        if event.headers and not leniently:
            raise Unreadable("trailers came")
        assert head is not None
        headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
        found.append(Reading(bytes(head.method), bytes(head.target), headers, body))
        data = parser.trailing_data[0]
        if parser.their_state is h11.MUST_CLOSE:
            return bool(data)
    return False


class _Transport(asyncio.Transport):
    """Takes what a parser says to its connection: nothing that matters here."""

    def pause_reading(self) -> None:
        """Ignored: everything is here."""

    def resume_reading(self) -> None:
        """Ignored: everything is here."""


@cache
def _protocol() -> tuple[BaseProtocol, Any]:
    loop = asyncio.new_event_loop()
    loop.close()
    protocol = BaseProtocol(loop)
    protocol.connection_made(_Transport())
    return protocol, loop


def requests_by_aiohttp(data: bytes) -> tuple[list[Reading], bool]:
    """The whole requests in `data`, and whether it read to the end.

    It does not where a request asks for another protocol, since it would grant that.
    """
    protocol, loop = _protocol()
    parser = HttpRequestParserPy(
        protocol, loop, 1 << 26, max_line_size=1 << 20, max_headers=4096, max_field_size=1 << 20,
        auto_decompress=False,
    )  # fmt: skip
    try:
        messages, upgraded, _ = parser.feed_data(data)
    except HttpProcessingError as error:
        raise Unreadable(str(error)) from error
    found: list[Reading] = []
    for message, payload in messages:
        if payload.exception() is not None:
            raise Unreadable(str(payload.exception()))
        if not payload.is_eof():
            break
        body = b"".join(getattr(payload, "_buffer", ()))
        found.append(
            Reading(
                message.method.encode(),
                message.path.encode("utf-8", "surrogateescape"),
                tuple((name.lower(), value) for name, value in message.raw_headers),
                body,
            )
        )
    return found, not upgraded


def requests_in(data: bytes) -> tuple[list[Reading], bool]:
    """The whole requests in `data` by both readers, and whether a part of another follows.

    Raises `AssertionError` where the two do not agree, or one of them refuses the bytes.
    """
    by_h11, more = requests_by_h11(data)
    by_aiohttp, to_the_end = requests_by_aiohttp(data)
    assert by_h11[: len(by_aiohttp)] == by_aiohttp, data
    assert len(by_h11) == len(by_aiohttp) or not to_the_end, data
    return by_h11, more


@dataclass(frozen=True)
class Reply:
    """One answer as far as it came; header names are in lower case."""

    status: int
    headers: HeaderLines
    body: bytes
    trailers: HeaderLines
    whole: bool


def answer_by_h11(
    data: bytes, method: str, *, ended: bool, alone: bool = True
) -> tuple[list[int], Reply]:
    """The statuses of interim answers in `data`, and its one final answer.

    `ended`: the connection ended in order after it. Raises `AssertionError` where anything stands
    behind the answer and it should be `alone`, and `Unreadable` for what is none.
    """
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    if ended:
        parser.receive_data(b"")
    interim: list[int] = []
    head: h11.Response | None = None
    body = b""
    trailers: HeaderLines = ()
    whole = False
    try:
        while not whole:
            event = parser.next_event()
            if isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                trailers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
                whole = True
            else:
                break
    except h11.RemoteProtocolError as error:
        if head is None or (alone and (not ended or parser.trailing_data[0])):
            raise Unreadable(str(error)) from error
    assert head is not None, data
    if whole and alone:
        assert not parser.trailing_data[0], data
    headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
    return interim, Reply(head.status_code, headers, body, trailers, whole)
