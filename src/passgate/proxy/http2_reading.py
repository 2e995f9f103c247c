"""The frames of one HTTP/2 connection: judged, read by the library, and handed to their streams.

Frames are looked at before the library sees them, a bounded number in one turn of the loop, and
each that carries nothing is paid for (`http2_limits`). What the client does wrong on one stream
ends that stream; what it does wrong with the connection ends the connection, with GOAWAY and a line
in the log.
"""

import asyncio
from typing import Final

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

from passgate.proxy.client_socket import HELD_BYTES
from passgate.proxy.http2_framing import (
    CONNECTION_WINDOW,
    GOAWAY,
    HEAD_BYTES,
    MAX_FRAME,
    PREFACE,
)
from passgate.proxy.http2_shared import MOST_UNREAD, SharedConnection
from passgate.proxy.http2_stream import Http2Stream
from passgate.proxy.http2_watch import Broken, FrameWatch
from passgate.proxy.plane import Plane

_TURN: Final = 128  # frames in one turn of the loop
_WHOLE_GOAWAY: Final = HEAD_BYTES + 8
_CONNECTION_CREDIT: Final = CONNECTION_WINDOW // 4


class FrameReadingConnection(SharedConnection):
    """A connection that takes frames from its buffer; `_scheduled` while more wait for a turn."""

    __slots__ = ("_opened", "_owed", "_scheduled", "_watch")

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        self._watch = FrameWatch(plane, self._patience)
        self._owed = 0
        self._opened = False
        self._scheduled = False

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
        elif self._transport.get_write_buffer_size() <= MOST_UNREAD:
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
