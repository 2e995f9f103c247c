"""A request of HTTP/2 has the reading of the HTTP/1.1 request that it stands for, or none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.proxy.http2_request import answer_fields, read_request, trailer_fault
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead, RequestReader

Field = tuple[bytes, bytes]


def pseudo(**changes: bytes | None) -> list[Field]:
    """The pseudo-headers of a GET, changed or left out."""
    fields = {"method": b"GET", "scheme": b"https", "authority": b"gate.test", "path": b"/x"}
    return [
        (b":%b" % name.encode(), value)
        for name, value in (fields | changes).items()
        if value is not None
    ]


def read(
    fields: list[Field], *, ended: bool = True, tls: bool = True, header_bytes: int = 16384
) -> RequestHead | Fault:
    return read_request(fields, RequestReader(100, 8192), header_bytes, ended=ended, tls=tls)


def test_plain_request() -> None:
    """The authority is the Host header, and everything else is as it stood there."""
    request = read([*pseudo(path=b"/a?b=%20"), (b"x-y", b"z"), (b"accept", b"")])

    assert isinstance(request, RequestHead)
    assert (request.method, request.target, request.minor) == ("GET", b"/a?b=%20", 1)
    assert request.headers == [(b"host", b"gate.test"), (b"x-y", b"z"), (b"accept", b"")]
    assert (request.length, request.framing, request.upgrade) == (0, b"\r\n", b"")


def test_body_of_unknown_length_is_chunked_to_the_upstream() -> None:
    """A request that goes on without a Content-Length has the framing of a chunked body."""
    request = read(pseudo(method=b"POST"), ended=False)

    assert isinstance(request, RequestHead)
    assert request.length == CHUNKED
    assert request.framing == b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("digits", "length"), [(b"5", 5), (b"0", 0)])
def test_body_of_known_length(digits: bytes, length: int) -> None:
    """Content-Length frames the upstream's request as over HTTP/1.1."""
    request = read([*pseudo(method=b"POST"), (b"content-length", digits)], ended=False)

    assert isinstance(request, RequestHead)
    assert request.length == length


def test_cookie_crumbs_are_one_header() -> None:
    """RFC 9113 section 8.2.3: cookies that were split are joined, where the first one stood."""
    request = read(
        [*pseudo(), (b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"), (b"x", b"y")]
    )

    assert isinstance(request, RequestHead)
    assert request.headers[1:] == [(b"cookie", b"a=1; b=2"), (b"accept", b"*/*"), (b"x", b"y")]


def test_content_length_that_is_a_cookie_declares_nothing() -> None:
    """Only the header itself announces a body."""
    request = read([*pseudo(method=b"POST"), (b"cookie", b"content-length")], ended=False)

    assert isinstance(request, RequestHead)
    assert request.length == CHUNKED


def test_host_alone_names_the_authority() -> None:
    """RFC 9113 section 8.3.1: an intermediary may send Host and no :authority."""
    request = read([*pseudo(authority=None), (b"host", b"gate.test")])

    assert isinstance(request, RequestHead)
    assert request.headers == [(b"host", b"gate.test")]


MALFORMED: dict[str, list[Field]] = {
    # RFC 9113 section 8.3.1: pseudo-headers.
    "8.3.1 no method": pseudo(method=None),
    "8.3.1 no scheme": pseudo(scheme=None),
    "8.3.1 no path": pseudo(path=None),
    "8.3.1 no authority": pseudo(authority=None),
    "8.3.1 empty path": pseudo(path=b""),
    "8.3.1 path without slash": pseudo(path=b"x"),
    "8.3.1 absolute path": pseudo(path=b"https://gate.test/x"),
    "8.3.1 asterisk but not OPTIONS": pseudo(path=b"*"),
    "8.3.1 space in path": pseudo(path=b"/x HTTP/1.1"),
    "8.3.1 line break in path": pseudo(path=b"/x HTTP/1.1\r\nX-A: b"),
    "8.3.1 obs-text in path": pseudo(path=b"/\xe4"),
    "8.3.1 empty authority": pseudo(authority=b""),
    "8.3.1 user information": pseudo(authority=b"user@gate.test"),
    "8.3.1 path in authority": pseudo(authority=b"gate.test/x"),
    "8.3.1 space in authority": pseudo(authority=b"gate.test x"),
    "8.3.1 Host differs": [*pseudo(), (b"host", b"other.test")],
    "8.3.1 two Hosts": [*pseudo(), (b"host", b"gate.test"), (b"host", b"gate.test")],
    "8.3.1 clear text within TLS": pseudo(scheme=b"http"),
    "8.3.1 another scheme": pseudo(scheme=b"ftp"),
    "8.3.1 injected scheme": pseudo(scheme=b"https://evil.test/?"),
    "8.3.1 scheme in capitals": pseudo(scheme=b"HTTPS"),
    "8.3.1 empty method": pseudo(method=b""),
    "8.3.1 method with a space": pseudo(method=b"GET /admin HTTP/1.1\r\nHost: x"),
    "8.3 repeated": [*pseudo(), (b":path", b"/x")],
    "8.3 behind a header": [(b"x", b"y"), *pseudo()],
    "8.3 unknown": [*pseudo(), (b":foo", b"bar")],
    "8.3 of an answer": [*pseudo(), (b":status", b"200")],
    "8.3 bare colon": [*pseudo(), (b":", b"x")],
    "8.5 CONNECT": [(b":method", b"CONNECT"), (b":authority", b"gate.test:443")],
    "8441 extended CONNECT": [*pseudo(method=b"CONNECT"), (b":protocol", b"websocket")],
    "8441 :protocol without CONNECT": [*pseudo(), (b":protocol", b"websocket")],
    "9110 9.3.8 TRACE": pseudo(method=b"TRACE"),
    # RFC 9113 section 8.2.
    "8.2.1 name in capitals": [*pseudo(), (b"X-Y", b"z")],
    "8.2.1 empty name": [*pseudo(), (b"", b"z")],
    "8.2.1 space in name": [*pseudo(), (b"x y", b"z")],
    "8.2.1 colon in name": [*pseudo(), (b"x:y", b"z")],
    "8.2.1 line break in name": [*pseudo(), (b"x\r\ny", b"z")],
    "8.2.1 obs-text in name": [*pseudo(), (b"x\xe4", b"z")],
    "8.2.1 line feed in value": [*pseudo(), (b"x", b"y\nz: 1")],
    "8.2.1 carriage return in value": [*pseudo(), (b"x", b"y\rz")],
    "8.2.1 NUL in value": [*pseudo(), (b"x", b"y\0z")],
    "8.2.1 DEL in value": [*pseudo(), (b"x", b"y\x7fz")],
    "8.2.1 space before value": [*pseudo(), (b"x", b" y")],
    "8.2.1 tab behind value": [*pseudo(), (b"x", b"y\t")],
    "8.2.2 Connection": [*pseudo(), (b"connection", b"close")],
    "8.2.2 Connection keep-alive": [*pseudo(), (b"connection", b"keep-alive")],
    "8.2.2 Keep-Alive": [*pseudo(), (b"keep-alive", b"1")],
    "8.2.2 Proxy-Connection": [*pseudo(), (b"proxy-connection", b"keep-alive")],
    "8.2.2 Transfer-Encoding": [*pseudo(), (b"transfer-encoding", b"chunked")],
    "8.2.2 Upgrade": [*pseudo(), (b"upgrade", b"h2c")],
    "8.2.2 HTTP2-Settings": [*pseudo(), (b"http2-settings", b"AAMAAABkAARAAAAAAAIAAAAA")],
    "8.2.2 TE": [*pseudo(), (b"te", b"gzip, trailers")],
    "8.1.1 body missing": [*pseudo(method=b"POST"), (b"content-length", b"5")],
    "9110 8.6 lengths differ": [*pseudo(), (b"content-length", b"0"), (b"content-length", b"1")],
    "9110 8.6 length twice": [*pseudo(), (b"content-length", b"0"), (b"content-length", b"0")],
    "9110 8.6 length with a sign": [*pseudo(), (b"content-length", b"+0")],
    "9110 8.6 length no number": [*pseudo(), (b"content-length", b"0x0")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_malformed(fields: list[Field]) -> None:
    """A malformed request is refused with 400, and nothing of it becomes a head."""
    found = read(fields)

    assert isinstance(found, Fault)
    assert found.status == 400


@pytest.mark.parametrize(
    "fields",
    [
        pseudo(),
        pseudo(method=b"OPTIONS", path=b"*"),
        [*pseudo(), (b"te", b"trailers")],
        [*pseudo(), (b"host", b"GATE.test")],
        [*pseudo(), (b"x", b"a\tb c\xe4")],
        [*pseudo(method=b"POST"), (b"content-length", b"0")],
    ],
)
def test_accepted(fields: list[Field]) -> None:
    """What RFC 9113 allows is read."""
    assert isinstance(read(fields), RequestHead)


def test_clear_text_may_stand_behind_tls() -> None:
    """Without TLS of its own the gate takes either scheme, and believes neither."""
    for scheme in (b"http", b"https"):
        assert isinstance(read(pseudo(scheme=scheme), tls=False), RequestHead)


def test_limits_are_those_of_http1() -> None:
    """Header list, number of headers and target are bounded, with the statuses of HTTP/1.1."""
    many = [(b"x-%d" % n, b"") for n in range(100)]
    for fields, status in (
        ([*pseudo(), (b"x", b"y" * 17_000)], 431),
        ([*pseudo(), *many], 431),
        (pseudo(path=b"/" + b"x" * 8192), 414),
        (pseudo(method=b"BREW"), 501),
        ([*pseudo(), (b"expect", b"tea")], 417),
    ):
        found = read(fields)
        assert isinstance(found, Fault)
        assert found.status == status


NAMES = st.one_of(
    st.sampled_from(
        b":method :path :scheme :authority host cookie te x-a content-length transfer-encoding "
        b"connection upgrade expect X-A".split()
    ),
    st.binary(max_size=8),
)
VALUES = st.one_of(
    st.sampled_from([b"GET", b"/", b"https", b"http", b"gate.test", b"trailers", b"0", b"5", b""]),
    st.binary(max_size=12),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.booleans(), st.booleans())
def test_whatever_is_read_has_one_reading(more: list[Field], ended: bool, whole: bool) -> None:
    """Any fields are refused, or read as exactly the headers that they are: no field makes two."""
    fields = [*pseudo(), *more] if whole else more
    found = read(fields, ended=ended)

    if isinstance(found, RequestHead):
        plain = [f for f in fields if f[0][:1] != b":" and f[0] not in (b"host", b"cookie")]
        read_back = [
            f for f in found.headers if f[0] not in (b"host", b"cookie", b"transfer-encoding")
        ]
        assert read_back == plain
        assert found.method.encode() == dict(fields)[b":method"]
        assert found.target == dict(fields)[b":path"]
        assert not found.upgrade
        for name, value in found.headers:
            assert re.search(rb"[\r\n\0]", name + value) is None


@pytest.mark.parametrize(
    "fields",
    [
        [(b":path", b"/")],
        [(b"X-A", b"b")],
        [(b"content-length", b"5")],
        [(b"transfer-encoding", b"chunked")],
        [(b"host", b"x")],
        [(b"authorization", b"x")],
        [(b"x-passport-id", b"x")],
        [(b"connection", b"x")],
        [(b"x", b"a\r\nb")],
    ],
)
def test_trailers_must_not_frame_route_or_authenticate(fields: list[Field]) -> None:
    """RFC 9110 section 6.5.1, and no pseudo-headers (RFC 9113 section 8.1)."""
    assert trailer_fault(fields) is not None


def test_harmless_trailers() -> None:
    """Other trailers are no fault."""
    assert trailer_fault([(b"x-checksum", b"abc"), (b"grpc-status", b"0")]) is None


def test_answer_fields() -> None:
    """Header lines become fields with names in lower case and values without outer white space."""
    assert answer_fields(b"Content-Type: text/plain \r\nX-A:b\r\nX-C: d: e\r\n") == [
        (b"content-type", b"text/plain"),
        (b"x-a", b"b"),
        (b"x-c", b"d: e"),
    ]
