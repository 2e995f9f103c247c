"""The server side of HTTP/2: one client's connection, many requests at a time on it.

Frames are looked at before the library sees them, a bounded number in one turn of the loop, and
each that carries nothing is paid for (`http2_limits`). What the client does wrong on one stream
ends that stream; what it does wrong with the connection ends the connection, with GOAWAY and a line
in the log.
"""

import asyncio
from typing import Final, cast

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from passgate.proxy.client_socket import HELD_BYTES, ClientSocket
from passgate.proxy.http2_framing import (
    CONNECTION_WINDOW,
    GOAWAY,
    HEAD_BYTES,
    MAX_FRAME,
    PREFACE,
    STREAM_WINDOW,
    Framing,
    goaway,
    to_encode,
)
from passgate.proxy.http2_limits import Patience
from passgate.proxy.http2_stream import Http2Stream
from passgate.proxy.http2_watch import Broken, FrameWatch
from passgate.proxy.plane import Connection, Plane
from passgate.proxy.request_head import RequestReader
from passgate.proxy.steps import Answer

_TURN: Final = 128  # frames in one turn of the loop
_WHOLE_GOAWAY: Final = HEAD_BYTES + 8
_MOST_UNREAD: Final = 256 * 1024  # what may be written before a client that does not read is paused
_MOST_UNWRITTEN: Final = 64 * 1024
_CONNECTION_CREDIT: Final = CONNECTION_WINDOW // 4
_COLLECTORS: Final = 8  # bodies of one connection that are held whole at a time


def hand_over(transport: asyncio.BaseTransport, successor: "Http2Connection") -> None:
    """Has the loop tell `successor` from now on what happens on `transport`."""
    cast("asyncio.Transport", transport).set_protocol(cast("asyncio.BaseProtocol", successor))


class Http2Connection(ClientSocket):
    """One client's requests over HTTP/2; `framing` is what the streams write to.

    `peer` and `tls` are as in `Wire`, `reader` reads the heads of all streams.
    """

    __slots__ = (
        "_advancing",
        "_client_leaves",
        "_collectors",
        "_last_stream",
        "_leaves",
        "_opened",
        "_owed",
        "_patience",
        "_ready",
        "_scheduled",
        "_streams",
        "_stuck_deadline",
        "_unwritten",
        "_waiting_to_collect",
        "_watch",
        "framing",
        "reader",
    )

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        limits = plane.limits
        self.framing = Framing(limits.streams, limits.header_bytes)
        self.reader = RequestReader(limits.headers, limits.target_bytes, plane.headers)
        self._patience = Patience(plane.now)
        self._watch = FrameWatch(plane, self._patience)
        self._streams: dict[int, Http2Stream] = {}
        # Streams that have something to send and only wait for the connection as a whole.
        self._ready: dict[Http2Stream, None] = {}
        self._collectors: set[Http2Stream] = set()
        self._waiting_to_collect: dict[Http2Stream, None] = {}
        self._last_stream = 0
        self._owed = 0
        self._unwritten = 0
        self._stuck_deadline = 0.0
        self._opened = False
        self._advancing = False
        self._scheduled = False
        self._leaves = False
        self._client_leaves = False

    @property
    def peer(self) -> str:
        """The client's address, as in `Wire`."""
        return self._peer

    @property
    def certificate(self) -> str:
        """The name in the client's certificate, as in `Wire`."""
        return self._certificate

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._tls

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

    # Reading.

    def _advance(self) -> None:
        """Works on the frames that are here, a turn's worth at most."""
        self._scheduled = False
        if self._ending:
            return
        buffer = self._buffer
        size = len(buffer)
        at = 0
        effort = 0
        self._advancing = True
        try:
            if not self._opened:
                at = self._take_preface(buffer)
                if not at:
                    return
            while size - at >= HEAD_BYTES and not self._ending and effort < _TURN:
                length = int.from_bytes(buffer[at : at + 3], "big")
                if length > MAX_FRAME:
                    self._fail(ErrorCodes.FRAME_SIZE_ERROR, "A frame is larger than allowed.")
                    break
                end = at + HEAD_BYTES + length
                if end > size:
                    break
                effort += self._take_frame(buffer[at:end])
                at = end
        finally:
            self._advancing = False
        if self._ending:
            return
        self._buffer = buffer[at:]
        if effort >= _TURN:
            # Others have their turn first.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._advance)
            if len(self._buffer) > HELD_BYTES:
                self.pause()
        elif self._transport.get_write_buffer_size() <= _MOST_UNREAD:
            self.resume()
        self.flush()

    def _take_preface(self, buffer: bytes) -> int:
        """How many bytes of `buffer` were the client's preface (RFC 9113 section 3.4)."""
        if not PREFACE.startswith(buffer[: len(PREFACE)]):
            self._fail(ErrorCodes.PROTOCOL_ERROR, "The connection preface is malformed.")
            return 0
        if len(buffer) < len(PREFACE):
            return 0
        self._opened = True
        self.framing.receive_data(PREFACE)
        return len(PREFACE)

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
            self._client_goes(int.from_bytes(frame[13:17], "big"))
            return 1
        was_settled = watch.settled
        found = watch.look(
            frame,
            is_open=number in self._streams,
            highest=self.framing.highest_inbound_stream_id,
        )
        if isinstance(found, Broken):
            self._fail(*found)
        else:
            if not was_settled:
                self._idle()
            if found:
                self._have_read(found)
        return watch.effort

    def _have_read(self, frame: bytes) -> None:
        try:
            events = self.framing.receive_data(frame)
        except ProtocolError as error:
            # The library has its GOAWAY ready.
            self._fail(error.error_code, "The client broke the rules of HTTP/2.", said=True)
            return
        for event in events:
            if not self._ending:
                self._happened(event)

    def _happened(self, event: Event) -> None:
        kind = type(event)
        if kind is RequestReceived:
            assert isinstance(event, RequestReceived)
            self._begin(event)
        elif kind is DataReceived:
            assert isinstance(event, DataReceived)
            self._take_data(event)
        elif kind is TrailersReceived:
            assert isinstance(event, TrailersReceived)
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.trailers(self.framing.blocks.taken)
        elif kind is WindowUpdated:
            assert isinstance(event, WindowUpdated)
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.pump()
            elif event.stream_id == 0:
                self._pump()
        elif kind is StreamReset:
            assert isinstance(event, StreamReset)
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.lost()
                self.ended(stream)
            self.came_to_nothing()
        elif kind is RemoteSettingsChanged:
            for stream in tuple(self._streams.values()):
                stream.pump()

    def _begin(self, event: RequestReceived) -> None:
        plane = self._plane
        number = event.stream_id
        if self._leaves or len(self._streams) >= plane.limits.streams:
            # RFC 9113 section 8.7: nothing was done with it, and it may be sent again.
            self.framing.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            self.came_to_nothing()
            return
        self._last_stream = number
        self._deadline = 0.0
        stream = Http2Stream(self, plane, number)
        self._streams[number] = stream
        stream.begin(self.framing.blocks.taken, ended=event.stream_ended is not None)

    def _take_data(self, event: DataReceived) -> None:
        flow = event.flow_controlled_length
        # What is held is bounded by the windows of the streams: the window of the connection must
        # not let one of them hold up all others.
        self._owed += flow
        if self._owed >= _CONNECTION_CREDIT:
            self.framing.increment_flow_control_window(self._owed)
            self._owed = 0
        ended = event.stream_ended is not None
        if not event.data and not ended and not self._patience.aside(self._plane.now):
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "Too many frames that carry nothing.")
            return
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.data(event.data, flow, ended=ended)

    # What the streams ask for.

    def send_fields(
        self, stream: Http2Stream, fields: list[tuple[bytes, bytes]], *, end: bool
    ) -> None:
        """Sends a header block."""
        self.framing.send_headers(stream.id, to_encode(fields), end_stream=end)

    def send_data(self, stream: Http2Stream, data: memoryview, *, end: bool) -> None:
        """Sends a piece of a body, of at most `room`."""
        size = len(data)
        self.framing.send_data(stream.id, data, end_stream=end)
        self._patience.sent(size)
        self._unwritten += size
        if self._unwritten >= _MOST_UNWRITTEN:
            # Only what is written tells whether the client keeps up.
            self._write_raw(b"")

    def room(self, stream: Http2Stream) -> int:
        """How many bytes of a body may be sent now, in one frame; the stream is told of more."""
        framing = self.framing
        if self._full or framing.outbound_flow_control_window <= 0:
            self._ready[stream] = None
            return 0
        return min(framing.local_flow_control_window(stream.id), MAX_FRAME)

    def credit(self, stream: Http2Stream, size: int) -> None:
        """Opens a stream's window by bytes that were taken of its body."""
        self.framing.increment_flow_control_window(size, stream.id)
        self.flush()

    def reset(self, stream: Http2Stream, code: ErrorCodes) -> None:
        """Sends RST_STREAM."""
        self.framing.reset_stream(stream.id, code)

    def ended(self, stream: Http2Stream) -> None:
        """Nothing is left to do for a stream."""
        self._ready.pop(stream, None)
        if self._streams.pop(stream.id, None) is not None and not self._streams:
            if self._leaves or self._client_leaves or self._plane.draining:
                self._say_goodbye_softly()
            else:
                self._idle()

    def came_to_nothing(self) -> None:
        """A stream was reset, or had to be: too many of these end the connection."""
        if not self._patience.reset(self._plane.now) and not self._ending:
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "Too many requests came to nothing.")

    def may_collect(self, stream: Http2Stream) -> bool:
        """Whether a body may be held whole now; if not, its stream is told when it may."""
        if stream in self._collectors:
            return True
        if len(self._collectors) < _COLLECTORS:
            self._collectors.add(stream)
            return True
        self._waiting_to_collect[stream] = None
        return False

    def collected(self, stream: Http2Stream) -> None:
        """A body is whole, or given up: the next one's turn."""
        self._waiting_to_collect.pop(stream, None)
        if stream in self._collectors:
            self._collectors.discard(stream)
            if self._waiting_to_collect:
                following = next(iter(self._waiting_to_collect))
                del self._waiting_to_collect[following]
                following.may_go_on()

    def flush(self) -> None:
        """Writes what the library has ready; while frames are read, once for all of them."""
        if self._advancing or self._aborted:
            return
        data = self.framing.data_to_send()
        if data:
            self._unwritten = 0
            self.write(data)
            if self._full and self._transport.get_write_buffer_size() > _MOST_UNREAD:
                self.pause()

    def unsent_now(self) -> int:
        """Bytes that wait for the connection as a whole, because the client does not read."""
        return self.unsent() if self._full else 0

    def _pump(self) -> None:
        """The connection as a whole has room again: each stream in its turn."""
        while self._ready and not self._full:
            if self.framing.outbound_flow_control_window <= 0:
                return
            stream = next(iter(self._ready))
            del self._ready[stream]
            stream.pump()

    # Ends.

    def _idle(self) -> None:
        """No request is under way."""
        plane = self._plane
        self._deadline = plane.now + plane.slack + plane.limits.keepalive_timeout

    def _client_goes(self, code: int) -> None:
        """The client sent GOAWAY: what is under way is finished, unless it has failed."""
        self._client_leaves = True
        if code != ErrorCodes.NO_ERROR:
            self._leave()
            self.close()
        elif not self._streams:
            self._say_goodbye_softly()

    def _say_goodbye_softly(self) -> None:
        """No further stream; closes once those that are open have ended."""
        if not self._leaves:
            self._leaves = True
            self._write_raw(goaway(self._last_stream, ErrorCodes.NO_ERROR))
        if not self._streams:
            self._write_raw(b"")
            self.close()

    def _say_goodbye(self, answer: Answer, *, head_only: bool = False) -> None:
        """No request will be answered here: there is no stream yet to answer on."""
        self.framing.initiate_connection()
        self._write_raw(goaway(0, ErrorCodes.ENHANCE_YOUR_CALM))
        self._linger()

    def _fail(self, code: int, detail: str, *, said: bool = False) -> None:
        """The connection is not to be saved (RFC 9113 section 5.4.1)."""
        self._plane.enforcement.malformed(self._peer, detail, 400)
        self._leave()
        self._write_raw(b"" if said else goaway(self._last_stream, code))
        self._linger()

    def _write_raw(self, data: bytes) -> None:
        """Writes past the library, behind all that it has ready."""
        self._unwritten = 0
        self.write(self.framing.data_to_send() + data)

    def _leave(self) -> None:
        """The client is gone, or is sent away."""
        self._ending = True
        self._buffer = b""
        streams = tuple(self._streams.values())
        self._streams.clear()
        self._ready.clear()
        self._waiting_to_collect.clear()
        for stream in streams:
            stream.lost()
