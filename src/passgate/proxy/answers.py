"""How answers look on the wire of HTTP/1.1: the gate's own, and the frame of the upstream's."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
"""The status line of each status that has a reason phrase."""


def render(answer: Answer, date_line: bytes, *, minor: int, head_only: bool, close: bool) -> bytes:
    """The whole of `answer` for a client of HTTP/1.`minor`.

    Framing, Date and Connection are added here and must not be among its headers. `head_only` is
    for HEAD: the length is that of the body which is left out (RFC 9110 section 9.3.2).
    """
    status = answer.status
    line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    connection = connection_lines(close, minor)
    if status == 204 or status == 304:
        return b"".join((line, answer.headers, date_line, connection))
    body = answer.body
    length = b"Content-Length: %d\r\n" % len(body)
    return b"".join(
        (line, answer.headers, length, date_line, connection, b"" if head_only else body)
    )


def connection_lines(close: bool, minor: int) -> bytes:
    """What ends a head: whether the connection persists, where that is not the default."""
    if close:
        return b"Connection: close\r\n\r\n"
    return b"\r\n" if minor else b"Connection: keep-alive\r\n\r\n"


def length_line(head: ResponseHead) -> bytes:
    """The Content-Length of an answer; none where it is not known, and never with 204."""
    length = head.length
    return b"" if length < 0 or head.status == 204 else b"Content-Length: %d\r\n" % length


def streamed_head(
    head: ResponseHead,
    lines: bytes,
    date_line: bytes,
    data: bytes,
    minor: int,
    *,
    chunked: bool,
    close: bool,
) -> bytes:
    """The head of an answer whose end is still to come, and the first `data` of its body."""
    framing = length_line(head)
    if chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
        if head.trailer:
            framing += b"Trailer: %b\r\n" % head.trailer
        if data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
    return b"".join(
        (
            head.lines,
            lines,
            b"" if head.dated else date_line,
            framing,
            connection_lines(close, minor),
            data,
        )
    )


def last_chunk(trailers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The end of a chunked body, with its trailers (RFC 9112 section 7.1.2)."""
    return b"0\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % field for field in trailers])
