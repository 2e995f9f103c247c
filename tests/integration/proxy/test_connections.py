"""Clients' connections: kept, shared in order, limited, timed, and ended cleanly."""

import asyncio
import contextlib
import socket

import pytest
from tests.support.allow_all import Finished
from tests.support.data_plane import data_plane, with_limits
from tests.support.raw_http import OK, Flood, Peer, RawUpstream, answering, connected, until

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def get(path: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join((b"GET %b HTTP/%b" % (path, version), b"Host: a", *lines, b"", b""))


def silent(peer: Peer) -> None:
    """An upstream that takes requests and never answers."""
    peer.rest()


def test_connection_is_kept() -> None:
    """RFC 9112 section 9.3: an HTTP/1.1 connection carries one request after another."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        for _ in range(3):
            client.send(GET)
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.header("Connection") is None

        assert len(upstream.seen) == 1
        assert plane.gate.outcomes == [Finished(200, 2, "completed", True)] * 3


def test_close_is_honoured() -> None:
    """RFC 9112 section 9.6: after `Connection: close` the answer says so and the end follows."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        for path, status in ((b"/x", 200), (b"/deny", 403)):
            with plane.client() as client:
                client.send(get(path, b"Connection: foo, Close") + GET)
                answer = client.answer()

                assert answer.status == status
                assert answer.header("Connection") == "close"
                assert client.is_closed()
        assert len(upstream.whole_requests) == 1


@pytest.mark.parametrize(
    ("lines", "kept"),
    [((), False), ((b"Connection: keep-alive",), True), ((b"Connection: close",), False)],
)
def test_http_1_0_is_kept_only_when_asked(lines: tuple[bytes, ...], kept: bool) -> None:
    """RFC 9112 section 9.3: an HTTP/1.0 connection ends unless the client asks to keep it."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        for path in (b"/x", b"/deny"):
            with plane.client() as client:
                client.send(get(path, *lines, version=b"1.0"))
                assert client.answer().header("Connection") == ("keep-alive" if kept else "close")
                if kept:
                    client.send(get(path, version=b"1.0"))
                    client.answer()
                assert client.is_closed()
        assert b"HTTP/1.0" not in upstream.received


def test_http_1_0_needs_no_host() -> None:
    """RFC 9112 section 3.2: only HTTP/1.1 requires a Host."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /x HTTP/1.0\r\n\r\n")

        assert client.answer().status == 200


def test_pipelined_requests_are_answered_in_order() -> None:
    """RFC 9112 section 9.3.2: answers come in the order of the requests, refusals among them."""
    paths = [b"/wait/1", b"/deny", b"/2", b"/judge", b"/deny", b"/wait/3"] * 20

    def script(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            path = request.split(b" ")[1]
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(b"".join(get(path) for path in paths))
            answers = [client.answer() for _ in paths]

        expected = [b"denied" if path == b"/deny" else path for path in paths]
        assert [answer.body for answer in answers] == expected
        assert upstream.whole_requests == [path for path in paths if path != b"/deny"]


def test_thousands_of_pipelined_refusals() -> None:
    """A long pipeline needs no deep stack and is answered whole."""
    count = 5000
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.sock.settimeout(20)
        # Read as it comes: a client that reads nothing is not served on and on.
        sender = client.sock.dup()
        sender.setblocking(False)
        pending = get(b"/deny") * count
        answers = 0
        while answers < count:
            if pending:
                with contextlib.suppress(BlockingIOError):
                    pending = pending[sender.send(pending) :]
            assert client.answer().status == 403
            answers += 1
        sender.close()


def test_client_that_reads_nothing_is_not_served_on() -> None:
    """Pipelined requests wait while their sender takes no answers: memory stays bounded."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    with RawUpstream(answering(answer)) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send(GET * 100)
            until(lambda: plane.gate.judged, "the first is judged")
            assert client.send_until_stuck(24 << 20) < 24 << 20
            with pytest.raises(AssertionError, match="never happened"):
                until(lambda: len(plane.gate.judged) > 20, "it goes on", patience_s=0.4)
        until(lambda: plane.proxy.inflight == 0, "it is given up")


def test_client_that_reads_no_refusals_is_not_read_on() -> None:
    """Refusals that are not taken hold up their sender too."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.settimeout(0.3)
        denied = get(b"/deny") * 1000
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                sent += client.sock.send(denied)

        assert sent < 64 << 20


def test_half_closed_client_that_does_not_read_is_closed() -> None:
    """What was written waits for its reader only so long."""
    total = 48 << 20
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total, total)
    limits = with_limits(body_idle_timeout=1.0)
    with (
        RawUpstream(flood) as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(GET)
        assert flood.stalled_at() < total
        client.sock.shutdown(socket.SHUT_WR)
        until(lambda: plane.gate.outcomes, "its end is noticed")
        assert plane.proxy.connections == 1
        until(lambda: plane.proxy.connections == 0, "the connection is closed")
        assert [each.outcome for each in plane.gate.outcomes] == ["client_gone"]


def test_what_follows_a_refused_head_is_read_for_a_moment_only() -> None:
    """A client that sends on and on after its refusal is cut."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost : a\r\n\r\n")
        assert client.answer().status == 400
        with pytest.raises(ConnectionError):
            client.sock.sendall(bytes(32 << 20))


def test_head_has_no_body() -> None:
    """RFC 9110 section 9.3.2: an answer to HEAD has the headers of GET and no body."""
    head = GET.replace(b"GET", b"HEAD")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
    with (
        RawUpstream(answering(answer)) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(head + get(b"/deny").replace(b"GET", b"HEAD") + head)
        assert client.answer("HEAD").header("Content-Length") == "1234"
        refused = client.answer("HEAD")
        assert (refused.status, refused.header("Content-Length")) == (403, "6")
        assert client.answer("HEAD").status == 200


def test_own_answers_are_dated() -> None:
    """RFC 9110 section 6.6.1: what the gate answers itself carries a Date."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(get(b"/deny"))
        date = client.answer().header("Date")
        assert date is not None
        assert date.endswith(" GMT")


@pytest.mark.parametrize("prefix", [b"", b"GET /x HTTP/1.1\r\nHo"])
def test_head_that_does_not_come(prefix: bytes) -> None:
    """A head that is not whole in time is answered 408; one of which nothing came, not at all."""
    limits = with_limits(header_timeout=0.1)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(prefix)
        if prefix:
            assert client.answer().status == 408
        assert client.is_closed()


def test_slow_head_gains_no_time() -> None:
    """The time for a head runs from its first byte: dripping bytes does not extend it."""
    limits = with_limits(header_timeout=0.3)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.sock.settimeout(0.02)
        client.send(GET[:-2])
        data = b""
        for _ in range(200):
            client.send(b"X: y\r\n")
            try:
                data = client.sock.recv(100)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            break
        assert b" 408 " in data


def test_idle_connection_ends() -> None:
    """A kept connection without a next request is closed after the keep-alive time."""
    limits = with_limits(keepalive_timeout=0.1)
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port, limits=limits) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        assert client.answer().status == 200
        assert client.is_closed()


def test_connection_limit_is_said_cleanly() -> None:
    """A connection beyond the limit is answered 503 and closed; the others go on."""
    limits = with_limits(connections=2)
    with RawUpstream() as upstream, data_plane(upstream.port, limits=limits) as plane:
        with plane.client() as one, plane.client() as two:
            one.send(GET)
            two.send(GET)
            assert one.answer().status == two.answer().status == 200
            with plane.client() as three:
                three.send(GET)
                answer = three.answer()
                assert answer.status == 503
                assert answer.header("Retry-After") == "1"
                assert answer.header("Connection") == "close"
                assert three.is_closed()
            one.send(GET)
            assert one.answer().status == 200
        until(lambda: plane.proxy.connections == 0, "all have left")
        with plane.client() as four:
            four.send(GET)
            assert four.answer().status == 200


def test_client_that_leaves_is_not_worked_for() -> None:
    """A client that goes cancels its request upstream, and that is the outcome on record."""
    with RawUpstream(silent) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            until(lambda: upstream.received, "it is forwarded")
        until(lambda: upstream.seen[0].end, "the upstream's connection ends")
        until(lambda: plane.gate.outcomes, "it is on record")
        assert plane.gate.outcomes == [Finished(499, 0, "client_gone", True)]


def test_client_that_leaves_while_the_decision_waits() -> None:
    """A decision that comes after its client left forwards nothing, and is recorded once."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(get(b"/park"))
            until(lambda: plane.gate.parked, "it is judged")
        until(lambda: plane.gate.abandoned, "it is abandoned")
        resume, forward = plane.gate.parked[0]
        plane.call(lambda: resume(forward))

        assert plane.gate.outcomes == [Finished(499, 0, "client_gone", False)]
        assert upstream.seen == []


def test_draining_finishes_what_was_begun() -> None:
    """A stopping gate accepts nobody, answers what is under way with `close`, and is empty then."""
    go: list[bool] = []

    def script(peer: Peer) -> None:
        peer.request()
        until(lambda: go, "the test lets the upstream answer")
        peer.send(OK)
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as idle,
        plane.client() as busy,
    ):
        idle.send(get(b"/deny"))
        assert idle.answer().status == 403
        busy.send(GET)
        until(lambda: upstream.received, "it is forwarded")
        future = asyncio.run_coroutine_threadsafe(plane.proxy.drain(5), plane.loop)
        assert idle.is_closed()
        with pytest.raises(ConnectionRefusedError), connected(plane.port):
            pass
        go.append(True)
        answer = busy.answer()
        assert answer.status == 200
        assert answer.header("Connection") == "close"
        assert busy.is_closed()
        assert future.result(5) is True


def test_draining_cuts_what_does_not_end() -> None:
    """After the drain time, what is still open is cut and recorded as such."""
    with RawUpstream(silent) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            until(lambda: upstream.received, "it is forwarded")
            assert plane.run(plane.proxy.drain(0.05)) is False
            assert client.is_closed()
        assert plane.gate.outcomes == [Finished(0, 0, "cut", True)]


def test_decision_that_comes_while_draining() -> None:
    """A stopping gate ends the connection also with its own answer."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(get(b"/park"))
        until(lambda: plane.gate.parked, "it is judged")
        future = asyncio.run_coroutine_threadsafe(plane.proxy.drain(5), plane.loop)
        resume, _ = plane.gate.parked[0]
        plane.call(lambda: resume(plane.gate.malformed("", "no", 403)))

        assert client.answer().header("Connection") == "close"
        assert client.is_closed()
        assert future.result(5) is True


def test_half_closed_client_counts_as_gone() -> None:
    """A client that ends its sending gives up what it asked for, as with other gateways."""
    with RawUpstream(silent) as upstream, data_plane(upstream.port) as plane:
        with plane.client() as client:
            client.send(GET)
            until(lambda: upstream.received, "it is forwarded")
            client.sock.shutdown(socket.SHUT_WR)
            assert client.is_closed()
        assert [each.outcome for each in plane.gate.outcomes] == ["client_gone"]


def test_half_closed_client_gets_no_half_answer_as_a_whole_one() -> None:
    """An answer that only the end of the connection delimits is reset, not ended, when given up."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        peer.rest()

    with (
        RawUpstream(script) as upstream,
        data_plane(upstream.port) as plane,
        plane.client() as client,
    ):
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        client.take_until(b"half")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.until_end() == (b"", True)
        assert [each.outcome for each in plane.gate.outcomes] == ["client_gone"]


def test_decision_that_waits_is_acted_on() -> None:
    """After `Wait` the request goes on with the step that comes, also a refusal."""
    with RawUpstream() as upstream, data_plane(upstream.port) as plane, plane.client() as client:
        client.send(get(b"/park") + GET)
        until(lambda: plane.gate.parked, "it is judged")
        resume, _ = plane.gate.parked[0]
        refusal = plane.gate.malformed("", "no", 403)
        plane.call(lambda: resume(refusal))

        assert client.answer().status == 403
        assert client.answer().status == 200
        assert upstream.whole_requests == [b"/x"]
