"""Heads between HTTP/1.1, in which the gate decides, and HTTP/2, in which an upstream is asked.

An answer is written as the HTTP/1.1 head that it stands for and read by the same reader as any
other, so both versions have one grammar, one set of limits, and one list of what stays behind.
"""

import re
from typing import Final

from passgate.core.headers import drop_from_trailers
from passgate.proxy.answers import STATUS_LINES
from passgate.proxy.http2_request import (
    CONNECTION_FIELDS,
    FIELD_NAME,
    FIELD_VALUE,
    Fields,
    answer_fields,
)
from passgate.proxy.response_head import ResponseHead, ResponseReader
from passgate.proxy.stated_cost import COST, also_stated

_STATUS: Final = re.compile(rb"[1-5][0-9][0-9]")
_FIELD_OVERHEAD: Final = 32  # RFC 9113 section 6.5.2


def request_fields(
    head: bytes, scheme: bytes, *, trailers: bool
) -> list[tuple[bytes, bytes]] | None:
    """The fields of a request head of HTTP/1.1 (without its blank line), or None for an upgrade.

    Host becomes `:authority` and what belongs to a connection is left out (RFC 9113 sections 8.2.2
    and 8.3.1); with `trailers` there is `te: trailers`, the one thing that TE may say.
    """
    line, _, lines = head.partition(b"\r\n")
    method, target, _ = line.split(b" ")
    fields = [(b":method", method), (b":scheme", scheme), (b":path", target)]
    for field in answer_fields(lines):
        name, value = field
        if name == b"upgrade":
            return None
        if name == b"host":
            if value:
                fields.insert(2, (b":authority", value))
        elif name not in CONNECTION_FIELDS and name != b"te":
            fields.append(field)
    if trailers:
        fields.append((b"te", b"trailers"))
    return fields


def read_answer(
    fields: Fields, reader: ResponseReader, header_bytes: int, *, ended: bool, bodiless: bool
) -> ResponseHead | None:
    """The head of an answer, or None where it must not be passed on.

    `ended` where it ends the stream, `bodiless` where no body follows whatever it says (HEAD). As
    read over HTTP/1.1, `length` is `CHUNKED` where a body of unknown length follows, and 0 where
    none does; it is only a declaration where there is no body by the status or the method.

    None for (RFC 9113 sections 8.2 and 8.3): anything but one `:status` in the first place, names
    that are no lower-case tokens, values with control characters or white space around them,
    headers of a connection, an end before the Content-Length, more than `header_bytes` as section
    6.5.2 counts them, 101 (section 8.6), and whatever `ResponseReader.read` refuses.
    """
    if not fields or fields[0][0] != b":status" or _STATUS.fullmatch(fields[0][1]) is None:
        return None
    status = int(fields[0][1])
    if status == 101:
        return None
    lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
    size = 0
    declared = False
    for name, value in fields[1:]:
        size += len(name) + len(value) + _FIELD_OVERHEAD
        if FIELD_NAME.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
            return None
        if name in CONNECTION_FIELDS or name == b"te":
            return None
        if name == b"content-length":
            declared = True
        lines += (name, b": ", value, b"\r\n")
    if size > header_bytes:
        return None
    has_body = status >= 200 and status not in (204, 304) and not bodiless
    if has_body and not declared:
        lines.append(b"content-length: 0\r\n" if ended else b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    head = reader.read(b"".join(lines))
    if head is not None and has_body and ended and head.length:
        return None
    return head


def read_trailers(fields: Fields) -> tuple[list[tuple[bytes, bytes]], bytes] | None:
    """The trailers that may be passed on, and what they say of the cost; None for malformed ones.

    As over HTTP/1.1 (RFC 9110 section 6.5.1, RFC 9113 section 8.1).
    """
    kept = []
    cost = b""
    for name, value in fields:
        if FIELD_NAME.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
            return None
        if name in CONNECTION_FIELDS:
            return None
        if not drop_from_trailers(name):
            kept.append((name, value))
        elif name == COST:
            cost = also_stated(cost, value)
    return kept, cost
