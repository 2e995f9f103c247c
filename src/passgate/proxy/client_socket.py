"""A client's socket: how it arrives, how it is slowed, and every way in which it ends."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from passgate.proxy.answers import render
from passgate.proxy.certificates import client_name
from passgate.proxy.crowd import Place, peer_of
from passgate.proxy.outlet import Outlet
from passgate.proxy.steps import Answer
from passgate.proxy.unsent import unsent

if TYPE_CHECKING:
    from passgate.proxy.plane import Connection, Plane

HELD_BYTES: Final = 64 * 1024  # what a client may send ahead before it is no longer read
_LINGER_BYTES: Final = 1 << 20
_LINGER_S: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)


class ClientSocket(Outlet):
    """One accepted connection, without what HTTP makes of it.

    It has the methods of `asyncio.Protocol` but is not derived from it: that is all a loop asks
    for, and a class without interpreted ancestors can be compiled.

    `write` sends bytes. Once `_ending`, nothing is read for its content any more; `_deadline` (the
    plane's clock, 0 for none) is then when the socket is closed whatever is left in it. `place` is
    its place in the crowd, `_certificate` the name in the client's verified certificate, if any.
    """

    __slots__ = (
        "_aborted",
        "_buffer",
        "_certificate",
        "_deadline",
        "_dropped",
        "_ending",
        "_full",
        "_paused",
        "_peer",
        "_tls",
        "_unsent",
        "place",
    )

    def __init__(self, plane: "Plane") -> None:
        super().__init__(plane)
        self._buffer = b""
        self._deadline = 0.0
        self._peer = ""
        self._certificate = ""
        self._tls = False
        self._full = False
        self._paused = False
        self._ending = False
        self._aborted = False
        self._dropped = 0
        self._unsent = -1
        self.place: Place | None = None

    def come_from(self, peer: str, place: Place) -> None:
        """Says who is there, where that and the place in the crowd are known beforehand."""
        self._peer = peer
        self.place = place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, they only behave like them.
        transport = cast("asyncio.Transport", transport)
        plane = self._plane
        self._transport = transport
        place = self.place
        if place is not None:
            assert plane.arrivals is not None
            if not plane.arrivals.made(place):
                self.place = None
                self.abort()
                return
        # Every one is what a version of HTTP makes of it; nothing else derives from this class.
        plane.connections.add(cast("Connection", self))
        if place is not None:
            self._tls = transport.get_extra_info("sslcontext") is not None
            if self._tls:
                self._certificate = client_name(transport.get_extra_info("peercert"))
        else:
            self._peer = peer_of(transport.get_extra_info("peername"))
            place = self.place = plane.crowd.enter(plane.limits.connections)
            if place is None:
                self.abort()
                return
            plane.crowd.name(
                place, self._peer, plane.settings.trusted_proxies, plane.limits.per_client
            )
        if not place.served or plane.draining:
            self._say_goodbye(plane.enforcement.overloaded(self._peer))
        else:
            self._deadline = plane.now + plane.slack + plane.limits.header_timeout

    def pause(self) -> None:
        """Stops reading from the client."""
        if not self._paused and not self._ending:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads from the client again."""
        if self._paused and not self._aborted:
            self._paused = False
            self._transport.resume_reading()

    def unsent(self) -> int:
        """Bytes written that the client has not taken yet."""
        return 0 if self._aborted else len(self._outgoing) + unsent(self._transport)

    def _still_reads(self) -> bool:
        """Whether the client has taken some of what is left for it since this was last asked."""
        before, self._unsent = self._unsent, self.unsent()
        return self._unsent > 0 and (before < 0 or self._unsent < before)

    def write_eof(self) -> bool:
        """Ends the sending side; False where the transport (TLS) cannot do that alone."""
        if not self._transport.can_write_eof():
            return False
        self.send_now()
        self._transport.write_eof()
        return True

    def close(self) -> None:
        """Closes after what was written has gone out, or was not taken for too long."""
        if not self._aborted:
            self._ending = True
            self._deadline = (
                self._plane.now + self._plane.slack + self._plane.limits.body_idle_timeout
            )
            self.send_now()
            self._transport.close()

    def abort(self) -> None:
        """Closes at once, visibly: the client must not take what it has for a whole answer."""
        if not self._aborted:
            self.send_now()
            self._aborted = self._ending = True
            self._deadline = 0.0
            raw = self._transport.get_extra_info("socket")
            if raw is not None:
                # A reset rather than an orderly end, which would complete a close-delimited body.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _linger(self) -> None:
        """Ends sending, but goes on reading for a moment.

        Closing with unread bytes makes the kernel send a reset, which can destroy the answer before
        the client has read it (RFC 9112 section 9.6).
        """
        self._buffer = b""
        self.resume()
        if self.write_eof():
            self._ending = True
            patience = self._plane.limits.body_idle_timeout if self._full else _LINGER_S
            self._deadline = self._plane.now + self._plane.slack + patience
        else:
            self.close()

    def _drop(self, data: bytes) -> None:
        """Throws away what comes after the last answer, up to a limit."""
        self._dropped += len(data)
        if self._dropped > _LINGER_BYTES:
            self.abort()

    def _say_goodbye(self, answer: Answer, *, head_only: bool = False) -> None:
        """Answers what is no request that could be read, and ends."""
        self.write(render(answer, self._plane.date_line, minor=1, head_only=head_only, close=True))
        self._linger()
