"""The server side of HTTP/2: what a connection does when the event loop or the plane says so.

How its frames are read and what its streams make of it is in `http2_reading` and `http2_shared`.
"""

import asyncio
from typing import cast

from h2.errors import ErrorCodes

from passgate.proxy.client_socket import HELD_BYTES, ClientSocket
from passgate.proxy.http2_framing import CONNECTION_WINDOW, STREAM_WINDOW
from passgate.proxy.http2_reading import FrameReadingConnection
from passgate.proxy.plane import Connection, Plane


def hand_over(transport: asyncio.BaseTransport, successor: "Http2Connection") -> None:
    """Has the loop tell `successor` from now on what happens on `transport`."""
    cast("asyncio.Transport", transport).set_protocol(cast("asyncio.BaseProtocol", successor))


class Http2Connection(FrameReadingConnection):
    """One client's requests over HTTP/2, many at a time."""

    __slots__ = ("_stuck_deadline",)

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._stuck_deadline = 0.0

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._ending:
            self._open()

    def take_over(self, other: ClientSocket, data: bytes) -> None:
        """Goes on where a connection of HTTP/1.1 has ended; `data` is all that the client sent."""
        plane = self._plane
        other.send_now()
        self._transport = other._transport  # noqa: SLF001 - the same socket under another class
        self._peer = other._peer  # noqa: SLF001
        self._tls = other._tls  # noqa: SLF001
        self._certificate = other._certificate  # noqa: SLF001
        self.place = other.place
        plane.connections.add(self)
        plane.connections.discard(cast("Connection", other))
        self._open()
        self.data_received(data)

    def _open(self) -> None:
        """Says what the gate allows; the client's first bytes are still to come."""
        framing = self.framing
        framing.initiate_connection()
        framing.increment_flow_control_window(CONNECTION_WINDOW - STREAM_WINDOW)
        self._deadline = self._plane.now + self._plane.slack + self._plane.limits.header_timeout
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._drop(data)
            return
        self._buffer = self._buffer + data if self._buffer else data
        if not self._scheduled:
            self._advance()
        elif len(self._buffer) > HELD_BYTES:
            self.pause()

    def eof_received(self) -> bool:
        # As over HTTP/1.1: a client that will not send also gives up on what it has asked for.
        self._leave()
        self.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._aborted = True
        self._outgoing = b""
        self._leave()
        self._plane.left(self)

    def pause_writing(self) -> None:
        self._full = True
        self._stuck_deadline = (
            self._plane.now + self._plane.slack + self._plane.limits.body_idle_timeout
        )

    def resume_writing(self) -> None:
        self._full = False
        self._unsent = -1
        self._stuck_deadline = 0.0
        if not self._ending:
            self._pump()
            if not self._scheduled:
                self.resume()

    # What the plane asks for.

    def drain(self) -> None:
        """The gate stops: streams that are open end, no other begins."""
        if not self._ending:
            self._say_goodbye_softly()

    def stop(self) -> None:
        """The gate stops now."""
        for stream in tuple(self._streams.values()):
            stream.stop()
        self._leave()
        self.abort()

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick: acts where a deadline has passed."""
        for stream in tuple(self._streams.values()):
            stream.sweep(now, judge)
        if self._ending:
            if self._deadline and now >= self._deadline:
                if self._still_reads():
                    self._deadline = now + self._plane.limits.body_idle_timeout
                else:
                    self.abort()
        elif self._stuck_deadline and now >= self._stuck_deadline:
            if self._still_reads():
                self._stuck_deadline = now + self._plane.limits.body_idle_timeout
            else:
                self._leave()
                self.abort()
        elif self._watch.block_deadline and now >= self._watch.block_deadline:
            self._fail(ErrorCodes.PROTOCOL_ERROR, "The request head did not come in time.")
        elif self._deadline and now >= self._deadline:
            self._say_goodbye_softly()
