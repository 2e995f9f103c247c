"""What a peer has not taken yet is seen to shrink as it takes it, the kernel's share included."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import pytest
import uvloop
from tests.awaiting import eventually

from passgate.proxy.unsent import unsent


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection with small buffers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    near.setblocking(False)
    far.setblocking(False)
    return near, far


async def scenario() -> None:
    loop = asyncio.get_running_loop()
    near, far = pair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
    transport = cast("asyncio.Transport", transport)
    total = 2 << 20
    try:
        assert unsent(transport) == 0
        transport.write(bytes(total))
        seen = unsent(transport)
        assert 0 < seen <= total
        assert seen > transport.get_write_buffer_size()  # the kernel holds some of it
        taken = 0
        while taken < total:
            piece = await loop.sock_recv(far, 100_000)
            taken += len(piece)
            left = unsent(transport)
            assert left <= seen
            assert left % 4096 == 0
            assert left >= total - taken - 400_000  # what the far kernel holds is its own
            seen = left
        await eventually(lambda: unsent(transport) == 0)
    finally:
        transport.abort()
        far.close()
    await asyncio.sleep(0)
    assert unsent(transport) == 0


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_it_shrinks_while_the_peer_reads(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """On both event loops, down to nothing, in steps that single bytes do not move."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())
