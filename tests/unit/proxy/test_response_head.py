"""An answer's head has one reading or none, and what it says of one hop goes no further."""

from passgate.proxy.response_head import CHUNKED, UNTIL_CLOSE, ResponseHead, ResponseReader


def head(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((first, *lines, b"", b""))


def read(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> ResponseHead | None:
    return ResponseReader(100).read(head(*lines, first=first))


def test_lengths() -> None:
    """The length is declared, chunked, or the end of the connection."""
    for lines, length in (
        ((b"Content-Length: 5",), 5),
        ((b"Transfer-Encoding: CHUNKED",), CHUNKED),
        ((), UNTIL_CLOSE),
    ):
        found = read(*lines)
        assert found is not None
        assert (found.length, found.lines) == (length, b"HTTP/1.1 200 OK\r\n")


def test_connection_options() -> None:
    """RFC 9112 section 9.3: who keeps the connection, and what Connection names is dropped."""
    for first, option, kept in (
        (b"HTTP/1.1 200 OK", b"X: y", True),
        (b"HTTP/1.1 200 OK", b"Connection: keep-alive", True),
        (b"HTTP/1.1 200 OK", b"Connection: Close", False),
        (b"HTTP/1.0 200 OK", b"X: y", False),
        (b"HTTP/1.0 200 OK", b"Connection: keep-alive", True),
    ):
        found = read(option, first=first)
        assert found is not None
        assert found.keepalive is kept
    found = read(b"Connection: X-A, close", b"X-A: 1", b"X-B: 2")
    assert found is not None
    assert found.lines == b"HTTP/1.1 200 OK\r\nX-B: 2\r\n"


def test_the_same_head_again() -> None:
    """A head that comes again reads the same, and another one in between changes nothing."""
    reader = ResponseReader(100)
    one, two = head(b"X: 1", b"Content-Length: 1"), head(b"X: 2", b"Content-Length: 2")

    lengths = []
    for each in (one, one, two, one, b"junk\r\n\r\n", two, two):
        found = reader.read(each)
        lengths.append(None if found is None else (found.length, found.lines[-3:-2]))
    assert lengths == [(1, b"1"), (1, b"1"), (2, b"2"), (1, b"1"), None, (2, b"2"), (2, b"2")]


def test_unknown_names_are_read_alike_every_time() -> None:
    """What is remembered of names does not depend on their case."""
    for name in (b"x-PASSPORT-agent", b"X-Passport-Agent", b"x_passport_agent", b"PASSPORT-Budget"):
        for _ in range(2):
            found = read(name + b": root", b"Date: now")
            assert found is not None
            assert found.lines == b"HTTP/1.1 200 OK\r\nDate: now\r\n"
            assert found.dated
