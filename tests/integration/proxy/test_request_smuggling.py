"""What two readers could take for different requests is answered with 400, and goes nowhere."""

import itertools
from collections.abc import Iterator

import pytest
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import RawUpstream, until


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def planes(request: pytest.FixtureRequest) -> Iterator[tuple[RawUpstream, DataPlane]]:
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, plain_asyncio=request.param == "asyncio") as plane,
    ):
        yield upstream, plane


def head(*lines: bytes, first: bytes = b"POST /x HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join((first, host, *lines, b"", b""))


CL5 = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"
BODY = b"0\r\n\r\n"

# Each is one whole message as an attacker would send it; the name begins with its rule.
REFUSED = {
    "rfc9112-6.1 content-length with transfer-encoding": head(CL5, TE) + BODY,
    "rfc9112-6.1 transfer-encoding with content-length": head(TE, CL5) + BODY,
    "rfc9112-6.3 two different content-lengths": head(CL5, b"Content-Length: 6") + b"hello",
    "rfc9112-6.3 the same content-length twice": head(CL5, CL5) + b"hello",
    "rfc9110-8.6 a list of lengths": head(b"Content-Length: 5, 5") + b"hello",
    "rfc9110-8.6 a list of lengths without space": head(b"Content-Length: 5,5") + b"hello",
    "rfc9110-8.6 a length with a plus": head(b"Content-Length: +5") + b"hello",
    "rfc9110-8.6 a length with a minus": head(b"Content-Length: -5") + b"hello",
    "rfc9110-8.6 a length in hexadecimal": head(b"Content-Length: 0x5") + b"hello",
    "rfc9110-8.6 a length with an underscore": head(b"Content-Length: 1_0") + b"hellohello",
    "rfc9110-8.6 a length in other digits": head(b"Content-Length: \xd9\xa5") + b"hello",
    "rfc9110-8.6 an empty length": head(b"Content-Length:") + b"hello",
    "rfc9110-8.6 a length beyond 64 bits": head(b"Content-Length: 18446744073709551621"),
    "rfc9110-8.6 a length with inner space": head(b"Content-Length: 5 5") + b"hello",
    "rfc9112-7 an unknown coding": head(b"Transfer-Encoding: xchunked") + BODY,
    "rfc9112-7 identity after chunked": head(b"Transfer-Encoding: chunked, identity") + BODY,
    "rfc9112-7 identity before chunked": head(b"Transfer-Encoding: identity, chunked") + BODY,
    "rfc9112-7 gzip before chunked": head(b"Transfer-Encoding: gzip, chunked") + BODY,
    "rfc9112-7 identity alone": head(b"Transfer-Encoding: identity") + BODY,
    "rfc9112-7 chunked twice": head(b"Transfer-Encoding: chunked, chunked") + BODY,
    "rfc9112-7 chunked in two headers": head(TE, TE) + BODY,
    "rfc9112-7 an empty coding": head(b"Transfer-Encoding:") + BODY,
    "rfc9112-7 a quoted coding": head(b'Transfer-Encoding: "chunked"') + BODY,
    "rfc9112-7 a coding with a parameter": head(b"Transfer-Encoding: chunked;a=b") + BODY,
    "rfc9112-7 a coding behind a vertical tab": head(b"Transfer-Encoding: \x0bchunked") + BODY,
    "rfc9112-6.1 transfer-encoding in http/1.0": head(TE, first=b"POST /x HTTP/1.0") + BODY,
    "rfc9112-2.2 bare lf ends the request line": b"GET /x HTTP/1.1\nHost: a\r\n\r\n",
    "rfc9112-2.2 bare lf ends a header": b"GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "rfc9112-2.2 bare lf ends the head": b"GET /x HTTP/1.1\r\nHost: a\r\n\n",
    "rfc9112-2.2 bare lf everywhere": b"GET /x HTTP/1.1\nHost: a\n\n",
    "rfc9112-2.2 bare cr in a value": head(b"X: a\rb"),
    "rfc9112-2.2 bare cr ends a header": b"GET /x HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "rfc9112-2.2 bare cr in the request line": b"GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-2.2 white space before the first header": head(host=b" X: y\r\nHost: a"),
    "rfc9112-2.2 two empty lines before a request": b"\r\n\r\n" + head(),
    "rfc9110-5.5 nul in a value": head(b"X: a\0b"),
    "rfc9110-5.5 nul in a name": head(b"X\0: a"),
    "rfc9110-5.5 nul in the target": b"GET /x\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9110-5.5 escape in a value": head(b"X: a\x1bb"),
    "rfc9110-5.5 delete in a value": head(b"X: a\x7fb"),
    "rfc9112-5.2 obsolete folding with a space": head(b"X: a\r\n b"),
    "rfc9112-5.2 obsolete folding with a tab": head(b"X: a\r\n\tb"),
    "rfc9112-5.2 folding hides a coding": head(b"Transfer-Encoding:\r\n chunked") + BODY,
    "rfc9112-5.1 space before the colon": head(b"Content-Length : 5") + b"hello",
    "rfc9112-5.1 tab before the colon": head(b"Transfer-Encoding\t: chunked") + BODY,
    "rfc9110-5.1 an empty name": head(b": a"),
    "rfc9110-5.1 a name with a space": head(b"X Y: a"),
    "rfc9110-5.1 a name beyond ascii": head("Ä: a".encode()),
    "rfc9112-5 a line without a colon": head(b"X"),
    "rfc9112-3.2 no host": b"GET /x HTTP/1.1\r\nX: a\r\n\r\n",
    "rfc9112-3.2 two hosts": head(b"Host: b"),
    "rfc9112-3.2 the same host twice": head(b"Host: a"),
    "rfc9112-3.2 two hosts in http/1.0": head(b"Host: b", first=b"GET /x HTTP/1.0"),
    "rfc9112-3.2 a host with a path": head(host=b"Host: a/b"),
    "rfc9112-3.2 a host with user information": head(host=b"Host: u@a"),
    "rfc9112-3.2 a host with a space": head(host=b"Host: a b"),
    "rfc9112-3.2 a host list": head(host=b"Host: a, b"),
    "rfc9112-3.2 an empty host": head(host=b"Host:"),
    "rfc9112-3.2 a host with a bad port": head(host=b"Host: a:8x"),
    "rfc9110-9.3.6 connect": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "rfc9110-9.3.8 trace": b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-3 two spaces": b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-3 a tab for a space": b"GET\t/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-3 a space at the end": b"GET /x HTTP/1.1 \r\nHost: a\r\n\r\n",
    "rfc9112-3 a space before the method": b" GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-3 no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-3 no version": b"GET /x\r\nHost: a\r\n\r\n",
    "rfc9112-2.3 the version in lower case": b"GET /x http/1.1\r\nHost: a\r\n\r\n",
    "rfc9112-2.3 a version with two digits": b"GET /x HTTP/1.10\r\nHost: a\r\n\r\n",
    "rfc3986-2 a target beyond ascii": "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "rfc8446 a tls greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

# In a streamed body the fault comes after the decision: the request may have begun, and is cut.
FAULTY_BODIES = {
    "rfc9112-7.1 a size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size with a minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size beyond 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size with an underscore": b"1_0\r\nhellohellohello!\r\n0\r\n\r\n",
    "rfc9112-7.1 junk for a size": b"hello\r\n0\r\n\r\n",
    "rfc9112-7.1 an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 space before a size": b" 5\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 space after a size": b"5 \r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size ended by bare lf": b"5\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a size ended by bare cr": b"5\rhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a chunk longer than its size": b"4\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a chunk shorter than its size": b"6\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1 a chunk ended by bare lf": b"5\r\nhello\n0\r\n\r\n",
    "rfc9112-7.1 the last chunk ended by bare lf": b"5\r\nhello\r\n0\n\n",
    "rfc9112-7.1 the body ended by bare lf": b"5\r\nhello\r\n0\r\n\n",
    "rfc9112-7.1.1 an extension with bare lf": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1.1 an extension with nul": b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1.1 an extension without a name": b"5;\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1.1 an extension that is too long": b"5;a=" + b"b" * 300 + b"\r\nhello\r\n0\r\n\r\n",
    "rfc9112-7.1.1 extensions that are too many": b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 30 + BODY,
    "rfc9110-6.5.1 content-length as trailer": b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    "rfc9110-6.5.1 transfer-encoding as trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "rfc9110-6.5.1 host as trailer": b"5\r\nhello\r\n0\r\nhost: b\r\n\r\n",
    "rfc9110-6.5.1 authorization as trailer": b"0\r\nAuthorization: Passport x\r\n\r\n",
    "rfc9110-6.5.1 a passport as trailer": b"0\r\nX-Agent-Passport: x\r\n\r\n",
    "rfc9110-6.5.1 an identity as trailer": b"0\r\nX-Passport-Agent: root\r\n\r\n",
    "rfc9110-6.5.1 connection as trailer": b"0\r\nConnection: close\r\n\r\n",
    "rfc9112-7.1.2 a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "rfc9112-7.1.2 a trailer with space before the colon": b"0\r\nX : a\r\n\r\n",
    "rfc9112-7.1.2 a trailer without a colon": b"0\r\nX\r\n\r\n",
    "rfc9112-7.1.2 trailers without end": b"0\r\n" + b"X: a\r\n" * 2000,
}

_NUMBERS = itertools.count()


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_head_is_refused(
    planes: tuple[RawUpstream, DataPlane], name: str, bytewise: bool
) -> None:
    """A head with two readings is answered 400, the connection ends, the upstream sees nothing."""
    upstream, plane = planes
    judged = len(plane.gate.judged)
    before = len(upstream.seen)
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    with plane.client() as client:
        (client.send_bytewise if bytewise else client.send)(REFUSED[name] + hidden)
        answer = client.answer()

        assert answer.status == 400
        assert answer.header("Connection") == "close"
        assert client.is_closed()
    assert len(plane.gate.judged) == judged
    assert len(upstream.seen) == before


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("path", [b"/stream", b"/judge"])
@pytest.mark.parametrize("name", FAULTY_BODIES)
def test_faulty_body_is_never_whole(
    planes: tuple[RawUpstream, DataPlane], name: str, path: bytes, bytewise: bool
) -> None:
    """A faulty chunked body is answered 400; the upstream sees no whole request of it."""
    upstream, plane = planes
    outcomes = len(plane.gate.outcomes)
    target = b"%b/%d" % (path, next(_NUMBERS))
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    with plane.client() as client:
        message = head(TE, first=b"POST %b HTTP/1.1" % target) + FAULTY_BODIES[name] + hidden
        (client.send_bytewise if bytewise else client.send)(message)
        answer = client.answer()

        assert answer.status == 400
        assert client.is_closed()
    seen = [one for one in upstream.seen if target + b" " in one.received]
    assert plane.gate.judged[-1].target == target
    if path == b"/judge":
        assert seen == []
        assert len(plane.gate.outcomes) == outcomes
    else:
        assert len(seen) <= 1
        until(lambda: all(one.end for one in seen), "the upstream's connection ends")
        assert [one.requests for one in seen if one.requests] == []
        assert [one.whole_requests for one in seen if one.whole_requests] == []
        assert [one.outcome for one in plane.gate.outcomes[outcomes:]] == ["cut"]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /x HTTP/0.9\r\n\r\n", 505),
        (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"x" * 9000, 414),
        (head(*[b"X: y"] * 101), 431),
        (head(b"X: " + b"y" * 140_000), 431),
        (b"GET /x HTTP/1.1\r\nX: " + b"y" * 140_000, 431),
        (head(b"Content-Length: 99999999"), 413),
    ],
)
def test_other_refusals(planes: tuple[RawUpstream, DataPlane], message: bytes, status: int) -> None:
    """Versions, methods, expectations and sizes have their own status, and end the connection."""
    upstream, plane = planes
    before = len(upstream.seen)

    with plane.client() as client:
        client.send(message)
        answer = client.answer()

        assert answer.status == status
        assert client.is_closed()
    assert len(upstream.seen) == before


def test_request_hidden_in_a_body_is_a_body() -> None:
    """Bytes that the framing makes a body are forwarded as one, however they look."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(head(b"Content-Length: %d" % len(hidden)) + hidden)

        assert client.answer().status == 200
        assert upstream.whole_requests == [b"/x"]
        assert [wire.target for wire in plane.gate.judged] == [b"/x"]


def test_request_behind_a_body_is_judged() -> None:
    """Bytes behind a body are the next request, judged like any other."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(head(CL5) + b"hello" + b"GET /deny HTTP/1.1\r\nHost: a\r\n\r\n")

        assert client.answer().status == 200
        assert client.answer().status == 403
        assert upstream.whole_requests == [b"/x"]


def test_one_empty_line_before_a_request_is_ignored() -> None:
    """RFC 9112 section 2.2: an empty line before a request line is no fault."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send_bytewise(b"\r\n" + head(first=b"GET /x HTTP/1.1"))

        assert client.answer().status == 200


def test_unusual_but_valid_head_passes() -> None:
    """What the grammar has is accepted: any case, tabs, empty values, bytes above ASCII."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nhOsT:\ta \t\r\nempty:\r\nx:\xff\t y  \r\n\r\n")

        assert client.answer().status == 200
        wire = plane.gate.judged[0]
        assert wire.headers == [(b"hOsT", b"a"), (b"empty", b""), (b"x", b"\xff\t y")]
        assert b"Host: upstream\r\nempty: \r\nx: \xff\t y\r\n\r\n" in upstream.received
