"""Bodies that may only be so long: cut where they are longer, whoever speaks which HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from tests.support.allow_all import Finished
from tests.support.data_plane import DataPlane, data_plane
from tests.support.http2_client import DATA, END_STREAM, http2
from tests.support.http2_upstream import Conversation, Http2Peer, speaking
from tests.support.http2_upstream import frame as h2_frame
from tests.support.raw_http import OK, Client, Peer, RawUpstream, answering, until

from passgate.core.constraints.base import UNBOUNDED, Bounds

CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
REQUEST = Bounds(10, UNBOUNDED)
RESPONSE = Bounds(UNBOUNDED, 10)


@contextmanager
def bounded(
    bounds: Bounds, script: object = None, *, over_http2: bool = False
) -> Iterator[tuple[RawUpstream, DataPlane]]:
    with ExitStack() as stack:
        upstream = RawUpstream() if script is None else RawUpstream(script)  # type: ignore[arg-type]  # a Script
        stack.enter_context(upstream)
        plane = stack.enter_context(data_plane(upstream.port, http2=over_http2))
        plane.gate.bounds = bounds
        yield upstream, plane


def rest_of(client: Client) -> bytes:
    """Everything until the connection ends, one way or another."""
    got = b""
    with suppress(ConnectionError):
        while data := client.sock.recv(65536):
            got += data
    return got


def outcome(plane: DataPlane) -> Finished:
    until(lambda: plane.gate.outcomes, "the exchange is over")
    (only,) = plane.gate.outcomes
    return only


@pytest.mark.parametrize("over_http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("upstream_http2", [False, True], ids=["to HTTP/1.1", "to HTTP/2"])
def test_a_body_of_unknown_length_is_cut(over_http2: bool, upstream_http2: bool) -> None:
    """The upstream has an unfinished request whose connection ends, the client a refusal."""
    seen = Conversation()

    def reads(peer: Http2Peer) -> None:
        peer.request()
        peer.rest()

    script = speaking(reads, seen) if upstream_http2 else (lambda peer: peer.request())
    with bounded(REQUEST, script, over_http2=upstream_http2) as (upstream, plane):
        if over_http2:
            with http2(plane.port) as client:
                number = client.request("/x", method="POST", body=b"0123456789", end=False)
                client.send_body(number, b"a", end=True)
                assert client.answer(number).status == 403
        else:
            with plane.client() as client:
                client.send(CHUNKED + b"a\r\n0123456789\r\n")
                client.send(b"1\r\na\r\n0\r\n\r\n")
                assert client.answer().status == 403
        assert plane.gate.outgrew == [True]
        found = outcome(plane)
        assert (found.status, found.outcome, found.sent) == (403, "cut", True)
        assert plane.gate.forwards[0].record.bytes_in in (0, 10)  # however it was cut up
    assert not upstream.whole_requests
    assert not any(asked.ended for asked in seen.requests)


@pytest.mark.parametrize("over_http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_body_of_exactly_this_length_passes(over_http2: bool) -> None:
    """The bound itself is allowed."""
    with bounded(REQUEST) as (_, plane):
        if over_http2:
            with http2(plane.port) as client:
                number = client.request("/x", method="POST", body=b"0123456789")
                assert client.answer(number).status == 200
        else:
            with plane.client() as client:
                client.send(CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n")
                assert client.answer().status == 200
        assert plane.gate.outgrew == []


def test_a_body_that_came_whole_is_never_sent() -> None:
    """What is known to be too long before a byte went out costs nothing."""
    with bounded(REQUEST) as (upstream, plane), http2(plane.port) as client:
        # Its end comes with it, so all of it is here before the upstream is asked.
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/park")]
        number = client.send_fields(fields, body=b"0123456789a")
        until(lambda: plane.gate.parked, "it waits")
        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))
        assert client.answer(number).status == 403
        assert outcome(plane).sent is False
    assert not upstream.received


def answers(*, chunked: bool, until_close: bool = False) -> object:
    def script(peer: Peer) -> None:
        peer.request()
        if chunked:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n")
            peer.pause(0.05)
            peer.send(b"1\r\na\r\n0\r\n\r\n")
        elif until_close:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n0123456789")
            peer.pause(0.05)
            peer.send(b"a")
        else:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a")

    return script


@pytest.mark.parametrize("over_http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_an_answer_known_to_be_too_long_is_502(over_http2: bool) -> None:
    """Nothing of it reaches the client, who may go on with its connection."""
    with bounded(RESPONSE, answers(chunked=False)) as (_, plane):
        if over_http2:
            with http2(plane.port) as client:
                answer = client.get("/x")
                assert (answer.status, answer.body) == (502, b"too long")
        else:
            with plane.client() as client:
                client.send(GET)
                got = client.answer()
                assert (got.status, got.body) == (502, b"too long")
        assert plane.gate.outgrew == [False]
        assert outcome(plane) == Finished(502, 8, "cut", True)


def test_an_announced_length_is_enough() -> None:
    """The client is told before the answer's body has come."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        peer.rest()

    with bounded(RESPONSE, script) as (_, plane), plane.client() as client:
        client.send(GET)
        assert client.answer().status == 502


def test_an_announced_length_over_http2_is_enough() -> None:
    """Likewise, and the upstream's stream is reset."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(peer.head(asked.stream, (":status", "200"), ("content-length", "11")))
        peer.rest()

    with bounded(RESPONSE, speaking(talk), over_http2=True) as (_, plane):
        with plane.client() as client:
            client.send(GET)
            assert client.answer().status == 502
        assert outcome(plane).status == 502


@pytest.mark.parametrize("over_http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize(
    "script", [answers(chunked=True), answers(chunked=False, until_close=True)]
)
def test_an_answer_of_unknown_length_is_cut(script: object, over_http2: bool) -> None:
    """The client sees that it is not whole, and gets nothing beyond what may be."""
    with bounded(RESPONSE, script) as (_, plane):
        if over_http2:
            with http2(plane.port) as client:
                answer = client.get("/x")
                assert (answer.status, answer.ended) == (200, False)
                assert answer.reset is not None
                assert b"0123456789".startswith(answer.body)
        else:
            with plane.client() as client:
                client.send(GET)
                got = rest_of(client)
                assert b"0\r\n\r\n" not in got
                assert b"\r\n1\r\na" not in got
        assert plane.gate.outgrew == [False]
        assert outcome(plane) == Finished(200, 10, "cut", True)


def test_an_answer_over_http2_is_cut_too() -> None:
    """DATA beyond the bound ends the stream on both sides."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(peer.head(asked.stream, (":status", "200")))
        peer.send(h2_frame(DATA, 0, asked.stream, b"0123456789"))
        peer.send(h2_frame(DATA, END_STREAM, asked.stream, b"a"))
        peer.rest()

    with bounded(RESPONSE, speaking(talk), over_http2=True) as (_, plane):
        with plane.client() as client:
            client.send(GET)
            rest_of(client)
        assert outcome(plane) == Finished(200, 10, "cut", True)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    ],
    ids=["exactly", "not modified", "head"],
)
def test_an_answer_that_is_not_too_long(request_: bytes, answer: bytes) -> None:
    """Lengths that speak of another body are no bodies."""
    with bounded(RESPONSE, answering(answer)) as (_, plane), plane.client() as client:
        client.send(request_)
        assert client.answer(request_.split()[0].decode()).status in (200, 304)
        assert plane.gate.outgrew == []


@pytest.mark.parametrize(
    ("bounds", "to_upstream", "from_upstream"),
    [(REQUEST, b"0123456789a", b""), (RESPONSE, b"go", b"0123456789a")],
)
def test_after_an_upgrade_bytes_are_counted_too(
    bounds: Bounds, to_upstream: bytes, from_upstream: bytes
) -> None:
    """Neither way goes more than may go, and the tunnel ends."""
    arrived: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(SWITCHED)
        while data := peer.sock.recv(100):
            arrived.append(data)
            peer.send(from_upstream)

    with bounded(bounds, script) as (_, plane), plane.client() as client:
        client.send(UPGRADE)
        assert client.answer().status == 101
        client.send(to_upstream)
        assert rest_of(client) == b""
        found = outcome(plane)
        assert (found.outcome, found.bytes_out) == ("cut", 0)
        assert plane.gate.outgrew == [bounds is REQUEST]
    assert b"".join(arrived) == (b"" if bounds is REQUEST else to_upstream)


def test_without_bounds_anything_goes() -> None:
    """What is not bounded is not counted."""
    with (
        RawUpstream(answering(OK)) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(CHUNKED + b"a\r\n0123456789\r\n" * 100 + b"0\r\n\r\n")
        assert client.answer().status == 200
