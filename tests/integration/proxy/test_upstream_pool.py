"""Connections to the upstream: few, reused, bounded, and never sent a request twice by guess."""

import dataclasses
import threading

import pytest
from tests.support.allow_all import Finished
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import OK, Peer, RawUpstream, answering, until

from passgate.proxy.settings import Endpoint


def request(method: bytes = b"GET", body: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"%b /x HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (method, length, body)


def closing_when_used_again(peer: Peer) -> None:
    """Answers one request and closes in silence when the second has come: a keep-alive race."""
    peer.request()
    peer.send(OK)
    peer.request()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
def test_idempotent_request_on_a_dead_connection_is_sent_again(method: bytes) -> None:
    """RFC 9110 section 9.2.2: what may be done twice is retried once, on another connection."""
    with RawUpstream(closing_when_used_again) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == 200
            body = b"body" if method == b"PUT" else b""
            client.send(request(method, body))
            assert client.answer(method.decode()).status == 200
        assert len(upstream.seen) == 2
        assert upstream.seen[0].requests[1] == upstream.seen[1].requests[0]
        assert [each.outcome for each in plane.gate.outcomes] == ["completed"] * 2


@pytest.mark.parametrize("method", [b"POST", b"PATCH"])
def test_other_request_on_a_dead_connection_is_not(method: bytes) -> None:
    """A request that the server may have acted on is not sent a second time."""
    with RawUpstream(closing_when_used_again) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == 200
            client.send(request(method, b"body"))
            assert client.answer().status == 502
        assert len(upstream.seen) == 1
        assert plane.gate.failed == [("upstream_bad_response", True)]


def test_retry_happens_once() -> None:
    """A second failure is an answer, not another attempt."""

    def script(peer: Peer) -> None:
        peer.request()
        if len(upstream.seen) == 1:
            peer.send(OK)
            peer.request()

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == 200
            client.send(request())
            assert client.answer().status == 502
        assert len(upstream.seen) == 2


def two_idle_connections(plane: DataPlane) -> None:
    with plane.client() as one, plane.client() as two:
        for client in (one, two):
            client.send(request())
        assert one.answer().status == two.answer().status == 200
    assert plane.proxy.upstream_connections == 2


@pytest.mark.parametrize(("room", "status", "connections"), [(2, 502, 2), (3, 200, 3)])
def test_retry_prefers_a_new_connection(room: int, status: int, connections: int) -> None:
    """When one idle connection is dead the others may be; only a full pool tries one of them."""
    both = threading.Barrier(2, timeout=5)

    def script(peer: Peer) -> None:
        if len(upstream.seen) <= 2:
            peer.request()
            both.wait()
            peer.send(OK)
            peer.request()
        else:
            answering(OK)(peer)

    with RawUpstream(script) as upstream, data_plane(upstream.port, max_connections=room) as plane:
        two_idle_connections(plane)
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == status
        assert len(upstream.seen) == connections


def test_streamed_body_is_not_sent_again() -> None:
    """A body that the gate did not keep cannot be retried, whatever the method."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(OK)
            peer.head()

        upstream.script = script
        client.send(request())
        assert client.answer().status == 200
        client.send(request(b"PUT", b"body")[:-2])
        assert client.answer().status == 502
        assert len(upstream.seen) == 1


def test_first_use_of_a_connection_is_not_retried() -> None:
    """A server that closes a new connection without a word is down, not idle."""
    with (
        RawUpstream(lambda peer: peer.request() and None) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(request())
        assert client.answer().status == 502
        assert len(upstream.seen) == 1


def test_no_retry_once_an_answer_began() -> None:
    """One byte of an answer is proof that the request was acted on."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.request()
        peer.send(b"H")

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == 200
            client.send(request())
            assert client.answer().status == 502
        assert len(upstream.seen) == 1


def test_connection_that_closed_while_idle_is_not_used() -> None:
    """A connection known to be closed costs no request, not even a POST."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:

        def once(peer: Peer) -> None:
            peer.request()
            peer.send(OK)

        upstream.script = once
        with plane.client() as client:
            client.send(request())
            assert client.answer().status == 200
            until(lambda: plane.proxy.upstream_connections == 0, "the end is noticed")
            client.send(request(b"POST", b"body"))
            assert client.answer().status == 200
        assert len(upstream.seen) == 2


def test_idle_connections_are_closed() -> None:
    """A connection that nobody used for `pool_idle` is closed by the gate."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, pool_idle=0.05) as plane,
        plane.client() as client,
    ):
        client.send(request())
        assert client.answer().status == 200
        until(lambda: plane.proxy.upstream_connections == 0, "it is closed")
        until(lambda: upstream.seen[0].end == "eof", "the upstream has seen that")


def test_connections_are_shared() -> None:
    """Clients one after another use one connection."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        for _ in range(5):
            with plane.client() as client:
                client.send(request())
                assert client.answer().status == 200
        assert len(upstream.seen) == 1


def test_pool_is_bounded_and_fair() -> None:
    """At most `max_connections` are open; others queue, and each gets its own answer."""
    with RawUpstream() as upstream, data_plane(upstream.port, max_connections=2) as plane:
        gate = threading.Semaphore(0)

        def script(peer: Peer) -> None:
            while (got := peer.request()) is not None:
                assert gate.acquire(timeout=5)
                path = got.split(b" ")[1]
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

        upstream.script = script
        with (
            plane.client() as one,
            plane.client() as two,
            plane.client() as three,
            plane.client() as four,
            plane.client() as five,
        ):
            clients = (one, two, three, four)
            for at, client in enumerate(clients):
                client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % at)
                until(lambda at=at: len(plane.gate.judged) == at + 1, "it is judged")
            until(lambda: len(upstream.whole_requests) == 2, "two are forwarded")
            # Two wait, which is as many as may: the fifth is told at once.
            five.send(request())
            refused = five.answer()
            assert (refused.status, refused.body) == (503, b"overloaded")
            for _ in clients:
                gate.release()
            assert [client.answer().body for client in clients] == [b"/0", b"/1", b"/2", b"/3"]
        assert len(upstream.seen) == 2


def test_waiting_is_bounded() -> None:
    """A request that gets no connection in time is answered 504; nothing of it was sent."""
    with (
        RawUpstream(lambda peer: peer.rest()) as upstream,
        data_plane(upstream.port, max_connections=1, connect_timeout=0.1) as plane,
        plane.client() as one,
        plane.client() as two,
    ):
        one.send(request())
        until(lambda: upstream.received, "it is forwarded")
        two.send(request())
        assert two.answer().status == 504
        assert plane.gate.failed == [("upstream_timeout", False)]


def test_client_that_leaves_the_queue() -> None:
    """A client that leaves while queueing is forgotten, and nothing is sent for it."""
    with (
        RawUpstream(lambda peer: peer.rest()) as upstream,
        data_plane(upstream.port, max_connections=1) as plane,
    ):
        with plane.client() as one:
            one.send(request())
            until(lambda: upstream.received, "it is forwarded")
            with plane.client() as two:
                two.send(b"GET /two HTTP/1.1\r\nHost: a\r\n\r\n")
                until(lambda: len(plane.gate.judged) == 2, "it is judged")
            until(lambda: plane.gate.outcomes, "it is on record")
            assert plane.gate.outcomes == [Finished(499, 0, "client_gone", False)]
        until(lambda: plane.proxy.inflight == 0, "the other is on record")
        assert b"/two" not in upstream.received


def test_lost_connection_makes_room() -> None:
    """Where a connection is lost, the request that waits for one gets another."""

    def script(peer: Peer) -> None:
        if len(upstream.seen) == 1:
            peer.request()
            until(lambda: len(plane.gate.judged) == 2, "another waits")
            peer.reset()
        else:
            answering(OK)(peer)

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port, max_connections=1) as plane,
        plane.client() as one,
        plane.client() as two,
    ):
        one.send(request())
        until(lambda: upstream.received, "it is forwarded")
        two.send(request())
        assert one.answer().status == 502
        assert two.answer().status == 200


def test_upstream_can_be_exchanged() -> None:
    """After `reconfigure` new requests go to the new upstream; the others are finished."""
    go = threading.Event()

    def slow(peer: Peer) -> None:
        peer.request()
        assert go.wait(5)
        peer.send(OK)
        peer.rest()

    with RawUpstream(slow) as old, RawUpstream() as new, data_plane(old.port) as plane:
        settings = plane.proxy.settings
        with plane.client() as one, plane.client() as two:
            one.send(request())
            until(lambda: old.received, "it is forwarded")
            changed = dataclasses.replace(
                settings,
                upstream=dataclasses.replace(
                    settings.upstream, endpoints=(Endpoint("127.0.0.1", new.port),)
                ),
            )
            plane.call(lambda: plane.proxy.reconfigure(changed))
            two.send(request())
            assert two.answer().status == 200
            assert new.whole_requests == [b"/x"]
            go.set()
            assert one.answer().status == 200
            until(lambda: old.seen[0].end, "the old connection is closed")
            moved = dataclasses.replace(settings, listen=Endpoint("127.0.0.1", 1))
            with pytest.raises(ValueError, match="restart"):
                plane.call(lambda: plane.proxy.reconfigure(moved))
