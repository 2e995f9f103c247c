"""The server side of HTTP/1.1: what a connection does when the event loop or the plane says so.

How its requests are read and answered is in `http1_reading` and `http1_answering`.
"""

import asyncio

from passgate.proxy.client_socket import HELD_BYTES
from passgate.proxy.http1_answering import HEAD, SKIPPING, TUNNEL
from passgate.proxy.http1_reading import ReadingConnection
from passgate.proxy.http2_connection import Http2Connection, hand_over
from passgate.proxy.request_head import Fault


class ServerConnection(ReadingConnection):
    """One client's requests. The exchange and the tunnel write to it through `write`."""

    __slots__ = ()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            successor = Http2Connection(self._plane)
            if self.place is not None:
                successor.come_from(self._peer, self.place)
            hand_over(transport, successor)
            successor.connection_made(transport)
        else:
            super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._drop(data)
            return
        self._buffer = self._buffer + data if self._buffer else data
        state = self._state
        if state <= SKIPPING:
            if not self._scheduled:
                self._advance()
            elif len(self._buffer) > HELD_BYTES:
                self.pause()
        elif state == TUNNEL:
            assert self._tunnel is not None
            self._buffer = b""
            self._tunnel.from_client(data)
        elif self._exchange is not None and self._exchange.ready and not self._scheduled:
            self._advance()
        elif len(self._buffer) > HELD_BYTES:
            self.pause()

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            return self._tunnel.client_ended() and self._transport.can_write_eof()
        # A client that will not send also gives up on what it has asked for: a half-closed
        # connection looks the same as one that is gone, and work for it would be wasted. What was
        # written already may still be read; the deadline is for a client that does not.
        unfinished = self._until_end and self._exchange is not None
        self._leave()
        if unfinished:
            # An orderly end would make half an answer a whole one.
            self.abort()
        else:
            self.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._outgoing = b""
        self._aborted = True
        if self._tunnel is not None:
            self._tunnel.client_lost()
            self._tunnel = None
        self._leave()
        self._plane.left(self)

    def pause_writing(self) -> None:
        self._full = True
        if self._tunnel is not None:
            self._tunnel.client_full()
        elif self._exchange is not None:
            self._exchange.client_full()

    def resume_writing(self) -> None:
        self._full = False
        self._unsent = -1
        if self._tunnel is not None:
            self._tunnel.client_drained()
        elif self._exchange is not None:
            self._exchange.client_drained()
        elif self._state == HEAD and not self._ending:
            self.resume()
            if not self._advancing and not self._scheduled:
                self._advance()

    # What the plane asks for.

    def stop(self) -> None:
        """The gate stops now."""
        if self._tunnel is not None:
            self._tunnel.cut()
        elif self._exchange is not None:
            self._exchange.cut()
        self._leave()
        self.abort()

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick: acts where a deadline has passed."""
        if self._exchange is not None:
            self._exchange.sweep(now, judge)
        elif self._tunnel is not None:
            self._tunnel.sweep(now, judge)
        if not self._deadline or now < self._deadline:
            return
        self._deadline = 0.0
        state = self._state
        if self._ending or self._full or state == SKIPPING:
            if (self._ending or self._full) and self._still_reads():
                self._deadline = now + self._plane.limits.body_idle_timeout
            else:
                # What was answered is not taken, or not followed up: nobody is there to be told.
                self.abort()
        elif state != HEAD:
            self._refuse_body(Fault(408, "The request body did not come in time."))
        elif self._buffer:
            self._refuse(Fault(408, "The request head did not come in time."))
        else:
            self.close()

    def _leave(self) -> None:
        """The client is gone."""
        self._ending = True
        self._buffer = b""
        self._collected = None
        self._abandon()
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            exchange.client_gone()
