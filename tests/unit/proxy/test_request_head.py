"""A request head has one reading or none."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.proxy.request_head import CHUNKED, Fault, RequestHead, RequestReader, early_fault


def read(head: bytes) -> RequestHead | Fault:
    return RequestReader(100, 8192).read(head)


def head(*lines: bytes, first: bytes = b"POST /x HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: a", *lines, b"", b""))


def test_plain_request() -> None:
    """Method, target and headers come out as they stood there."""
    request = read(head(b"X-Y:  z \t", first=b"GET /a?b=%20 HTTP/1.1"))

    assert isinstance(request, RequestHead)
    assert (request.method, request.target, request.minor) == ("GET", b"/a?b=%20", 1)
    assert request.headers == [(b"Host", b"a"), (b"X-Y", b"z")]
    assert (request.length, request.framing, request.keepalive) == (0, b"\r\n", True)


def test_one_reader_reads_many() -> None:
    """A reader keeps nothing from one head to the next, whatever became of the first."""
    reader = RequestReader(100, 8192)
    for first in (
        head(b"Content-Length: 5"),
        head(b"Transfer-Encoding: chunked"),
        head(b"Connection: upgrade", b"Upgrade: websocket"),
        head(b"X : y"),
        head(b"Content-Length: 5", b"Content-Length: 5"),
        head(first=b"BREW / HTTP/1.1"),
    ):
        reader.read(first)
        request = reader.read(head(b"X: y"))
        assert isinstance(request, RequestHead)
        assert request.headers == [(b"Host", b"a"), (b"X", b"y")]


@pytest.mark.parametrize(
    ("lines", "length", "framing"),
    [
        ((b"Content-Length: 5",), 5, b"Content-Length: 5\r\n\r\n"),
        ((b"content-length:\t005 ",), 5, b"Content-Length: 5\r\n\r\n"),
        ((b"Content-Length: 0",), 0, b"Content-Length: 0\r\n\r\n"),
        ((b"Transfer-Encoding: Chunked",), CHUNKED, b"Transfer-Encoding: chunked\r\n\r\n"),
        ((b"Connection: close",), 0, b"\r\n"),
    ],
)
def test_framing(lines: tuple[bytes, ...], length: int, framing: bytes) -> None:
    """Towards the upstream there is one spelling of each framing."""
    request = read(head(*lines))

    assert isinstance(request, RequestHead)
    assert (request.length, request.framing) == (length, framing)


@pytest.mark.parametrize(
    ("lines", "version", "keepalive"),
    [
        ((), b"1.1", True),
        ((b"Connection: keep-alive",), b"1.1", True),
        ((b"Connection: x, CLOSE",), b"1.1", False),
        ((b"Connection: keep-alive", b"Connection: close"), b"1.1", False),
        ((), b"1.0", False),
        ((b"Connection: Keep-Alive",), b"1.0", True),
        ((b"Connection: keep-alive, close",), b"1.0", False),
    ],
)
def test_persistence(lines: tuple[bytes, ...], version: bytes, keepalive: bool) -> None:
    """RFC 9112 section 9.3."""
    request = read(head(*lines, first=b"GET / HTTP/" + version))

    assert isinstance(request, RequestHead)
    assert request.keepalive is keepalive


def test_expectation_counts_only_with_a_body() -> None:
    """RFC 9110 section 10.1.1: without a body, and in HTTP/1.0, there is nothing to wait for."""
    with_body = read(head(b"Expect: 100-Continue", b"Content-Length: 1"))
    without = read(head(b"Expect: 100-continue"))
    old = read(head(b"Expect: anything", b"Content-Length: 1", first=b"POST / HTTP/1.0"))

    assert isinstance(with_body, RequestHead)
    assert isinstance(without, RequestHead)
    assert isinstance(old, RequestHead)
    assert (with_body.expects, without.expects, old.expects) == (True, False, False)


@pytest.mark.parametrize(
    "start",
    [b"G", b"GET ", b"GET /x HTTP/1.1\r", b"GET /x HTTP/1.1\r\nHost: a\r\n", b"\r", b"\r\nGET"],
)
def test_good_beginnings(start: bytes) -> None:
    """A head that may still become one is waited for."""
    assert early_fault(start, 0, 1000, 100) is None


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"\n", 400),
        (b" GET", 400),
        (b"\x16\x03\x01", 400),
        (b"GET /x HTTP/1.1\n", 400),
        (b"GET /x\rH", 400),
        (b"GET /\0", 400),
        (b"GET /" + b"x" * 200, 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200, 431),
    ],
)
def test_bad_beginnings(start: bytes, status: int) -> None:
    """A head that never will be one is refused at once."""
    fault = early_fault(start, 0, 1000, 100)

    assert fault is not None
    assert fault.status == status


PIECES = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"Host: b", b"Content-Length: 1"]


@given(st.data())
def test_what_is_accepted_an_independent_parser_accepts_alike(data: st.DataObject) -> None:
    """A damaged head is refused, or read as h11 reads it."""
    raw = bytearray(head(b"X: y", b"Content-Length: 0"))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw) - 4))
        raw[at:at] = data.draw(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=1))
    if raw.find(b"\r\n\r\n") != len(raw) - 4:
        return  # the connection hands over one head at a time

    request = read(bytes(raw))

    if isinstance(request, RequestHead) and request.minor:
        oracle = h11.Connection(h11.SERVER)
        oracle.receive_data(bytes(raw).removeprefix(b"\r\n"))
        event = oracle.next_event()
        assert isinstance(event, h11.Request)
        assert event.target == request.target
        assert event.method == request.method.encode()
        lower = [(name.lower(), value) for name, value in request.headers]
        assert list(event.headers) == lower
