"""The chunked coding has one reading, however its bytes are cut."""

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.proxy.chunked import ChunkedReader

WHOLE = b'5;a=b;c="d e";f\r\nhello\r\n00006\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n'


def read(*packets: bytes, limit: int = 1000, strict: bool = False) -> tuple[bytes, ChunkedReader]:
    reader = ChunkedReader(limit, strict_trailers=strict)
    data = b""
    for packet in packets:
        data += b"".join(reader.feed(packet))
        if reader.done or reader.fault or reader.too_large:
            break
    return data, reader


def test_whole_body() -> None:
    """Data, trailers and what comes behind are told apart."""
    data, reader = read(WHOLE + b"GET /next")

    assert (data, reader.done, reader.rest) == (b"hello world", True, b"GET /next")
    assert reader.trailers == [(b"X-Sum", b"1")]


@pytest.mark.parametrize("at", range(1, len(WHOLE)))
def test_cut_anywhere(at: int) -> None:
    """A body cut in two is the same body."""
    data, reader = read(WHOLE[:at], WHOLE[at:])

    assert (data, reader.done, reader.rest) == (b"hello world", True, b"")
    assert reader.trailers == [(b"X-Sum", b"1")]


@pytest.mark.parametrize("at", range(1, len(WHOLE)))
def test_unfinished_body_is_not_done(at: int) -> None:
    """No beginning of a body is a body."""
    _, reader = read(WHOLE[:at])

    assert not reader.done
    assert not reader.fault


def test_limit_counts_the_data() -> None:
    """The limit is on data, to the byte."""
    assert read(b"5\r\nhello\r\n0\r\n\r\n", limit=5)[1].done
    data, reader = read(b"3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n", limit=5)
    assert (data, reader.too_large, reader.done) == (b"", True, False)


def test_huge_chunk_is_refused_by_its_size() -> None:
    """A chunk that passes the limit is refused before its data comes."""
    assert read(b"FFFFFFFFFFFFFFF\r\n", limit=1 << 40)[1].too_large
    assert read(b"1000000000000000\r\n", limit=1 << 62)[1].fault


@pytest.mark.parametrize("trailer", [b"Content-Length: 1", b"Host: a", b"X-Passport-Id: 1"])
def test_forbidden_trailers(trailer: bytes) -> None:
    """RFC 9110 section 6.5.1: such a trailer is a fault of a request, and left out of an answer."""
    body = b"0\r\nX: y\r\n%b\r\n\r\n" % trailer

    assert read(body)[1].trailers == [(b"X", b"y")]
    assert read(body, strict=True)[1].fault == "A trailer is not allowed."


@pytest.mark.parametrize(
    "bad", [b"g", b"5 ", b" 5", b"5\rx", b"\r\n", b"5\n", b"\t", b"+", b"0x", b"5;", b"5;a=\n"]
)
def test_junk_is_refused_without_waiting(bad: bytes) -> None:
    """What can never become a chunk size is a fault at once, or with the end of its line."""
    assert read(bad, b"\r\n")[1].fault


def test_line_that_never_ends() -> None:
    """A size line or trailers without end are not kept for long."""
    assert read(b"5;" + b"a" * 255)[1].fault
    assert read(b"0\r\n" + b"X: y\r\n" * 2000)[1].fault
    assert (
        read(*[b"1;%b\r\nx\r\n" % (b"a" * 200)] * 30)[1].fault
        == "The chunk extensions are too long."
    )


@given(st.binary(max_size=40), st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes(tail: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anyhow, read alike; what is accepted, a stricter-than-RFC reader takes too."""
    body = WHOLE[:16] + tail + WHOLE[16:]
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    packets = [body[a:b] for a, b in itertools.pairwise(bounds) if a < b]

    data, reader = read(*packets)
    at_once, other = read(body)
    assert (reader.done, bool(reader.fault)) == (other.done, bool(other.fault))
    if reader.done:
        assert data == at_once
        oracle = h11.Connection(h11.SERVER)
        oracle.receive_data(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        )
        seen = b""
        while not isinstance(event := oracle.next_event(), h11.EndOfMessage):
            seen += bytes(event.data) if isinstance(event, h11.Data) else b""
        assert data == seen
