"""An upstream that speaks no HTTP/2, or too much or too little of it, is no hang for anybody."""

from collections.abc import Callable

import pytest
from h2.errors import ErrorCodes
from structlog.testing import capture_logs
from tests.support.data_plane import data_plane
from tests.support.http2_client import (
    ACK,
    DATA,
    HEADERS,
    PING,
    SETTINGS,
    frame,
    http2,
)
from tests.support.http2_upstream import (
    OK,
    Http2Peer,
    setting,
    speaking,
)
from tests.support.raw_http import Peer, RawUpstream, until

GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
QUICK = {"first_byte_timeout": 0.2, "idle_timeout": 0.2, "connect_timeout": 0.5}
Answer = Callable[[Http2Peer, int], bytes]


def test_an_upstream_that_minds_no_window() -> None:
    """What it sends beyond its window to a client that does not read is not held, but the end."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        assert asked is not None
        peer.send(peer.head(asked.stream, *OK))
        piece = frame(DATA, 0, asked.stream, bytes(16_384))
        while not peer.closed:
            try:
                peer.sock.sendall(piece)
            except OSError:
                return

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        until(lambda: plane.gate.outcomes, "the gate has had enough")
    assert plane.gate.outcomes[0].outcome == "upstream_failed"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"\x15\x03\x03\0\2\2\x28",
        b"\0\0\0\6\0\0\0\0\0",
        frame(SETTINGS, ACK),
        frame(DATA, 0, 1, b"x"),
    ],
    ids=["HTTP/1.1", "TLS", "too little", "ACK", "DATA"],
)
def test_what_does_not_begin_with_settings_is_no_http2(said: bytes) -> None:
    """502 at once, and the journal says what is wrong (RFC 9113 section 3.4)."""

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(said)
        peer.rest()

    with (
        capture_logs() as journal,
        RawUpstream(script) as upstream,
        data_plane(upstream.port, http2=True, first_byte_timeout=2.0) as plane,
        plane.client() as client,
    ):
        client.send(GET)
        # Whether it came before the request was sent is up to the kernel.
        assert client.answer().body in (b"upstream_bad_response", b"upstream_unreachable")
    assert "it does not speak HTTP/2" in str(journal)


SILENT: dict[str, tuple[bytes, Answer]] = {
    "it says nothing at all": (b"", lambda _, __: b""),
    "a head without its end": (
        b"",
        lambda p, s: frame(HEADERS, 0, s, p.encoder.encode(OK)),
    ),
    "half a frame": (b"", lambda p, s: p.head(s, *OK)[:-1]),
    "interim answers alone": (b"", lambda p, s: p.head(s, (":status", "103"))),
    "PINGs": (b"", lambda _, __: frame(PING, 0, 0, bytes(8)) * 100),
    "HEAD without its end": (b"", lambda p, s: p.head(s, (":status", "204"))),
    "no window for the body": (setting(4, 0), lambda _, __: b""),
}


@pytest.mark.parametrize(("settings", "answer"), SILENT.values(), ids=SILENT)
def test_an_answer_that_does_not_come_is_504(settings: bytes, answer: Answer) -> None:
    """In time, whatever else is said meanwhile."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request(whole=False)
        if asked is not None:
            peer.send(answer(peer, asked.stream))
            peer.rest()

    with (
        RawUpstream(speaking(talk, settings=settings)) as upstream,
        data_plane(upstream.port, http2=True, **QUICK) as plane,
        plane.client() as client,
    ):
        client.send(POST.replace(b"/x", b"/judge"))
        got = client.answer()
        while got.status == 103:
            got = client.answer()
        assert (got.status, got.body) == (504, b"upstream_timeout")


def test_an_answer_that_stops_in_its_middle_is_cut() -> None:
    """PINGs and windows are no progress: after the idle time the client is cut."""

    def talk(peer: Http2Peer) -> None:
        asked = peer.request()
        if asked is not None:
            peer.send(peer.head(asked.stream, *OK), frame(DATA, 0, asked.stream, b"x"))
            peer.sock.settimeout(0.02)
            while not peer.closed:
                peer.send(frame(PING, 0, 0, bytes(8)))
                try:
                    peer.next()
                except TimeoutError:
                    continue
                except OSError:
                    return

    with (
        RawUpstream(speaking(talk)) as upstream,
        data_plane(upstream.port, http2=True, **QUICK) as plane,
        http2(plane.port) as client,
    ):
        answer = client.get()
        assert (answer.body, answer.reset) == (b"x", ErrorCodes.INTERNAL_ERROR)
    assert plane.gate.outcomes[-1].outcome == "upstream_failed"
