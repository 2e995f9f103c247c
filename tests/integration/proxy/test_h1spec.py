"""The 33 checks of h1spec (github.com/uNetworking/h1spec), whole: what any HTTP/1.1 server owes.

The requests are its facts, told here in our words. Where it only waits for silence after part of a
request, the rest is sent as well: the server must have waited, and must then answer.
"""

import contextlib
import select
from dataclasses import dataclass

import pytest
from tests.support.data_plane import data_plane
from tests.support.raw_http import Peer, RawUpstream

HOST = b"Host: example.com\r\n"
CRLF = b"\r\n"


@dataclass(frozen=True)
class Check:
    """A whole request: what it shows, the statuses that are right, the body of a 200 if it counts.

    `statuses` are (lowest, highest) of each range that h1spec accepts; `answer` is the one that the
    gate gives.
    """

    shows: str
    request: bytes
    statuses: tuple[tuple[int, int], ...]
    answer: int
    body: bytes | None = None


CLIENT_ERROR = ((400, 499),)
ANY_ERROR = ((400, 499), (500, 599))
SUCCESS = ((200, 299),)
# A full request, and where it may stop so that the server can only wait.
HELLO = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
FRAGMENTS = {
    "the method has begun": b"G",
    "the method is over": b"GET ",
    "the target has begun": b"GET /hello",
    "the target is over": b"GET /hello ",
    "the protocol's name is there": b"GET /hello HTTP",
    "the version is there": b"GET /hello HTTP/1.1",
    "the request line lacks its LF": b"GET /hello HTTP/1.1\r",
    "the request line is whole": b"GET /hello HTTP/1.1\r\n",
    "a field's name has begun": b"GET /hello HTTP/1.1\r\nHos",
    "a field's value is missing": b"GET /hello HTTP/1.1\r\nHost:",
    "a field's value follows a space": b"GET /hello HTTP/1.1\r\nHost: ",
    "a field's value is there": b"GET /hello HTTP/1.1\r\nHost: localhost",
    "the field line lacks its LF": b"GET /hello HTTP/1.1\r\nHost: localhost\r",
    "the field line is whole": b"GET /hello HTTP/1.1\r\nHost: localhost\r\n",
    "the blank line lacks its LF": b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r",
}


def get(*lines: bytes, host: bytes = HOST) -> bytes:
    return b"GET / HTTP/1.1\r\n" + host + b"".join(line + CRLF for line in lines) + CRLF


def post(*lines: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + CRLF for line in lines) + CRLF + body


CHUNKS = b"c\r\nHellO world1\r\n0\r\n\r\n"
CHECKS = (
    Check("a request line without a version", b"GET / \r\n\r\n", ANY_ERROR, 400),
    Check(
        "an expectation of 100 with no body",
        get(b"Expect: 100-continue"),
        ((100, 100), *SUCCESS),
        200,
    ),
    Check("a plain GET", get(), SUCCESS, 200),
    Check(
        "mixed case, a tab and an empty value",
        get(b"empty:", host=b"hoSt:\texample.com\r\n"),
        SUCCESS,
        200,
    ),
    Check("brackets in a field's name", get(b"X-Invalid[]: test"), CLIENT_ERROR, 400),
    Check("no Host", get(b"Content-Length: 5", host=b""), CLIENT_ERROR, 400),
    Check("two Hosts", get(b"Host: example.org"), CLIENT_ERROR, 400),
    Check(
        "a negative length beyond 64 bits",
        get(b"Content-Length: -123456789123456789123456789"),
        CLIENT_ERROR,
        400,
    ),
    Check("a negative length", get(b"Content-Length: -1234"), CLIENT_ERROR, 400),
    Check("letters for a length", get(b"Content-Length: abc"), CLIENT_ERROR, 400),
    Check("a value of one space", get(b"X-Empty-Header: "), SUCCESS, 200),
    Check("a bell in a value", get(b"X-Bad-Control-Char: test\x07"), CLIENT_ERROR, 400),
    Check(
        "a version that does not exist",
        b"GET / HTTP/9.9\r\n" + HOST + CRLF,
        ANY_ERROR,
        505,
    ),
    Check("words before the method", b"Extra line" + get(), ANY_ERROR, 400),
    Check(
        "a bare CR in place of the blank line",
        get()[:-1] + b"Some-Header: Test\r\n\r\n",
        CLIENT_ERROR,
        400,
    ),
    Check(
        "a body by its length",
        post(b"Content-Length: 5", body=b"hello"),
        (*SUCCESS, (404, 404)),
        200,
        b"hello",
    ),
    Check(
        "a body in chunks",
        post(b"Transfer-Encoding: chunked", body=CHUNKS),
        SUCCESS,
        200,
        b"HellO world1",
    ),
    Check(
        "a length and a coding, in odd case",
        post(b"content-LengtH: 5", b"TransFer-Encoding: chunked", body=CHUNKS),
        (*CLIENT_ERROR, *SUCCESS),
        400,
    ),
)


def echo(peer: Peer) -> None:
    """Answers each request with its own body."""
    while (request := peer.request()) is not None:
        head, _, body = request.partition(b"\r\n\r\n")
        if b"chunked" in head:
            body = b"".join(body.split(b"\r\n")[1::2])
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_all_33_are_here() -> None:
    """h1spec has 33 checks: 15 parts of a request and 18 whole ones."""
    assert (len(FRAGMENTS), len(CHECKS)) == (15, 18)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.shows)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_whole_request(check: Check, bytewise: bool) -> None:
    """Each request gets the status that h1spec accepts, and its own body back where it asks."""
    with (
        RawUpstream(echo) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        (client.send_bytewise if bytewise else client.send)(check.request)
        answer = client.answer()

    assert any(low <= answer.status <= high for low, high in check.statuses)
    assert answer.status == check.answer
    if check.body is not None:
        assert answer.body == check.body


def test_part_of_a_request() -> None:
    """After each part the server waits in silence, and answers 200 once the rest has come."""
    with (
        RawUpstream(echo) as upstream,
        data_plane(upstream.port) as plane,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(plane.client()) for _ in FRAGMENTS]
        for client, part in zip(clients, FRAGMENTS.values(), strict=True):
            client.send(part)
        # 500 ms is how long h1spec waits.
        spoke, _, _ = select.select([client.sock for client in clients], [], [], 0.5)
        assert spoke == []
        for client, part in zip(clients, FRAGMENTS.values(), strict=True):
            client.send(HELLO[len(part) :])
            assert client.answer().status == 200, part
