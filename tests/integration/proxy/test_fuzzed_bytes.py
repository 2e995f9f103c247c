"""Whatever a client sends, the upstream sees only whole requests that were judged."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.data_plane import DataPlane, data_plane
from tests.support.raw_http import Peer, RawUpstream, until

PIECES = [
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /judge HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /deny HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\tchunked\r\n",
    b"transfer-encoding : chunked\r\n",
    b"Connection: Content-Length\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5;x\r\nhello\r\n",
    b"00000000000000000005\r\n",
    b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n",
]


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Valid messages with pieces put in, taken out and bytes changed, cut into packets."""
    message = bytearray(b"".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(message)))
        match draw(st.integers(0, 2)):
            case 0:
                message[at:at] = draw(st.sampled_from(PIECES))
            case 1:
                del message[at : at + draw(st.integers(1, 8))]
            case _:
                message[at : at + 1] = draw(st.binary(min_size=1, max_size=2))
    cuts = sorted(draw(st.lists(st.integers(0, len(message)), max_size=4)))
    bounds = [0, *cuts, len(message)]
    return [bytes(message[a:b]) for a, b in itertools.pairwise(bounds)]


@pytest.fixture(scope="module")
def planes() -> Iterator[tuple[RawUpstream, DataPlane]]:
    def script(peer: Peer) -> None:
        # One connection an exchange, so that what was seen belongs to one conversation.
        if peer.request() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        peer.rest()

    with RawUpstream(script) as upstream, data_plane(upstream.port) as plane:
        yield upstream, plane


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conversation=conversations())
def test_upstream_sees_only_judged_requests(
    planes: tuple[RawUpstream, DataPlane], conversation: list[bytes]
) -> None:
    """Each whole request upstream is one that was judged, once, in order, and not refused."""
    upstream, plane = planes
    gate = plane.gate
    gate.judged.clear()
    gate.outcomes.clear()
    upstream.seen.clear()

    with plane.client() as client:
        for packet in conversation:
            client.send(packet)
        client.sock.settimeout(0.05)
        try:
            while client.sock.recv(65536):
                pass
        except (TimeoutError, ConnectionError):
            pass
    until(lambda: plane.proxy.connections == 0, "the client's connection is gone")
    until(lambda: plane.proxy.upstream_connections == 0, "no upstream connection is left")
    until(lambda: all(one.end for one in list(upstream.seen)), "the upstream has noticed")

    allowed = [wire.target for wire in gate.judged if not wire.target.startswith(b"/deny")]
    whole = upstream.whole_requests
    left = iter(allowed)
    assert all(target in left for target in whole), (whole, allowed)
    assert len(gate.outcomes) <= len(allowed)
    assert len([one for one in gate.outcomes if one.outcome == "completed"]) <= len(whole)
