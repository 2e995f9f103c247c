"""How the gate's own answers look on the wire."""

from http import HTTPStatus
from typing import Final

from passgate.proxy.steps import Answer

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


def render(answer: Answer, date_line: bytes, *, minor: int, head_only: bool, close: bool) -> bytes:
    """The whole of `answer` for a client of HTTP/1.`minor`.

    Framing, Date and Connection are added here and must not be among its headers. `head_only` is
    for HEAD: the length is that of the body which is left out (RFC 9110 section 9.3.2).
    """
    status = answer.status
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    if close:
        connection = b"Connection: close\r\n\r\n"
    elif minor:
        connection = b"\r\n"
    else:
        connection = b"Connection: keep-alive\r\n\r\n"
    if status == 204 or status == 304:
        return b"".join((line, answer.headers, date_line, connection))
    body = answer.body
    length = b"Content-Length: %d\r\n" % len(body)
    return b"".join(
        (line, answer.headers, length, date_line, connection, b"" if head_only else body)
    )
