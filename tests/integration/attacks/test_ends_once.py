"""An exchange ends once, whatever ends it: what is settled and put on record twice is a lie."""

from tests.support.data_plane import data_plane
from tests.support.http2_client import (
    DATA,
    END_HEADERS,
    END_STREAM,
    frame,
    raw_frames,
    request_fields,
)
from tests.support.raw_http import RawUpstream, until

REFUSED = 260  # more than one connection may have come to nothing


def test_the_refusal_that_ends_the_connection_ends_its_exchange_once() -> None:
    """The body that breaks the client's last patience is the end of its exchange, not two."""
    with (
        RawUpstream() as upstream,
        data_plane(upstream.port) as plane,
        raw_frames(plane.port) as client,
    ):
        for number in range(1, 2 * REFUSED, 2):
            fields = request_fields("/x", ("content-length", "5"), method="POST")
            client.send(
                client.headers(number, fields, flags=END_HEADERS)
                + frame(DATA, 0, number, b"abc")
                + frame(DATA, END_STREAM, number, b"d")
            )
        assert client.ends_with() is not None
        until(lambda: plane.proxy.connections == 0, "it was sent away")
        begun = len(plane.gate.judged)
        assert begun
        assert plane.proxy.inflight == 0
        assert len(plane.gate.outcomes) == begun
