"""Two independent readers of HTTP/1.1, to ask whether bytes have the one reading that we gave them.

h11 and aiohttp's parser in Python share no code with each other nor with llhttp, which the gate
uses.
"""

import asyncio
import itertools
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
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    parser.receive_data(data)
    found: list[Reading] = []
    head: h11.Request | None = None
    body = b""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                if event.headers:
                    raise Unreadable("trailers came")
                headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
                found.append(Reading(bytes(head.method), bytes(head.target), headers, body))
                head = None
                # The parser wants the answer before the next request.
                parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                parser.send(h11.EndOfMessage())
                if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE:
                    return found, bool(parser.trailing_data[0])
                parser.start_next_cycle()
            else:
                return found, head is not None or bool(parser.trailing_data[0])
    except h11.RemoteProtocolError as error:
        raise Unreadable(str(error)) from error


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
    """The whole requests in `data`, and whether anything stands behind them."""
    protocol, loop = _protocol()
    # One request at a time, so that what follows a message is seen as such.
    parser = HttpRequestParserPy(
        protocol, loop, 1 << 26, max_line_size=1 << 20, max_headers=4096, max_field_size=1 << 20,
        auto_decompress=False,
    )  # fmt: skip
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError as error:
        raise Unreadable(str(error)) from error
    found: list[Reading] = []
    for message, payload in messages:
        if payload.exception() is not None:
            raise Unreadable(str(payload.exception()))
        if not payload.is_eof():
            return found, True
        body = b"".join(getattr(payload, "_buffer", ()))
        found.append(
            Reading(
                message.method.encode(),
                message.path.encode("utf-8", "surrogateescape"),
                tuple((name.lower(), value) for name, value in message.raw_headers),
                body,
            )
        )
    assert upgraded or not tail
    return found, bool(tail) or bool(parser._tail or parser._lines)


def requests_in(data: bytes) -> tuple[list[Reading], bool]:
    """The whole requests in `data` by both readers, and whether a part of another follows.

    Raises `AssertionError` where the two do not agree, or one of them refuses the bytes.
    """
    by_h11, more = requests_by_h11(data)
    by_aiohttp, _ = requests_by_aiohttp(data)
    for one, other in itertools.zip_longest(by_h11, by_aiohttp):
        assert one == other, (one, other, data)
    return by_h11, more


@dataclass(frozen=True)
class Reply:
    """One answer as far as it came; header names are in lower case."""

    status: int
    headers: HeaderLines
    body: bytes
    trailers: HeaderLines
    whole: bool


def answer_by_h11(data: bytes, method: str, *, ended: bool) -> tuple[list[int], Reply]:
    """The statuses of interim answers in `data`, and its one final answer.

    `ended`: the connection ended in order after it. Raises `AssertionError` where anything stands
    behind the answer, and `Unreadable` for what is none.
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
        if head is None or not ended or parser.trailing_data[0]:
            raise Unreadable(str(error)) from error
    assert head is not None, data
    if whole:
        assert not parser.trailing_data[0], data
    headers = tuple((bytes(name), bytes(value)) for name, value in head.headers)
    return interim, Reply(head.status_code, headers, body, trailers, whole)
