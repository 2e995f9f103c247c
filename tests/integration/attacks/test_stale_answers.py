"""Bytes that an upstream sent before it was asked are no answer, however late they are read."""

from tests.fuzz.plan import Plan
from tests.fuzz.world import World

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SPOILT = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nspoilt"


def answers(*requests: bytes) -> list[tuple[bytes, bytes]]:
    """What a client gets whose second request is decided in the very turn in which junk comes."""
    head = b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    events = [("client", 0, request + head) for request in requests]
    world = World(Plan(events, [OK + SPOILT, OK], [len(SPOILT), len(OK)], most=1, turn=2))
    world.run()
    world.compare()
    return [(each.first, each.body) for each in world.answers(world.clients[0])[0]]


def test_what_came_before_a_request_is_no_answer_to_it() -> None:
    """RFC 9112 section 9.2: the connection is given up, and the request sent over another one."""
    assert answers(b"GET /x", b"GET /wait") == [(b"200", b"ok"), (b"200", b"ok")]


def test_what_cannot_be_sent_again_is_refused() -> None:
    """The connection that the junk came over is lost to a POST, and so is its answer."""
    assert answers(b"POST /x", b"POST /wait") == [
        (b"200", b"ok"),
        (b"502", b"upstream_bad_response"),
    ]
