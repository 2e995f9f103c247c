"""The rules of RFC 9113, each broken on purpose: the error is the one the RFC names, or a harder.

A stream error may be treated as one of the connection (section 5.4.1); what must not happen is that
the gate goes on as if nothing were wrong, or that the upstream sees any of it.
"""

import random
from collections.abc import Callable, Iterator

import hpack
import pytest
from tests.support.data_plane import DataPlane, data_plane
from tests.support.http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawFrames,
    frame,
    http2,
    raw_frames,
    request_fields,
)
from tests.support.raw_http import RawUpstream

Rule = Callable[[RawFrames], list[bytes]]
POST = request_fields("/park", method="POST")
DENY = request_fields("/deny")
OK = ("status 403",)


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, name.to_bytes(2, "big") + u32(value))


def opened(client: RawFrames, fields: list[tuple[str, str]] = POST) -> bytes:
    """Stream 1, open on the client's side."""
    return client.headers(1, fields, flags=END_HEADERS)


PROTOCOL = ("goaway PROTOCOL_ERROR",)
FRAME_SIZE = ("goaway FRAME_SIZE_ERROR",)
STREAM_PROTOCOL = ("status 400 reset PROTOCOL_ERROR", "status 400", "goaway PROTOCOL_ERROR")
CLOSED = ("reset STREAM_CLOSED", "goaway STREAM_CLOSED", "goaway PROTOCOL_ERROR")
RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    # Section 4: frames.
    "4.2 frame too large": (lambda c: [frame(DATA, 0, 1, bytes(16_385))], FRAME_SIZE),
    "4.2 announced too large": (lambda c: [b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"], FRAME_SIZE),
    "4.3 broken header block": (
        lambda c: [frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff")],
        (*PROTOCOL, "goaway COMPRESSION_ERROR"),
    ),
    "4.3 block interrupted": (
        lambda c: [c.headers(1, flags=END_STREAM), frame(PING, 0, 0, bytes(8))],
        PROTOCOL,
    ),
    "4.3 block of another stream": (
        lambda c: [c.headers(1, flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 3)],
        PROTOCOL,
    ),
    "4.3 block interrupted by an unknown frame": (
        lambda c: [c.headers(1, flags=END_STREAM), frame(0xF0, 0, 1)],
        PROTOCOL,
    ),
    "4.3 block interrupted by GOAWAY": (
        lambda c: [c.headers(1, flags=END_STREAM), frame(GOAWAY, 0, 0, bytes(8))],
        PROTOCOL,
    ),
    # Section 5: streams.
    "5.1 DATA on an idle stream": (lambda c: [frame(DATA, END_STREAM, 1, b"x")], PROTOCOL),
    "5.1 RST_STREAM on an idle stream": (lambda c: [frame(RST_STREAM, 0, 1, u32(8))], PROTOCOL),
    "5.1 WINDOW_UPDATE on an idle stream": (
        lambda c: [frame(WINDOW_UPDATE, 0, 1, u32(1))],
        PROTOCOL,
    ),
    "5.1 CONTINUATION on an idle stream": (
        lambda c: [frame(CONTINUATION, END_HEADERS, 1)],
        PROTOCOL,
    ),
    "5.1 DATA after the end": (
        lambda c: [c.headers(1, request_fields("/park")), frame(DATA, END_STREAM, 1, b"x")],
        CLOSED,
    ),
    "5.1 HEADERS after the end": (
        lambda c: [c.headers(1, request_fields("/park")), c.headers(1)],
        CLOSED,
    ),
    "5.1 DATA after a reset": (
        lambda c: [opened(c), frame(RST_STREAM, 0, 1, u32(8)), frame(DATA, 0, 1, b"x")],
        CLOSED,
    ),
    "5.1.1 stream of a server": (lambda c: [c.headers(2)], PROTOCOL),
    "5.1.1 number that went down": (lambda c: [c.headers(5), c.headers(3)], PROTOCOL),
    "5.1.1 stream zero": (lambda c: [c.headers(0)], PROTOCOL),
    "5.3.1 stream that depends on itself": (
        lambda c: [
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | HAS_PRIORITY,
                1,
                u32(1) + b"\x10" + c.encoder.encode(request_fields("/park")),
            )
        ],
        PROTOCOL,
    ),
    "5.5 unknown frame": (lambda c: [frame(0xF0, 0xFF, 0, b"x" * 100), c.headers(1, DENY)], OK),
    # Section 6: each kind of frame.
    "6.1 DATA on stream zero": (lambda c: [frame(DATA, 0, 0, b"x")], PROTOCOL),
    "6.1 padding longer than DATA": (
        lambda c: [opened(c), frame(DATA, PADDED, 1, b"\x05x")],
        PROTOCOL,
    ),
    "6.2 padding longer than HEADERS": (
        lambda c: [frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + b"x")],
        (*PROTOCOL, *FRAME_SIZE),
    ),
    "6.3 PRIORITY on stream zero": (lambda c: [frame(PRIORITY, 0, 0, bytes(5))], PROTOCOL),
    "6.3 PRIORITY of a wrong size": (
        lambda c: [frame(PRIORITY, 0, 1, bytes(4))],
        (*FRAME_SIZE, *PROTOCOL),
    ),
    "6.4 RST_STREAM on stream zero": (lambda c: [frame(RST_STREAM, 0, 0, u32(8))], PROTOCOL),
    "6.4 RST_STREAM of a wrong size": (
        lambda c: [opened(c), frame(RST_STREAM, 0, 1, bytes(3))],
        FRAME_SIZE,
    ),
    "6.5 SETTINGS on a stream": (lambda c: [frame(SETTINGS, 0, 1)], PROTOCOL),
    "6.5 SETTINGS of a wrong size": (lambda c: [frame(SETTINGS, 0, 0, bytes(5))], FRAME_SIZE),
    "6.5 ACK with settings": (lambda c: [frame(SETTINGS, ACK, 0, bytes(6))], FRAME_SIZE),
    "6.5.2 ENABLE_PUSH not 0 or 1": (lambda c: [setting(2, 2)], PROTOCOL),
    "6.5.2 window too large": (lambda c: [setting(4, 2**31)], ("goaway FLOW_CONTROL_ERROR",)),
    "6.5.2 frame size too small": (lambda c: [setting(5, 16_383)], PROTOCOL),
    "6.5.2 frame size too large": (lambda c: [setting(5, 2**24)], PROTOCOL),
    "6.5.2 unknown setting": (lambda c: [setting(0xFFFF, 1), c.headers(1, DENY)], OK),
    "6.6 PUSH_PROMISE": (
        lambda c: [opened(c), frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + b"\x82")],
        PROTOCOL,
    ),
    "6.7 PING on a stream": (lambda c: [frame(PING, 0, 1, bytes(8))], PROTOCOL),
    "6.7 PING of a wrong size": (lambda c: [frame(PING, 0, 0, bytes(6))], FRAME_SIZE),
    "6.8 GOAWAY on a stream": (lambda c: [frame(GOAWAY, 0, 1, bytes(8))], PROTOCOL),
    "6.9 WINDOW_UPDATE of nothing": (lambda c: [frame(WINDOW_UPDATE, 0, 0, u32(0))], PROTOCOL),
    "6.9 WINDOW_UPDATE of nothing on a stream": (
        lambda c: [opened(c), frame(WINDOW_UPDATE, 0, 1, u32(0))],
        ("reset PROTOCOL_ERROR", *PROTOCOL),
    ),
    "6.9 WINDOW_UPDATE of a wrong size": (
        lambda c: [frame(WINDOW_UPDATE, 0, 0, bytes(3))],
        FRAME_SIZE,
    ),
    "6.9.1 window that overflows": (
        lambda c: [frame(WINDOW_UPDATE, 0, 0, u32(2**31 - 1))],
        ("goaway FLOW_CONTROL_ERROR",),
    ),
    "6.9.1 window of a stream that overflows": (
        lambda c: [opened(c), frame(WINDOW_UPDATE, 0, 1, u32(2**31 - 1))],
        ("reset FLOW_CONTROL_ERROR",),
    ),
    "6.9.1 more than the window": (
        lambda c: [opened(c), *[frame(DATA, 0, 1, bytes(16_384)) for _ in range(5)]],
        ("goaway FLOW_CONTROL_ERROR", "reset FLOW_CONTROL_ERROR"),
    ),
    "6.10 CONTINUATION after the block": (
        lambda c: [c.headers(1, request_fields("/park")), frame(CONTINUATION, END_HEADERS, 1)],
        PROTOCOL,
    ),
    # Section 8: messages.
    "8.1 trailers that do not end": (
        lambda c: [opened(c), c.headers(1, [("x-a", "b")], flags=END_HEADERS)],
        ("reset PROTOCOL_ERROR", *PROTOCOL),
    ),
    "8.1 pseudo-header in trailers": (
        lambda c: [opened(c), c.headers(1, [(":path", "/x")])],
        STREAM_PROTOCOL,
    ),
    "8.1.1 less than announced": (
        lambda c: [
            opened(c, [*POST, ("content-length", "5")]),
            frame(DATA, END_STREAM, 1, b"x"),
        ],
        STREAM_PROTOCOL,
    ),
    "8.2.1 name in capitals": (lambda c: [c.headers(1, [*DENY, ("X-A", "b")])], STREAM_PROTOCOL),
    "8.3.1 no path": (lambda c: [c.headers(1, DENY[:3])], STREAM_PROTOCOL),
    "8.3.1 status of an answer": (
        lambda c: [c.headers(1, [(":status", "103"), *DENY])],
        STREAM_PROTOCOL,
    ),
    "8.5 CONNECT": (
        lambda c: [
            c.headers(1, [(":method", "CONNECT"), (":authority", "x:443")], flags=END_HEADERS)
        ],
        STREAM_PROTOCOL,
    ),
    "8441 WebSocket by extended CONNECT": (
        lambda c: [
            c.headers(
                1,
                [(":method", "CONNECT"), (":protocol", "websocket"), *DENY[1:]],
                flags=END_HEADERS,
            )
        ],
        STREAM_PROTOCOL,
    ),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def plane(upstream: RawUpstream) -> Iterator[DataPlane]:
    with data_plane(upstream.port) as plane:
        yield plane


@pytest.mark.parametrize("rule", RULES)
def test_rule(plane: DataPlane, upstream: RawUpstream, rule: str) -> None:
    """What breaks the rule ends as the rule says; nothing of it reaches the upstream."""
    make, verdicts = RULES[rule]
    with raw_frames(plane.port) as client:
        client.send(*make(client))
        assert client.verdict(1) in verdicts
    assert upstream.received == b""
    plane.gate.parked.clear()


def test_bytewise(plane: DataPlane) -> None:
    """The same bytes one at a time have the same outcome."""
    with raw_frames(plane.port, preface=False) as client:
        for byte in PREFACE + frame(SETTINGS) + client.headers(1, request_fields("/deny")):
            client.send(bytes((byte,)))
        assert client.verdict(1) == "status 403"


@pytest.mark.parametrize(
    "start",
    [
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX" + frame(SETTINGS),
        PREFACE + frame(PING, 0, 0, bytes(8)),
        PREFACE + frame(SETTINGS, ACK),
        PREFACE + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_malformed_preface(plane: DataPlane, start: bytes) -> None:
    """RFC 9113 section 3.4: what does not begin as HTTP/2 does is refused, and on record."""
    plane.gate.refused.clear()
    with raw_frames(plane.port, preface=False) as client:
        client.send(start)
        client.ends_with()
        assert client.closed
    assert plane.gate.refused


def test_preface_behind_a_request(plane: DataPlane) -> None:
    """HTTP/2 begins a connection or never: a proxy before the gate knows nothing of it."""
    with plane.client() as client:
        client.send(b"GET /deny HTTP/1.1\r\nHost: a\r\n\r\n" + PREFACE + frame(SETTINGS))
        assert client.answer().status == 403
        assert client.answer().status == 505
        assert client.is_closed()


@pytest.mark.parametrize(
    "offer",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        b"Connection: Upgrade\r\nUpgrade: H2C\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ],
)
def test_no_tunnel_of_requests(plane: DataPlane, offer: bytes) -> None:
    """An upgrade to HTTP/2 is not taken and never offered to the upstream: it would be a tunnel in
    which nothing is judged (RFC 9113 section 3.1 has dropped it)."""
    with RawUpstream() as other, data_plane(other.port) as plane, plane.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n")
        assert client.answer().status == 200
        assert b"pgrade" not in other.received.replace(b"HTTP2-Settings", b"")


def test_http1_only() -> None:
    """Switched off, HTTP/2 is a version that the gate does not speak."""
    with (
        RawUpstream() as other,
        data_plane(other.port, listener={"http2": False}) as plane,
        plane.client() as client,
    ):
        client.send(PREFACE + frame(SETTINGS))
        assert client.answer().status == 505
        assert client.is_closed()


def test_any_frames(plane: DataPlane) -> None:
    """Whatever frames come, the gate ends them in order: no failure, and others are served."""
    chance = random.Random(9113)
    kinds = [*range(11), 0xF0]
    encoder = hpack.Encoder()
    with http2(plane.port) as other:
        for _ in range(150):
            frames = []
            for _ in range(chance.randrange(1, 30)):
                kind = chance.choice(kinds)
                body = chance.randbytes(chance.choice((0, 1, 4, 5, 6, 8, 40)))
                if chance.random() < 0.5:
                    body = encoder.encode(chance.choice((DENY, POST, request_fields("/judge"))))
                frames.append(
                    frame(kind, chance.randrange(256), chance.choice((0, 1, 1, 3, 5, 2)), body)
                )
            with raw_frames(plane.port) as client:
                client.send(*frames)
        assert other.get("/deny").status == 403
    plane.gate.parked.clear()
