"""A change of trust reaches what is under way at once, not at the next look of the clock."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import Client, Peer, RawUpstream, until

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n"


def upstream_script(peer: Peer) -> None:
    head = peer.head()
    assert head is not None
    if b"/events" in head:
        peer.send(EVENTS)
    elif b"/ws" in head:
        peer.send(SWITCHED)
    peer.rest()


def events(client: Client) -> None:
    client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    client.take_until(b"data: x\n\n")


def websocket(client: Client) -> None:
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.take_until(b"\r\n\r\n")


def upload(client: Client) -> None:
    client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegin")


def long_poll(client: Client) -> None:
    client.send(b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n")


KINDS = [events, websocket, upload, long_poll]


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(upstream_script) as running:
        yield running


def begin(begun: Callable[[Client], None], client: Client, upstream: RawUpstream) -> None:
    before = len(upstream.seen)
    begun(client)
    until(lambda: len(upstream.seen) > before and upstream.seen[-1].received, "it is upstream")


def change(plane: DataPlane) -> None:
    """What was allowed no longer is, and the plane is told."""
    plane.gate.allowed = False
    plane.call(plane.proxy.judge_streams)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_under_way_is_cut_within_100_ms(
    upstream: RawUpstream, kind: Callable[[Client], None]
) -> None:
    """Nothing but the look that the change asks for, 50 ms later at most, ends it for all sides."""
    with data_plane(upstream.port) as plane, plane.client() as client:
        begin(kind, client, upstream)
        # Two changes in a row, so that the second has to wait for its turn.
        plane.call(plane.proxy.judge_streams)
        until(lambda: plane.call(lambda: plane.proxy._plane._judging is None), "the first look")

        def change_now() -> float:
            inner = plane.proxy._plane
            assert inner._timer is not None
            inner._timer.cancel()  # the look that comes each second anyway
            plane.gate.allowed = False
            plane.proxy.judge_streams()
            assert inner._judging is not None
            return inner._judging.when() - plane.loop.time()

        assert plane.call(change_now) < 0.052  # loops count in milliseconds

        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "cut"
        assert client.is_closed()
        until(lambda: upstream.seen[-1].end, "the upstream sees it")


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_go_on_goes_on(upstream: RawUpstream, kind: Callable[[Client], None]) -> None:
    """With `cut_on_revocation` false, or still allowed, nothing is cut."""
    with (
        data_plane(upstream.port, cut_on_revocation=False) as careless,
        data_plane(upstream.port) as plane,
        careless.client() as client,
        plane.client() as allowed,
    ):
        begin(kind, client, upstream)
        begin(kind, allowed, upstream)
        change(careless)
        plane.call(plane.proxy.judge_streams)
        for each in (careless, plane):
            # Past the look at once, and the second one at the next tick.
            until(lambda each=each: each.call(lambda: _looked(each)), "both looks are over")
            assert each.gate.outcomes == []
        plane.gate.allowed = True
        careless.gate.allowed = True


def _looked(plane: DataPlane) -> bool:
    inner = plane.proxy._plane
    return inner._judging is None and not inner._again


def test_what_waited_for_its_record_is_judged_soon_after_it_began(upstream: RawUpstream) -> None:
    """A request that was decided before the change, and begins after the look, is cut too."""
    with data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: plane.gate.parked, "it waits")
        plane.gate.allowed = False
        resume, forward = plane.gate.parked[0]

        def look_and_begin() -> None:
            inner = plane.proxy._plane
            inner._judge()
            inner._judged_at += 1000.0  # the look that comes each second anyway
            resume(forward)

        plane.call(look_and_begin)

        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes[0].outcome == "cut"


def test_many_changes_cost_few_looks(upstream: RawUpstream) -> None:
    """However often the trust changes, all streams are looked at twenty times a second at most."""
    with data_plane(upstream.port) as plane, plane.client() as client:
        begin(events, client, upstream)
        end = threading.Event()
        started = time.monotonic()
        while time.monotonic() - started < 0.3:
            plane.call(plane.proxy.judge_streams)
            end.wait(0.001)

        took = time.monotonic() - started
        assert 2 <= plane.gate.asked <= 6 + took / 0.05
