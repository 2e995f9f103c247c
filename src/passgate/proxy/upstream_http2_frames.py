"""Frames to and from an upstream over HTTP/2, each judged before the library sees it.

What an upstream does wrong with the connection ends it; frames that carry nothing are paid for, as
a client's are, and a bounded number is worked on in one turn of the loop. What the frames of a
stream mean is for the class that derives from this one.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import ProtocolError

from passgate.proxy.http2_framing import (
    ACK,
    CONNECTION_WINDOW,
    CONTINUATION,
    DATA,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    MAX_FRAME,
    RST_STREAM,
    SETTINGS,
    STREAM_WINDOW,
    WINDOW_UPDATE,
    goaway,
)
from passgate.proxy.http2_limits import Patience
from passgate.proxy.http2_watch import Broken, FrameWatch
from passgate.proxy.tls import speaks_http2
from passgate.proxy.upstream_http2_framing import ClientFraming, reset
from passgate.proxy.upstream_reason import reason_of
from passgate.proxy.upstream_side import UpstreamSide

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane
    from passgate.proxy.upstream import UpstreamPool
    from passgate.proxy.upstream_address import Address

_TURN: Final = 256  # frames in one turn of the loop
_HELD_BYTES: Final = 256 * 1024  # what is read ahead of them
_WHOLE_GOAWAY: Final = HEAD_BYTES + 8
_LENIENCY: Final = 10.0  # one connection serves all agents, each of them paid for itself
_JUDGED: Final = 4  # where the flags of a frame stand, which is all that tells what it is
# What concerns a stream that must have begun, as all that the gate asks for on odd numbers.
_OF_STREAMS: Final = frozenset((DATA, HEADERS, RST_STREAM, WINDOW_UPDATE, CONTINUATION))


class Http2Frames(UpstreamSide):
    """The connection as such. `_stream` is the one of the exchange under way, 0 for none.

    `_full` while the upstream does not read what was written, `_leaving` once it has said GOAWAY.
    """

    __slots__ = (
        "_advancing",
        "_buffer",
        "_framing",
        "_full",
        "_leaving",
        "_patience",
        "_scheduled",
        "_stopped",
        "_stream",
        "_unwritten",
        "_watch",
    )

    def __init__(self, plane: "Plane", pool: "UpstreamPool", address: "Address") -> None:
        super().__init__(plane, pool, address)
        self._framing = ClientFraming(plane.limits.header_bytes, plane.limits.headers)
        self._patience = Patience(plane.now, _LENIENCY)
        self._watch = FrameWatch(plane, self._patience)
        self._buffer = b""
        self._stream = 0
        self._unwritten = 0
        self._advancing = False
        self._scheduled = False
        self._stopped = False
        self._full = False
        self._leaving = False

    # What a stream makes of it.

    def _happened(self, event: Event) -> None:
        """A frame was in order, and means this."""
        raise NotImplementedError

    def _turned_down(self) -> None:
        """The upstream will not work on the stream that is under way."""
        raise NotImplementedError

    def _pump(self) -> None:
        """There may be room to write again."""
        raise NotImplementedError

    def close(self) -> None:
        """Says goodbye and closes after what was written; tells nobody."""
        if not self.gone:
            self._write_raw(goaway(0, ErrorCodes.NO_ERROR))
        self._stream = 0
        super().close()

    def abort(self) -> None:
        """Resets the stream and closes at once; tells nobody."""
        if self._stream and not self.gone:
            self._write_raw(reset(self._stream, ErrorCodes.CANCEL))
        self._stream = 0
        super().abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, they only behave like them.
        self._transport = cast("asyncio.Transport", transport)
        if not speaks_http2(transport):
            return  # whoever has opened it is about to say so, and to close it
        framing = self._framing
        framing.initiate_connection()
        framing.increment_flow_control_window(CONNECTION_WINDOW - STREAM_WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self.gone:
            return
        self._buffer = self._buffer + data if self._buffer else data
        if not self._scheduled:
            self._advance()
        elif len(self._buffer) > _HELD_BYTES and not self._stopped:
            self._stopped = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        while self._scheduled and not self.gone:
            self._advance()  # what came before the end may be all of an answer
        self._lose(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._outgoing = b""
        self._lose(exc)
        if self.pooled:
            self._pool.forget(self)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._pump()

    # Reading.

    def _advance(self) -> None:
        """Works on the frames that are here, a turn's worth at most."""
        self._scheduled = False
        if self.gone:
            return
        buffer = self._buffer
        size = len(buffer)
        at = 0
        effort = 0
        self._advancing = True
        try:
            if not self._watch.settled and size > _JUDGED and not _opens(buffer):
                self._broken(ErrorCodes.PROTOCOL_ERROR)
            while size - at >= HEAD_BYTES and not self.gone and effort < _TURN:
                length = int.from_bytes(buffer[at : at + 3], "big")
                if length > MAX_FRAME:
                    self._broken(ErrorCodes.FRAME_SIZE_ERROR)
                    break
                end = at + HEAD_BYTES + length
                if end > size:
                    break
                effort += self._take_frame(buffer[at:end])
                at = end
        finally:
            self._advancing = False
        if self.gone:
            self._buffer = b""
            return
        self._buffer = buffer[at:]
        if effort >= _TURN:
            # Others have their turn first.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._advance)
        elif self._stopped:
            self._stopped = False
            self._transport.resume_reading()
        self._flush()

    def _take_frame(self, frame: bytes) -> int:
        """Judges one whole frame and has the library read it; what it cost, in frames."""
        watch = self._watch
        number = int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF
        if (
            frame[3] == GOAWAY
            and number == 0
            and len(frame) >= _WHOLE_GOAWAY
            and watch.settled
            and not watch.in_block
        ):
            self._leaves(int.from_bytes(frame[9:13], "big") & 0x7FFFFFFF)
            return 1
        framing = self._framing
        highest = framing.highest_outbound_stream_id
        if number and frame[3] in _OF_STREAMS and (number > highest or not number & 1):
            self._broken(ErrorCodes.PROTOCOL_ERROR)
            return 1
        is_open = number != 0 and number == self._stream
        found = watch.look(frame, is_open=is_open, highest=highest)
        if isinstance(found, Broken):
            self._broken(found.code)
        elif found:
            try:
                events = framing.receive_data(found)
            except ProtocolError as error:
                self._broken(error.error_code)
            else:
                for event in events:
                    if not self.gone:
                        self._happened(event)
        return watch.effort

    def _leaves(self, last_stream: int) -> None:
        """GOAWAY: what it still works on is answered, and nothing else is sent here."""
        self._leaving = True
        if self._exchange is None:
            self.close()
        elif self._stream > last_stream:
            self._turned_down()
        elif not self._patience.aside(self._plane.now):
            self._broken(ErrorCodes.ENHANCE_YOUR_CALM)

    # Writing.

    def _flush(self) -> None:
        """Writes what the library has ready; while frames are read, once for all of them."""
        if not self._advancing and not self.gone:
            data = self._framing.data_to_send()
            if data:
                self._unwritten = 0
                self.write(data)

    def _write_raw(self, data: bytes) -> None:
        """Writes past the library, behind all that it has ready."""
        self._unwritten = 0
        self.write(self._framing.data_to_send() + data)

    # Failures.

    def _broken(self, code: int) -> None:
        """What came is no HTTP/2, or more of it than anybody needs: nothing here can be used."""
        exchange = self._exchange
        if not self._watch.settled:
            error = "it does not speak HTTP/2"
        elif code == ErrorCodes.ENHANCE_YOUR_CALM:
            error = "it floods the gate with frames, or with headers"
        else:
            error = "it broke the rules of HTTP/2"
        self._write_raw(goaway(0, code))
        self.abort()
        if exchange is None:
            self.fault = error
        else:
            self._pool.failed(self.address, "answer", error)
            exchange.unusable()

    def _lose(self, exc: Exception | None) -> None:
        self.gone = True
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            self._stream = 0
            # A kept connection that closes before the first byte has only been idle for too long.
            if self.began or not self.reused:
                self._pool.failed(self.address, "answer", reason_of(exc))
            exchange.upstream_lost(self)


def _opens(buffer: bytes) -> bool:
    """Whether a connection may begin with this frame (RFC 9113 section 3.4): SETTINGS, no ACK.

    Judged by its first bytes: what some other protocol says might never become a whole frame.
    """
    return buffer[3] == SETTINGS and not buffer[_JUDGED] & ACK
