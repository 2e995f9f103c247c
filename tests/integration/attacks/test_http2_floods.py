"""What one HTTP/2 connection can do to the gate: it is sent away, and others are served meanwhile.

Each flood is one that has taken servers down. It must end in a refusal after a bounded amount of
work, with nothing of it left and no request of it forwarded twice over.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator

import hpack
import pytest
from h2.errors import ErrorCodes
from tests.pace import pace_s
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawFrames,
    frame,
    http2,
    raw_frames,
    request_fields,
)
from tests.support.memory import resident_kib
from tests.support.raw_http import RawUpstream, answering, until

CANCEL = frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big"))
CALM = ErrorCodes.ENHANCE_YOUR_CALM


@pytest.fixture(scope="module")
def plane() -> Iterator[DataPlane]:
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        yield plane


def field_of(name: bytes, value: bytes) -> bytes:
    return hpack.Encoder().encode([(name, value)])


def rapid_reset(client: RawFrames) -> Iterator[bytes]:
    """CVE-2023-44487."""
    number = 1
    while True:
        yield client.headers(number, request_fields("/park")) + frame(
            RST_STREAM, 0, number, (8).to_bytes(4, "big")
        )
        number += 2


def made_you_reset(client: RawFrames) -> Iterator[bytes]:
    """CVE-2025-8671: the gate has to reset, by a window that overflows."""
    number = 1
    while True:
        yield client.headers(number, request_fields("/park")) + frame(
            WINDOW_UPDATE, 0, number, (2**31 - 1).to_bytes(4, "big")
        )
        number += 2


def malformed_requests(client: RawFrames) -> Iterator[bytes]:
    number = 1
    while True:
        yield client.headers(number, request_fields("/x", ("connection", "close")))
        number += 2


def too_many_streams(client: RawFrames) -> Iterator[bytes]:
    number = 1
    while True:
        yield client.headers(number, request_fields("/park"))
        number += 2


def pings(_: RawFrames) -> Iterator[bytes]:
    """CVE-2019-9512."""
    while True:
        yield frame(PING, 0, 0, b"12345678")


def settings(_: RawFrames) -> Iterator[bytes]:
    """CVE-2019-9515."""
    while True:
        yield frame(SETTINGS)


def many_settings(_: RawFrames) -> Iterator[bytes]:
    body = b"".join(n.to_bytes(2, "big") + bytes(4) for n in range(100, 2800))
    while True:
        yield frame(SETTINGS, 0, 0, body)


def priorities(_: RawFrames) -> Iterator[bytes]:
    """CVE-2019-9513."""
    number = 1
    while True:
        yield frame(PRIORITY, 0, number, bytes(4) + b"\x10")
        number += 2


def empty_data(client: RawFrames) -> Iterator[bytes]:
    """CVE-2019-9518."""
    yield client.headers(1, request_fields("/judge", method="POST"), flags=END_HEADERS)
    while True:
        yield frame(DATA, 0, 1)


def padded_data(client: RawFrames) -> Iterator[bytes]:
    yield client.headers(1, request_fields("/judge", method="POST"), flags=END_HEADERS)
    while True:
        yield frame(DATA, PADDED, 1, b"\x00")


def data_for_nobody(client: RawFrames) -> Iterator[bytes]:
    yield client.headers(1, request_fields("/park", method="POST"), flags=END_HEADERS) + CANCEL
    while True:
        yield frame(DATA, 0, 1, b"x")


def window_updates(_: RawFrames) -> Iterator[bytes]:
    while True:
        yield frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big"))


def unknown_frames(_: RawFrames) -> Iterator[bytes]:
    while True:
        yield frame(0xF0, 0xFF, 1, b"")


def resets_of_what_is_over(client: RawFrames) -> Iterator[bytes]:
    yield client.headers(1, request_fields("/deny"))
    while True:
        yield CANCEL


def requests_again(client: RawFrames) -> Iterator[bytes]:
    """HEADERS for a stream that was reset, over and over."""
    yield client.headers(1, request_fields("/park"), flags=END_HEADERS) + CANCEL
    while True:
        yield client.headers(1, request_fields("/park"))


def continuations(client: RawFrames) -> Iterator[bytes]:
    """CVE-2024-27316."""
    yield client.headers(1, flags=END_STREAM)
    while True:
        yield frame(CONTINUATION, 0, 1, field_of(b"x-a", b"b" * 1000))


def empty_continuations(client: RawFrames) -> Iterator[bytes]:
    """CVE-2019-9516: nothing in it, for as long as it goes."""
    yield client.headers(1, flags=END_STREAM)
    while True:
        yield frame(CONTINUATION, 0, 1)


def header_bomb(client: RawFrames) -> Iterator[bytes]:
    """A table entry of 4 KiB, and a byte for each further copy of it (CVE-2016-6581)."""
    block = client.encoder.encode(request_fields())
    block += b"\x40\x01x" + b"\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 10_000
    while True:
        yield frame(HEADERS, END_HEADERS | END_STREAM, 1, block)


def size_updates(client: RawFrames) -> Iterator[bytes]:
    """A byte each, and the table resized for each."""
    block = b"\x20\x3f\xe1\x1f" * 4000 + client.encoder.encode(request_fields())
    while True:
        yield frame(HEADERS, END_HEADERS | END_STREAM, 1, block)


def trailers_without_end(client: RawFrames) -> Iterator[bytes]:
    """A byte for each field that the table has, where no header is looked for."""
    number = 1
    while True:
        yield (
            client.headers(number, request_fields("/deny", method="POST"), flags=END_HEADERS)
            + frame(HEADERS, END_HEADERS | END_STREAM, number, b"\xbe" * 7900)
        )
        number += 2


FLOODS: dict[Callable[[RawFrames], Iterator[bytes]], tuple[ErrorCodes, ...]] = {
    rapid_reset: (CALM,),
    made_you_reset: (CALM,),
    malformed_requests: (CALM,),
    too_many_streams: (CALM,),
    pings: (CALM,),
    settings: (CALM,),
    many_settings: (CALM,),
    priorities: (CALM,),
    empty_data: (CALM,),
    padded_data: (CALM,),
    data_for_nobody: (CALM,),
    window_updates: (CALM,),
    unknown_frames: (CALM,),
    resets_of_what_is_over: (CALM,),
    requests_again: (CALM,),
    continuations: (CALM, ErrorCodes.PROTOCOL_ERROR),
    empty_continuations: (CALM, ErrorCodes.PROTOCOL_ERROR),
    header_bomb: (CALM,),
    trailers_without_end: (CALM,),
    size_updates: (ErrorCodes.PROTOCOL_ERROR, ErrorCodes.COMPRESSION_ERROR),
}


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_flood(plane: DataPlane, flood: Callable[[RawFrames], Iterator[bytes]]) -> None:
    """The gate ends it with GOAWAY, has it on record, and answers another client at once."""
    plane.gate.refused.clear()
    slowest = 0.0
    with raw_frames(plane.port) as client, http2(plane.port) as other:
        frames = flood(client)
        sender = threading.Thread(target=_send_all, args=(client, frames))
        sender.start()
        for _ in range(10):
            before = time.perf_counter()
            assert other.get("/deny").status == 403
            slowest = max(slowest, time.perf_counter() - before)
        code = client.ends_with()
        sender.join(10)

        assert code in FLOODS[flood]
        assert other.get("/deny").status == 403
    # On a machine of its own a hundredth of this, whichever flood it is.
    assert slowest < max(2.0, 250 * pace_s())
    assert plane.gate.refused
    until(lambda: plane.proxy.inflight == 0, "nothing of it is under way")
    for resume, forward in plane.gate.parked:
        plane.call(lambda resume=resume, forward=forward: resume(forward))
    plane.gate.parked.clear()


def _send_all(client: RawFrames, frames: Iterator[bytes]) -> None:
    """Sends until the gate no longer takes it, in pieces of some size."""
    try:
        for _ in range(2000):
            client.sock.sendall(b"".join(next(frames) for _ in range(20)))
            if client.closed:
                return
    except OSError:
        pass


def test_client_that_never_reads() -> None:
    """Windows wide open and nothing read: the gate holds little of it, and ends it in time."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    with (
        RawUpstream(answering(big)) as upstream,
        data_plane(upstream.port, limits=with_limits(body_idle_timeout=0.3)) as plane,
        raw_frames(plane.port) as client,
    ):
        before = resident_kib(os.getpid())
        client.send(frame(SETTINGS, 0, 0, b"\x00\x04" + (2**31 - 1).to_bytes(4, "big")))
        client.send(frame(WINDOW_UPDATE, 0, 0, (2**31 - 1 - 65_535).to_bytes(4, "big")))
        for number in range(1, 200, 2):
            client.send(client.headers(number))
        until(lambda: plane.proxy.connections == 0, "it is sent away", 20.0)
        assert resident_kib(os.getpid()) - before < 60 << 10
        assert plane.proxy.inflight == 0
        assert {outcome.outcome for outcome in plane.gate.outcomes} <= {"client_gone", "completed"}


def test_window_of_single_bytes() -> None:
    """A client that takes an answer byte by byte does not keep the upstream's connection."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    with (
        RawUpstream(lambda peer: (peer.request(), peer.send(big), peer.rest())) as upstream,
        data_plane(upstream.port, limits=with_limits(body_idle_timeout=0.3)) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(frame(SETTINGS, 0, 0, b"\x00\x04" + bytes(4)))
        client.send(client.headers(1))
        taken = 0
        while True:
            client.send(frame(WINDOW_UPDATE, 0, 1, (1).to_bytes(4, "big")))
            found = client.next()
            assert found is not None
            if found[0] == DATA:
                taken += len(found[3])
                time.sleep(0.02)
            elif found[0] == RST_STREAM:
                break
        assert taken < 1000
        assert plane.gate.outcomes[0].outcome == "client_gone"


def test_large_tables_are_not_kept() -> None:
    """A client that offers a header table of gigabytes gets one of 4 KiB."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(frame(SETTINGS, 0, 0, b"\x00\x01" + (2**32 - 1).to_bytes(4, "big")))
        for number in range(1, 101, 2):
            client.send(client.headers(number, request_fields("/deny")))
            assert client.verdict(number) == "status 403"
        (connection,) = plane.proxy._plane.connections
        assert connection.framing.encoder.header_table_size <= 4096  # type: ignore[attr-defined]


def test_settings_that_nobody_knows_are_not_kept() -> None:
    """Unknown settings leave nothing behind, however many there are."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        for start in range(7, 5_000, 2700):
            numbers = range(start, start + 2700)
            body = b"".join(n.to_bytes(2, "big") + bytes(4) for n in numbers)
            client.send(frame(SETTINGS, 0, 0, body))
        client.send(client.headers(1, request_fields("/deny")))
        assert client.verdict(1) == "status 403"
        (connection,) = plane.proxy._plane.connections
        assert len(connection.framing.remote_settings) < 10  # type: ignore[attr-defined]


def test_streams_that_are_over_are_forgotten() -> None:
    """A connection of many requests does not grow with them."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, http2(plane.port) as client:
        for _ in range(600):
            assert client.get("/deny").status == 403
        before = resident_kib(os.getpid())
        for _ in range(2000):
            assert client.get("/deny").status == 403
        (connection,) = plane.proxy._plane.connections
        assert len(connection.framing._closed_streams) <= 512  # type: ignore[attr-defined]
        assert len(connection._streams) == 0  # type: ignore[attr-defined]
    assert resident_kib(os.getpid()) - before < 8 << 10


def test_header_block_that_never_ends() -> None:
    """A block that is begun must end within the time for a head."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(header_timeout=0.2)) as plane,
        raw_frames(plane.port) as client,
    ):
        client.send(client.headers(1, flags=END_STREAM))
        assert client.ends_with() == ErrorCodes.PROTOCOL_ERROR
        assert "in time" in plane.gate.refused[0][1]


@pytest.mark.parametrize(
    "said", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nS"]
)
def test_preface_that_never_comes(said: bytes) -> None:
    """Who does not even begin is sent away after the time for a head."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=with_limits(header_timeout=0.2)) as plane,
        raw_frames(plane.port, preface=False) as client,
    ):
        client.send(said)
        client.ends_with()
        assert client.closed


def test_ack_of_settings_is_free(plane: DataPlane) -> None:
    """What a client must send costs it nothing."""
    with raw_frames(plane.port) as client:
        client.send(*[frame(PING, ACK, 0, bytes(8)) for _ in range(3000)])
        client.send(client.headers(1, request_fields("/deny")))
        assert client.verdict(1) == "status 403"
