"""An upstream of HTTP/2 that breaks the rules: 502 or a cut, never a broken answer as whole."""

import socket
from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from tests.support.data_plane import data_plane, with_limits
from tests.support.http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    frame,
    http2,
)
from tests.support.http2_upstream import (
    OK,
    Http2Peer,
    goaway,
    open_window,
    setting,
    speaking,
)
from tests.support.raw_http import RawUpstream, until

GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


Answer = Callable[[Http2Peer, int], bytes]

UNUSABLE: dict[str, Answer] = {
    "DATA before HEADERS": lambda _, s: frame(DATA, END_STREAM, s, b"x"),
    "no :status": lambda p, s: p.head(s, ("x", "y"), end=True),
    ":status twice": lambda p, s: p.head(s, (":status", "200"), (":status", "200"), end=True),
    ":status behind": lambda p, s: p.head(s, ("x", "y"), (":status", "200"), end=True),
    ":status of letters": lambda p, s: p.head(s, (":status", "2x0"), end=True),
    ":status of 2 digits": lambda p, s: p.head(s, (":status", "20"), end=True),
    ":status 600": lambda p, s: p.head(s, (":status", "600"), end=True),
    ":status 000": lambda p, s: p.head(s, (":status", "000"), end=True),
    "a request's field": lambda p, s: p.head(s, (":status", "200"), (":path", "/"), end=True),
    "upper case": lambda p, s: p.head(s, (":status", "200"), ("X-A", "1"), end=True),
    "a name with a colon": lambda p, s: p.head(s, (":status", "200"), ("a:b", "1"), end=True),
    "CR LF in a value": lambda p, s: p.head(
        s, (":status", "200"), ("x", "a\r\nset-cookie: b"), end=True
    ),
    "NUL in a value": lambda p, s: p.head(s, (":status", "200"), ("x", "a\0b"), end=True),
    "space around a value": lambda p, s: p.head(s, (":status", "200"), ("x", " a"), end=True),
    "connection": lambda p, s: p.head(s, *OK, ("connection", "x-a"), end=True),
    "transfer-encoding": lambda p, s: p.head(s, *OK, ("transfer-encoding", "chunked")),
    "upgrade": lambda p, s: p.head(s, *OK, ("upgrade", "websocket"), end=True),
    "a body to 204": lambda p, s: p.head(s, (":status", "204")) + frame(DATA, END_STREAM, s, b"x"),
    "101": lambda p, s: p.head(s, (":status", "101")),
    "an interim answer with END_STREAM": lambda p, s: p.head(s, (":status", "103"), end=True),
    "an interim answer with a length": lambda p, s: p.head(
        s, (":status", "103"), ("content-length", "0")
    ),
    "33 interim answers": lambda p, s: b"".join(p.head(s, (":status", "103")) for _ in range(33)),
    "a length twice": lambda p, s: p.head(s, *OK, ("content-length", "2"), ("content-length", "2")),
    "a length with a sign": lambda p, s: p.head(s, *OK, ("content-length", "+2")),
    "a length and no body": lambda p, s: p.head(s, *OK, ("content-length", "2"), end=True),
    "101 headers": lambda p, s: p.head(s, *OK, *[(f"x-{n}", "y") for n in range(101)]),
    "a head of 5 KiB": lambda p, s: p.head(s, *OK, ("x", "y" * 5000)),
    "a head of 5 KiB in CONTINUATION": lambda p, s: b"".join(
        (
            frame(HEADERS, 0, s, p.encoder.encode(OK)),
            *[frame(CONTINUATION, 0, s, bytes(900)) for _ in range(6)],
        )
    ),
    "CONTINUATION of nothing without end": lambda p, s: b"".join(
        (
            frame(HEADERS, 0, s, p.encoder.encode(OK)),
            *[frame(CONTINUATION, 0, s) for _ in range(20_000)],
        )
    ),
    "a small block that becomes large": lambda p, s: frame(
        HEADERS,
        END_HEADERS,
        s,
        p.encoder.encode([*OK, ("x", "y" * 3000)]) + b"\xbe" * 900,
    ),
    "HPACK that is none": lambda _, s: frame(HEADERS, END_HEADERS, s, b"\xff\xff\xff\xff\xff"),
    "another stream": lambda p, s: p.head(s + 2, *OK, end=True),
    "a stream of its own": lambda p, _: p.head(2, *OK, end=True),
    "a push": lambda p, s: frame(
        PUSH_PROMISE, END_HEADERS, s, b"\0\0\0\2" + p.encoder.encode([(":method", "GET")])
    ),
    "a frame of 16 KiB and a byte": lambda _, s: frame(DATA, 0, s, bytes(16_385)),
    "a stream that never was is reset": lambda _, s: frame(RST_STREAM, 0, s + 2, b"\0\0\0\0"),
    "reset: CANCEL": lambda _, s: frame(RST_STREAM, 0, s, b"\0\0\0\x08"),
    "reset: INTERNAL_ERROR": lambda _, s: frame(RST_STREAM, 0, s, b"\0\0\0\2"),
    "WINDOW_UPDATE of 0": lambda _, s: open_window(s, 0) + open_window(0, 0),
    "a window over its end": lambda _, __: open_window(0, (1 << 31) - 1),
    "SETTINGS on a stream": lambda _, s: frame(SETTINGS, 0, s),
    "SETTINGS of 5 bytes": lambda _, __: frame(SETTINGS, 0, 0, bytes(5)),
    "ENABLE_PUSH 2": lambda _, __: frame(SETTINGS, 0, 0, setting(2, 2)),
    "MAX_FRAME_SIZE 1": lambda _, __: frame(SETTINGS, 0, 0, setting(5, 1)),
    "a window of 2^31": lambda _, __: frame(SETTINGS, 0, 0, setting(4, 1 << 31)),
    "an ACK with settings": lambda _, __: frame(SETTINGS, ACK, 0, setting(4, 1)),
    "20,000 SETTINGS": lambda _, __: frame(SETTINGS) * 20_000,
    "20,000 PINGs": lambda _, __: frame(PING, 0, 0, bytes(8)) * 20_000,
    "20,000 WINDOW_UPDATEs": lambda _, s: open_window(s, 1) * 20_000,
    "20,000 unknown frames": lambda _, __: frame(77) * 20_000,
    "20,000 GOAWAYs": lambda _, s: goaway(s) * 20_000,
    "it ends": lambda _, __: b"",
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_no_answer_is_502(answer: Answer) -> None:
    """Nothing of it is passed on, its connection is not used again, and the plane goes on."""
    calls = 0

    def talk(peer: Http2Peer) -> None:
        nonlocal calls
        calls += 1
        asked = peer.request()
        if asked is None:
            return
        if calls > 1:
            peer.answer(asked.stream)
            peer.rest()
            return
        data = answer(peer, asked.stream)
        peer.send(data)
        if data:
            peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True, limits=with_limits(header_bytes=4096)) as plane,
        plane.client() as client,
    ):
        client.send(POST)
        got = client.answer()
        while got.status == 103:
            got = client.answer()
        assert (got.status, got.body) == (502, b"upstream_bad_response")
        assert plane.gate.outcomes[-1].outcome == "upstream_failed"
        client.send(POST)
        assert client.answer().status == 200


BROKEN: dict[str, Answer] = {
    "more than its length": lambda p, s: (
        p.head(s, *OK, ("content-length", "2")) + frame(DATA, END_STREAM, s, b"abc")
    ),
    "less than its length": lambda p, s: (
        p.head(s, *OK, ("content-length", "2")) + frame(DATA, END_STREAM, s, b"a")
    ),
    "trailers before its length": lambda p, s: (
        p.head(s, *OK, ("content-length", "2"))
        + frame(DATA, 0, s, b"a")
        + p.head(s, ("x", "y"), end=True)
    ),
    "reset": lambda p, s: p.head(s, *OK) + frame(RST_STREAM, 0, s, b"\0\0\0\0"),
    "REFUSED_STREAM": lambda p, s: p.head(s, *OK) + frame(RST_STREAM, 0, s, b"\0\0\0\7"),
    "GOAWAY for less": lambda p, s: p.head(s, *OK) + goaway(0),
    "trailers that do not end": lambda p, s: p.head(s, *OK) + p.head(s, ("x", "y")),
    "an interim answer behind": lambda p, s: p.head(s, *OK) + p.head(s, (":status", "103")),
    "a pseudo-header in trailers": lambda p, s: (
        p.head(s, *OK) + p.head(s, (":status", "200"), end=True)
    ),
    "CR LF in a trailer": lambda p, s: p.head(s, *OK) + p.head(s, ("x", "a\r\nb: c"), end=True),
    "a connection's trailer": lambda p, s: (
        p.head(s, *OK) + p.head(s, ("connection", "close"), end=True)
    ),
    "nothing over and over": lambda p, s: p.head(s, *OK) + frame(DATA, 0, s) * 20_000,
    "padding longer than the frame": lambda p, s: p.head(s, *OK) + frame(DATA, 0x8, s, b"\xff"),
    "it ends": lambda p, s: p.head(s, *OK),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_what_breaks_off_is_never_whole(answer: Answer) -> None:
    """A client sees that the answer ended in its middle: a reset stream, an unfinished body."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        if asked is None:
            return
        data = answer(peer, asked.stream)
        peer.send(data)
        if answer is BROKEN["it ends"]:
            # Closing at once would take back what the gate has not read yet.
            peer.sock.shutdown(socket.SHUT_WR)
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
    ):
        with http2(plane.port) as modern:
            assert modern.get("/x", method="POST").reset == ErrorCodes.INTERNAL_ERROR
        with plane.client() as client:
            client.send(POST)
            data, _ = client.until_end()
        head, _, body = data.partition(b"\r\n\r\n")
        assert not body.endswith(b"0\r\n\r\n")
        assert len(body) < 2 or b"Content-Length: 2" not in head
        until(lambda: len(plane.gate.outcomes) == 2, "both are over")
        assert {each.outcome for each in plane.gate.outcomes} == {"upstream_failed"}
