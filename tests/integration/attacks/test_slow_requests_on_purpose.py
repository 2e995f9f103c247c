"""One agent asks for what takes too long: that puts out no server which answers everybody else."""

import contextlib

from tests.support.data_plane import data_plane
from tests.support.raw_http import Peer, RawUpstream, connected, until
from tests.support.upstreams import at

from passgate.proxy.settings import UpstreamHealth

LONG = UpstreamHealth(failures=2, ejection=600.0, max_ejection=600.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ABUSERS = 6


def slow_where_asked(peer: Peer) -> None:
    while (request := peer.request()) is not None:
        if request.startswith(b"GET /stream"):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        elif not request.startswith(b"GET /slow"):
            peer.send(OK)


def ejections(path: bytes) -> int:
    """How often the address was put out by requests for `path`, which end together."""
    with (
        RawUpstream(slow_where_asked) as upstream,
        data_plane(
            at(upstream.port), health=LONG, first_byte_timeout=1.0, idle_timeout=1.0
        ) as plane,
        contextlib.ExitStack() as stack,
        plane.client() as honest,
    ):
        for _ in range(ABUSERS):
            client = stack.enter_context(connected(plane.port))
            client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        until(lambda: len(upstream.whole_requests) >= ABUSERS, "they are there")
        tally = plane.proxy.upstream_tally

        def served() -> int:
            honest.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert honest.answer().body == b"ok"
            return tally.failures["timeout"]

        until(lambda: served() == ABUSERS, "all took too long")
        return tally.ejections


def test_requests_that_are_never_answered() -> None:
    """Six at once time out in one turn, while an honest client is answered."""
    assert ejections(b"/slow") == 0


def test_answers_that_never_end() -> None:
    """The same with streams that fall silent."""
    assert ejections(b"/stream") == 0
