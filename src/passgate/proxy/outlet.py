"""What is written in one turn of the event loop leaves at its end, for all connections together.

A write to a socket wakes whoever waits on the other side. Where each request was written on as soon
as it was decided, a peer on another core woke, worked and slept once per request, and the waking
took a seventh of the gate's time; now it wakes once, and finds everything.
"""

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

_AT_ONCE: Final = 32 * 1024  # copying more than this costs more than a write of its own


class Outlet:
    """The writing half of a connection: `write` keeps, `send_now` sends; the order stays.

    Whatever ends the connection flushes first or says that it does not.
    """

    __slots__ = ("_outgoing", "_plane", "_transport")

    def __init__(self, plane: "Plane") -> None:
        self._plane = plane
        self._transport: asyncio.Transport
        self._outgoing = b""

    def write(self, data: bytes) -> None:
        """Sends `data` after all that was written before, at the end of this turn at the latest."""
        held = self._outgoing
        if held:
            data = held + data
            self._outgoing = data
            if len(data) > _AT_ONCE:
                self.send_now()
        elif len(data) > _AT_ONCE:
            self._transport.write(data)
        else:
            self._outgoing = data
            self._plane.flush_soon(self)

    def send_now(self) -> None:
        """Hands over to the kernel, or to TLS, what was written in this turn."""
        data = self._outgoing
        if data:
            self._outgoing = b""
            self._transport.write(data)
