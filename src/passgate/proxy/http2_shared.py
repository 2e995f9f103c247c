"""One HTTP/2 connection as its streams see it: whose it is, what it sends for them, how it ends.

Streams share one socket and one window: each has its turn, and a client that does not read stops
them all. An end of the connection's own is said with GOAWAY.
"""

from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from passgate.proxy.client_socket import ClientSocket
from passgate.proxy.http2_answering import AnsweringStream
from passgate.proxy.http2_framing import MAX_FRAME, Framing, goaway, to_encode
from passgate.proxy.http2_limits import Patience
from passgate.proxy.plane import Plane
from passgate.proxy.request_head import RequestReader
from passgate.proxy.steps import Answer

if TYPE_CHECKING:
    from passgate.proxy.http2_stream import Http2Stream

MOST_UNREAD: Final = 256 * 1024  # what may be written before a client that does not read is paused
_MOST_UNWRITTEN: Final = 64 * 1024
_COLLECTORS: Final = 8  # bodies of one connection that are held whole at a time


class SharedConnection(ClientSocket):
    """A connection that many streams share; `framing` is what they write to.

    `peer`, `tls` and `certificate` are as in `Wire`, `reader` reads the heads of all streams.
    """

    __slots__ = (
        "_advancing",
        "_client_leaves",
        "_collectors",
        "_last_stream",
        "_leaves",
        "_patience",
        "_ready",
        "_streams",
        "_unwritten",
        "_waiting_to_collect",
        "framing",
        "reader",
    )

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane)
        limits = plane.limits
        self.framing = Framing(limits.streams, limits.header_bytes, limits.headers)
        self.reader = RequestReader(limits.headers, limits.target_bytes, plane.headers)
        self._patience = Patience(plane.now)
        self._streams: dict[int, Http2Stream] = {}
        # Streams that have something to send and only wait for the connection as a whole.
        self._ready: dict[AnsweringStream, None] = {}
        self._collectors: set[AnsweringStream] = set()
        self._waiting_to_collect: dict[AnsweringStream, None] = {}
        self._last_stream = 0
        self._unwritten = 0
        self._advancing = False
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

    # What is sent.

    def send_fields(
        self, stream: AnsweringStream, fields: list[tuple[bytes, bytes]], *, end: bool
    ) -> None:
        """Sends a header block."""
        self.framing.send_headers(stream.id, to_encode(fields), end_stream=end)

    def send_data(self, stream: AnsweringStream, data: memoryview, *, end: bool) -> None:
        """Sends a piece of a body, of at most `room`."""
        size = len(data)
        self.framing.send_data(stream.id, data, end_stream=end)
        self._patience.sent(size)
        self._unwritten += size
        if self._unwritten >= _MOST_UNWRITTEN:
            # Only what is written tells whether the client keeps up.
            self._write_raw(b"")

    def room(self, stream: AnsweringStream) -> int:
        """How many bytes of a body may be sent now, in one frame; the stream is told of more."""
        framing = self.framing
        if self._full or framing.outbound_flow_control_window <= 0:
            self._ready[stream] = None
            return 0
        return min(framing.local_flow_control_window(stream.id), MAX_FRAME)

    def credit(self, stream: AnsweringStream, size: int) -> None:
        """Opens a stream's window by bytes that were taken of its body."""
        self.framing.increment_flow_control_window(size, stream.id)
        self.flush()

    def reset(self, stream: AnsweringStream, code: ErrorCodes) -> None:
        """Sends RST_STREAM."""
        self.framing.reset_stream(stream.id, code)

    def flush(self) -> None:
        """Writes what the library has ready; while frames are read, once for all of them."""
        if self._advancing or self._aborted:
            return
        data = self.framing.data_to_send()
        if data:
            self._unwritten = 0
            self.write(data)
            if self._full and self._transport.get_write_buffer_size() > MOST_UNREAD:
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

    def _write_raw(self, data: bytes) -> None:
        """Writes past the library, behind all that it has ready."""
        self._unwritten = 0
        self.write(self.framing.data_to_send() + data)

    # Bodies that are held whole.

    def may_collect(self, stream: AnsweringStream) -> bool:
        """Whether a body may be held whole now; if not, its stream is told when it may."""
        if stream in self._collectors:
            return True
        if len(self._collectors) < _COLLECTORS:
            self._collectors.add(stream)
            return True
        self._waiting_to_collect[stream] = None
        return False

    def collected(self, stream: AnsweringStream) -> None:
        """A body is whole, or given up: the next one's turn."""
        self._waiting_to_collect.pop(stream, None)
        if stream in self._collectors:
            self._collectors.discard(stream)
            if self._waiting_to_collect:
                following = next(iter(self._waiting_to_collect))
                del self._waiting_to_collect[following]
                following.may_go_on()

    # Ends, of streams and of the connection.

    def ended(self, stream: AnsweringStream) -> None:
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
