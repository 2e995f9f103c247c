"""Heads between the versions of HTTP: nothing is lost, nothing is smuggled."""

import pytest

from passgate.proxy.response_head import CHUNKED, UNTIL_CLOSE, ResponseReader
from passgate.proxy.upstream_http2_body import RequestBody
from passgate.proxy.upstream_http2_head import read_answer, read_trailers, request_fields

HEAD = b"GET /a?b HTTP/1.1\r\nHost: api.test\r\nX-A: 1\r\nX-B:  two words \r\n"


def read(*fields: tuple[bytes, bytes], ended: bool = False, bodiless: bool = False) -> object:
    return read_answer(list(fields), ResponseReader(100), 4096, ended=ended, bodiless=bodiless)


def test_pseudo_headers_come_first() -> None:
    """RFC 9113 section 8.3: in front of every other field, Host as the authority."""
    assert request_fields(HEAD, b"https", trailers=False) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"api.test"),
        (b":path", b"/a?b"),
        (b"x-a", b"1"),
        (b"x-b", b"two words"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: close",
        b"Transfer-Encoding: chunked",
        b"TE: gzip",
        b"HTTP2-Settings: AAAA",
    ],
)
def test_what_belongs_to_a_connection_stays_behind(line: bytes) -> None:
    """RFC 9113 section 8.2.2."""
    with_line = request_fields(HEAD + line + b"\r\n", b"http", trailers=False)
    assert with_line == request_fields(HEAD, b"http", trailers=False)


def test_te_is_exactly_trailers() -> None:
    """RFC 9113 section 8.2.2: the one value that TE may have."""
    fields = request_fields(HEAD, b"http", trailers=True)
    assert fields is not None
    assert fields[-1] == (b"te", b"trailers")


def test_a_request_of_http10_has_no_authority() -> None:
    """RFC 9113 section 8.3.1: an empty one must not be made up."""
    fields = request_fields(b"GET / HTTP/1.1\r\nHost: \r\n", b"http", trailers=False)
    assert fields == [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]


def test_an_upgrade_has_no_fields() -> None:
    """There is no request of HTTP/2 that asks for one."""
    head = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    assert request_fields(head, b"http", trailers=False) is None


@pytest.mark.parametrize(
    ("fields", "ended", "bodiless", "length"),
    [
        ([(b":status", b"200")], False, False, CHUNKED),
        ([(b":status", b"200")], True, False, 0),
        ([(b":status", b"200"), (b"content-length", b"3")], False, False, 3),
        ([(b":status", b"200"), (b"content-length", b"3")], True, True, 3),
        ([(b":status", b"200")], True, True, UNTIL_CLOSE),
        ([(b":status", b"304"), (b"content-length", b"3")], True, False, 3),
        ([(b":status", b"103")], False, False, UNTIL_CLOSE),
    ],
)
def test_how_long_an_answer_is(
    fields: list[tuple[bytes, bytes]], ended: bool, bodiless: bool, length: int
) -> None:
    """What a client of HTTP/1.1 must be told, from what HTTP/2 says by the end of a stream."""
    head = read_answer(fields, ResponseReader(100), 4096, ended=ended, bodiless=bodiless)
    assert head is not None
    assert head.length == length


def test_a_status_without_a_phrase() -> None:
    """Its line is one of HTTP/1.1 all the same."""
    head = read_answer(
        [(b":status", b"299"), (b"x", b"")], ResponseReader(100), 4096, ended=True, bodiless=False
    )
    assert head is not None
    assert head.lines == b"HTTP/1.1 299 \r\nx: \r\n"


def test_what_only_the_gate_may_say_stays_behind() -> None:
    """As over HTTP/1.1."""
    head = read_answer(
        [(b":status", b"200"), (b"passport-decision", b"allow"), (b"x-passport-id", b"1")],
        ResponseReader(100),
        4096,
        ended=True,
        bodiless=False,
    )
    assert head is not None
    assert head.lines == b"HTTP/1.1 200 OK\r\n"


def test_header_lists_are_counted_as_http2_does() -> None:
    """RFC 9113 section 6.5.2: each field costs 32 bytes more than it has."""
    field = (b"x", b"y" * 31)
    assert read((b":status", b"200"), *[field] * 64, ended=True) is not None
    assert read((b":status", b"200"), *[field] * 65, ended=True) is None


def test_trailers() -> None:
    """Those that must not be there are left out, malformed ones spoil the answer."""
    kept = [(b"grpc-status", b"0"), (b"x-raw-bin", b"AP8")]
    forged = [(b"x-passport-id", b"1"), (b"content-length", b"1"), (b"passport-decision", b"x")]
    assert read_trailers([*kept, *forged]) == (kept, b"")
    cost = (b"x-passport-cost-cents", b"7")
    assert read_trailers([*kept, cost]) == (kept, b"7")
    assert read_trailers([cost, *kept, cost]) == (kept, b"7,7")
    for field in (
        (b":status", b"200"),
        (b"X", b"y"),
        (b"x", b"a\r\nb"),
        (b"connection", b"x"),
    ):
        assert read_trailers([*kept, field]) is None


def test_a_body_goes_out_as_the_windows_allow() -> None:
    """No byte twice, none lost, and the end with the last of them."""
    body = RequestBody()
    body.begin(ended=False)
    body.put(memoryview(b"abcde"), last=False)
    assert body.take(0) is None
    assert bytes(body.take(3) or b"") == b"abc"
    assert (body.size, body.sent, body.untaken) == (2, False, 4096)
    assert bytes(body.take(9) or b"") == b"de"
    assert body.take(9) is None
    body.put(memoryview(b""), last=True)
    end = body.take(0)
    assert (end, body.sent) == (memoryview(b""), True)
    assert body.take(9) is None


def test_a_body_that_waits_holds_up_its_client_once() -> None:
    """Full above 64 KiB, and drained below 16 KiB: each is told once."""
    body = RequestBody()
    body.begin(ended=False)
    body.put(memoryview(bytes(64 * 1024)), last=False)
    assert not body.fills()
    body.put(memoryview(b"x"), last=True)
    assert body.fills()
    assert not body.fills()
    assert not body.drains()
    body.take(50 * 1024)
    assert body.drains()
    assert not body.drains()
    assert not body.sent
    body.take(99 * 1024)
    assert bytes(body.take(1) or b"") == b"x"
    assert body.sent


def test_a_request_without_a_body_has_ended() -> None:
    """Its head ended it: nothing more is sent."""
    body = RequestBody()
    body.begin(ended=True)
    assert body.sent
    assert body.take(9) is None
