"""Strict recognizers of what the gate writes: whole messages, one after another, and a last part.

They know nothing of the gate's own readers. What they do not recognize is a finding.
"""

import re
from dataclasses import dataclass

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_LINE = _TCHAR + rb"++: ?[\t\x20-\x7e\x80-\xff]*+\r\n"
_REQUEST = re.compile(
    rb"(" + _TCHAR + rb"++) (\*|/[\x21-\x7e]*+) HTTP/1\.1\r\n((?:" + _LINE + rb")*+)\r\n"
)
_ANSWER = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*+\r\n((?:" + _LINE + rb")*+)\r\n"
)
_LENGTH = re.compile(rb"(?im)^content-length: ([^\r]*)\r$")
_CODING = re.compile(rb"(?im)^transfer-encoding: ([^\r]*)\r$")
_NUMBER = re.compile(rb"(?m)^X-Number: ([0-9]+)\r$")
_CLOSE = re.compile(rb"(?im)^connection: close\r$")
_CHUNK = re.compile(rb"([0-9a-f]++)\r\n")
_TRAILERS = re.compile(rb"(?:" + _LINE + rb")*+\r\n")
_UPGRADE = re.compile(rb"(?im)^upgrade: ([^\r]*)\r$")


class Confused(AssertionError):  # noqa: N818 - it is what the gate is
    """The gate has written what is no sequence of messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message; `first` is the method or the status, `end` where the next one begins."""

    first: bytes
    target: bytes
    lines: bytes
    body: bytes
    number: int
    end: int
    closes: bool


def _number(lines: bytes) -> int:
    found = _NUMBER.findall(lines)
    if len(found) > 1:
        raise Confused(f"two numbers in one message: {lines!r}")
    return int(found[0]) if found else 0


def _framing(lines: bytes) -> int | None:
    """The body's length, -1 for chunks, None where nothing is said."""
    lengths = _LENGTH.findall(lines)
    codings = _CODING.findall(lines)
    if len(lengths) + len(codings) > 1:
        raise Confused(f"framed twice: {lines!r}")
    if codings:
        if codings != [b"chunked"]:
            raise Confused(f"an odd coding: {lines!r}")
        return -1
    if not lengths:
        return None
    if not lengths[0].isdigit():
        raise Confused(f"an odd length: {lines!r}")
    return int(lengths[0])


def _body(data: bytes, at: int, length: int) -> tuple[bytes, int] | None:
    """The body that begins at `at` and where it ends; None where it is not whole."""
    if length >= 0:
        return (data[at : at + length], at + length) if len(data) >= at + length else None
    body = b""
    while True:
        chunk = _CHUNK.match(data, at)
        if chunk is None:
            rest = data[at:]
            if re.fullmatch(rb"[0-9a-f]*\r?", rest) is None:
                raise Confused(f"an odd chunk: {rest[:80]!r}")
            return None
        size = int(chunk[1], 16)
        at = chunk.end()
        if not size:
            trailers = _TRAILERS.match(data, at)
            if trailers is None:
                return None
            return body, trailers.end()
        if len(data) < at + size + 2:
            if data[at + size : at + size + 2] not in (b"", b"\r"):
                raise Confused(f"a chunk without an end: {data[at:]!r}")
            return None
        body += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n":
            raise Confused(f"a chunk without an end: {data[at:]!r}")
        at += 2


def next_request(data: bytes, at: int) -> Message | None:
    """The whole request at `at`, or None where it is not all there."""
    if at == len(data):
        return None
    match = _REQUEST.match(data, at)
    if match is None:
        raise Confused(f"no request: {data[at:][:200]!r}")
    method, target, lines = match.groups()
    length = _framing(lines)
    found = _body(data, match.end(), length or 0)
    if found is None:
        return None
    body, end = found
    return Message(
        method, target, lines, body, _number(lines), end, _CLOSE.search(lines) is not None
    )


def head_of_request(data: bytes, at: int) -> int:
    """The number of the request at `at`, whose body may be missing; 0 where there is none."""
    match = _REQUEST.match(data, at)
    return 0 if match is None else _number(match[3])


def next_answer(data: bytes, at: int, method: str, *, ended: bool) -> Message | None:
    """The whole answer at `at` to a request of this method, or None where it is not all there.

    `ended`: the connection was ended in order.
    """
    if at == len(data):
        return None
    match = _ANSWER.match(data, at)
    if match is None:
        raise Confused(f"no answer: {data[at:][:200]!r}")
    status, lines = match.groups()
    length = _framing(lines)
    at = match.end()
    body = b""
    if status[:1] == b"1" or method == "HEAD" or status in (b"204", b"304"):
        pass
    elif length is None:
        if not ended:
            return None
        body, at = data[at:], len(data)
    else:
        found = _body(data, at, length)
        if found is None:
            return None
        body, at = found
    return Message(status, b"", lines, body, _number(lines), at, _CLOSE.search(lines) is not None)
