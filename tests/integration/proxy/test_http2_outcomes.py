"""The outcome of an HTTP/2 exchange is known when the end of its answer has left, not before."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from h2.errors import ErrorCodes
from tests.support.data_plane import DataPlane, data_plane, with_limits
from tests.support.http2_client import DATA, END_STREAM, Http2Client, frame, http2
from tests.support.http2_upstream import OK as OK_FIELDS
from tests.support.http2_upstream import Http2Peer, speaking
from tests.support.raw_http import OK, Peer, RawUpstream, until

WINDOW = 65_535
REST = 500  # what the window of a stream has no room for, so that it waits at the gate
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (WINDOW + REST) + bytes(WINDOW + REST)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (WINDOW + REST)
    + bytes(WINDOW + REST)
    + b"\r\n0\r\nx-sum: 1\r\n\r\n"
)


def script(peer: Peer) -> None:
    """Answers `/big` and `/chunked` with more than a window holds, and all else with a little."""
    while (request := peer.request()) is not None:
        peer.send(BIG if b"/big" in request else CHUNKED if b"/chunked" in request else OK)


@contextlib.contextmanager
def untaken(
    path: str = "/big", **kinds: object
) -> Iterator[tuple[RawUpstream, DataPlane, Http2Client, int]]:
    """An answer that is whole at the gate, whose last bytes wait for the client's window."""
    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, **kinds) as plane,  # type: ignore[arg-type] # as they are named there
        http2(plane.port) as client,
    ):
        client.read_windows = False
        client.h2.increment_flow_control_window(1 << 20)
        stream = client.request(path)
        while len(client.answers[stream].body) < WINDOW:
            assert client.receive()
        # The upstream's connection is free again, so its answer was read to the end.
        assert client.get("/small").status == 200
        assert len(upstream.seen) == 1
        yield upstream, plane, client, stream


def outcomes(plane: DataPlane) -> list[str]:
    """What became of the answers that are larger than the window; the small one went before."""
    return [each.outcome for each in plane.gate.outcomes if each.bytes_out != 2]


@pytest.mark.parametrize("path", ["/big", "/chunked"])
def test_completed_when_the_end_has_left(path: str) -> None:
    """While the client does not take the last of it the request is in flight, then completed."""
    with untaken(path) as (_, plane, client, stream):
        assert outcomes(plane) == []
        assert plane.proxy.inflight == 1

        client.h2.increment_flow_control_window(REST, stream)
        client.flush()
        answer = client.answer(stream)
        assert (answer.ended, len(answer.body)) == (True, WINDOW + REST)
        assert outcomes(plane) == ["completed"]
        assert plane.proxy.inflight == 0


def reset(client: Http2Client, stream: int) -> None:
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    client.flush()


def data_behind_the_end(client: Http2Client, stream: int) -> None:
    client.send(frame(DATA, END_STREAM, stream, b"late"))


def leave(client: Http2Client, stream: int) -> None:
    client.sock.close()


def no_frame_at_all(client: Http2Client, stream: int) -> None:
    client.send(frame(DATA, END_STREAM, 0, b"nonsense"))


@pytest.mark.parametrize("ends", [reset, data_behind_the_end, leave, no_frame_at_all])
def test_client_that_ends_it_before_the_end_has_left(
    ends: Callable[[Http2Client, int], None],
) -> None:
    """A reset, a breach of the protocol or a closed connection: the answer was not completed."""
    with untaken() as (_, plane, client, stream):
        ends(client, stream)
        until(lambda: outcomes(plane), "the outcome")
        assert outcomes(plane) == ["client_gone"]
        assert plane.proxy.inflight == 0


def test_upstream_is_no_hostage() -> None:
    """Many answers that nobody takes hold no connection of the upstream's."""
    with untaken(max_connections=1) as (upstream, plane, client, _):
        for _ in range(5):
            stream = client.request("/big")
            while len(client.answers[stream].body) < WINDOW:
                assert client.receive()
        assert client.get("/small").status == 200
        assert len(upstream.seen) == 1
        assert plane.proxy.inflight == 6
        assert outcomes(plane) == []


def test_revoked_before_the_end_has_left() -> None:
    """What a revoked passport has not been given yet it is not given any more."""
    with untaken() as (_, plane, client, stream):
        plane.gate.allowed = False
        plane.call(plane.proxy.judge_streams)

        assert client.answer(stream).reset == ErrorCodes.INTERNAL_ERROR
        assert outcomes(plane) == ["cut"]


@pytest.mark.parametrize("patient", [True, False])
def test_drain_waits_for_the_end_to_leave(patient: bool) -> None:
    """A gate that stops lets it be taken as long as it may, and then says that it has cut it."""
    with untaken() as (_, plane, client, stream):
        if patient:
            client.h2.increment_flow_control_window(REST, stream)
            client.flush()
        assert plane.run(plane.proxy.drain(5.0 if patient else 0.05)) is patient
        assert outcomes(plane) == ["completed" if patient else "cut"]


def test_no_timeout_of_the_upstream_holds_for_the_client() -> None:
    """Once the answer is whole at the gate only the client's own time runs."""
    limits = with_limits(body_idle_timeout=5.0)
    with untaken(limits=limits, idle_timeout=0.05) as (_, plane, client, stream):
        begun = time.monotonic()
        # A look at every deadline in each hundredth of a second.
        until(lambda: client.alive() and time.monotonic() > begun + 0.3, "time has passed")
        assert outcomes(plane) == []
        client.h2.increment_flow_control_window(REST, stream)
        client.flush()
        assert client.answer(stream).ended
        assert outcomes(plane) == ["completed"]


def test_client_that_was_slow_when_the_answer_ended() -> None:
    """Nor does it where the upstream had been told to wait: for what has ended there is no wait."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        pieces = [frame(DATA, 0, asked.stream, bytes(10_000)) for _ in range(20)]
        last = frame(DATA, END_STREAM, asked.stream)
        peer.send(peer.head(asked.stream, *OK_FIELDS), *pieces, last)
        peer.rest()

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True, idle_timeout=0.05) as plane,
        http2(plane.port) as client,
    ):
        client.read_windows = False
        client.h2.increment_flow_control_window(1 << 20)
        stream = client.request("/big")
        while len(client.answers[stream].body) < WINDOW:
            assert client.receive()
        client.h2.increment_flow_control_window(190_000 - WINDOW, stream)
        while len(client.answers[stream].body) < 190_000:
            client.flush()
            assert client.receive()
        begun = time.monotonic()
        until(lambda: client.alive() and time.monotonic() > begun + 0.3, "time has passed")
        assert plane.gate.outcomes == []
        client.h2.increment_flow_control_window(10_000, stream)
        client.flush()
        assert client.answer(stream).ended
        assert outcomes(plane) == ["completed"]


def test_nobody_takes_it() -> None:
    """A window that is never opened ends the stream in time, and the outcome names the client."""
    with untaken(limits=with_limits(body_idle_timeout=0.1)) as (_, plane, client, stream):
        assert client.answer(stream).reset == ErrorCodes.CANCEL
        assert outcomes(plane) == ["client_gone"]
        assert client.alive()
