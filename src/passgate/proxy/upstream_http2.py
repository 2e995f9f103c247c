"""One connection to the upstream over HTTP/2: one exchange at a time, and nothing is believed.

An answer is whole where END_STREAM says so and its Content-Length agrees; whatever else happens to
its stream or its connection is a failure, told before the first byte went out or seen by the client
as a cut.
"""

from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from passgate.proxy.http2_framing import CONNECTION_WINDOW, MAX_FRAME
from passgate.proxy.response_head import UNTIL_CLOSE, ResponseHead, ResponseReader
from passgate.proxy.unsent import unsent
from passgate.proxy.upstream_http2_body import RequestBody
from passgate.proxy.upstream_http2_frames import Http2Frames
from passgate.proxy.upstream_http2_framing import ANSWER_WINDOW, LAST_STREAM, to_encode
from passgate.proxy.upstream_http2_head import read_answer, read_trailers, request_fields

if TYPE_CHECKING:
    from passgate.proxy.exchange import Exchange
    from passgate.proxy.plane import Plane
    from passgate.proxy.upstream import UpstreamPool
    from passgate.proxy.upstream_address import Address

_MOST_INFORMATIONAL: Final = 32
_MOST_UNWRITTEN: Final = 64 * 1024
_CREDIT: Final = ANSWER_WINDOW // 8
_CONNECTION_CREDIT: Final = CONNECTION_WINDOW // 4
# An upstream that says these has ended one request on purpose, and works.
_DELIBERATE: Final = frozenset((ErrorCodes.NO_ERROR, ErrorCodes.CANCEL))

_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_BODILESS: Final = 3


class Http2Upstream(Http2Frames):
    """The client side of HTTP/2, to one `address`; `secure` is whether that is within TLS."""

    __slots__ = (
        "_body",
        "_head",
        "_informational",
        "_left",
        "_owed",
        "_owed_connection",
        "_paused",
        "_reader",
        "_scheme",
        "_state",
    )

    def __init__(
        self, plane: "Plane", pool: "UpstreamPool", address: "Address", *, secure: bool
    ) -> None:
        super().__init__(plane, pool, address)
        self._reader = ResponseReader(plane.limits.headers)
        self._scheme = b"https" if secure else b"http"
        self._body = RequestBody()
        self._head: ResponseHead | None = None
        self._state = _IDLE
        self._left = 0
        self._informational = 0
        self._owed = 0
        self._owed_connection = 0
        self._paused = False

    # What the exchange asks for.

    def begin(self, exchange: "Exchange", request: bytes) -> None:
        """Sends the first bytes of `exchange`'s request as HEADERS and DATA.

        An upgrade is refused: HTTP/2 has none (RFC 9113 section 8.6).
        """
        end = request.find(b"\r\n\r\n") + 2
        fields = request_fields(request[:end], self._scheme, trailers=exchange.takes_trailers)
        if fields is None:
            self._pool.release(self)
            exchange.upgrade_unsupported()
            return
        framing = self._framing
        body = memoryview(request)[end + 2 :]
        whole = exchange.request_sent
        self._exchange = exchange
        self._state = _HEAD
        self._head = None
        self._informational = 0
        self._owed = 0
        self._paused = False
        self.began = False
        try:
            number = framing.get_next_available_stream_id()
            framing.send_headers(number, to_encode(fields), end_stream=whole and not body)
        except ProtocolError:
            # It allows no stream at all, so nothing of this one was sent.
            self._turned_down()
            return
        self._stream = number
        self._body.begin(ended=whole and not body)
        if body:
            self._body.put(body, last=whole)
        self._pump()

    def send(self, data: bytes, *, chunked: bool, last: bool) -> None:
        """Sends more of a streamed body, as the upstream's windows allow."""
        self._body.put(memoryview(data), last=last)
        self._pump()

    def pause(self) -> None:
        """Opens no window any more, because the client does not keep up."""
        self._paused = True

    def resume(self) -> None:
        """Opens the window for what was taken meanwhile."""
        if self._paused:
            self._paused = False
            self._credit()
            self._flush()

    def unsent(self) -> int:
        """Bytes of the request that the upstream has not taken yet, in steps of 4 KiB."""
        if self.gone:
            return 0
        return self._body.untaken + len(self._outgoing) + unsent(self._transport)

    # Reading.

    def _happened(self, event: Event) -> None:
        kind = type(event)
        if kind is WindowUpdated or kind is RemoteSettingsChanged:
            self._pump()
        elif kind is DataReceived:
            assert isinstance(event, DataReceived)
            self._take_data(event)
        elif kind is ResponseReceived:
            assert isinstance(event, ResponseReceived)
            if event.stream_id == self._stream:
                self._take_head(ended=event.stream_ended is not None)
        elif kind is InformationalResponseReceived:
            assert isinstance(event, InformationalResponseReceived)
            if event.stream_id == self._stream:
                self._take_head(ended=False)
        elif kind is TrailersReceived:
            assert isinstance(event, TrailersReceived)
            if event.stream_id == self._stream:
                self._take_trailers()
        elif kind is StreamReset:
            assert isinstance(event, StreamReset)
            if event.stream_id == self._stream:
                self._was_reset(event.error_code)

    # Reading an answer.

    def _take_head(self, *, ended: bool) -> None:
        exchange = self._exchange
        assert exchange is not None
        self.began = True
        head = read_answer(
            self._framing.blocks.taken,
            self._reader,
            self._plane.limits.header_bytes,
            ended=ended,
            bodiless=exchange.bodiless,
        )
        if head is None:
            self._unusable()
        elif head.status < 200:
            self._informational += 1
            if self._informational > _MOST_INFORMATIONAL or head.length != UNTIL_CLOSE:
                self._unusable()
            else:
                exchange.informed(head)
        elif exchange.bodiless or head.status in (204, 304):
            # Whole only where nothing but the end follows.
            self._head = head
            self._state = _BODILESS
            if ended:
                self._end_bodiless(exchange)
        elif ended:
            self._settle(exchange)
            exchange.answer(head, b"", whole=True)
        else:
            self._state = _BODY
            self._left = head.length
            if self.address.out:
                self._pool.answers(self.address)
            exchange.answer(head, b"", whole=False)

    def _take_data(self, event: DataReceived) -> None:
        framing = self._framing
        flow = event.flow_controlled_length
        # The stream's window bounds what is held; that of the connection must only never be in the
        # way.
        self._owed_connection += flow
        if self._owed_connection >= _CONNECTION_CREDIT:
            framing.increment_flow_control_window(self._owed_connection)
            self._owed_connection = 0
        exchange = self._exchange
        if exchange is None or event.stream_id != self._stream:
            return
        data = event.data
        ended = event.stream_ended is not None
        if data:
            self._patience.moved()
        elif not ended and not self._patience.aside(self._plane.now):
            self._broken(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        if self._state == _BODILESS:
            if data:
                self._unusable()
            elif ended:
                self._end_bodiless(exchange)
            return
        if self._left >= 0:
            # RFC 9113 section 8.1.1: one that does not agree with the body is malformed.
            self._left -= len(data)
            if self._left < 0 or (ended and self._left):
                self._unusable()
                return
        if ended:
            self._settle(exchange)
            exchange.answer_ended(data, ())
            return
        self._owed += flow
        if data:
            exchange.answer_data(data)
        self._credit()

    def _take_trailers(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        found = read_trailers(self._framing.blocks.taken)
        if found is None or (self._state == _BODY and self._left > 0):
            self._unusable()
            return
        trailers, cost = found
        if cost:
            exchange.cost_stated(cost)
        if self._state == _BODILESS:
            self._end_bodiless(exchange)
        else:
            self._settle(exchange)
            exchange.answer_ended(b"", trailers)

    def _end_bodiless(self, exchange: "Exchange") -> None:
        head = self._head
        assert head is not None
        self._settle(exchange)
        exchange.answer(head, b"", whole=True)

    def _settle(self, exchange: "Exchange") -> None:
        """The answer ended: the connection is used again, or closed."""
        number = self._stream
        self._exchange = None
        self._head = None
        self._state = _IDLE
        if self.address.failures:
            self._pool.proved(self.address)
        if not exchange.request_sent or not self._body.sent:
            # Answered before the request was read: nobody waits for the rest.
            self.abort()
            return
        self._stream = 0
        if self._leaving or number >= LAST_STREAM:
            self.close()
        else:
            self.reused = True
            self._pool.release(self)

    # Writing.

    def _pump(self) -> None:
        """Sends what the windows allow of the body; the rest waits, and so does the client."""
        number = self._stream
        body = self._body
        framing = self._framing
        while number and not self._full and not body.sent:
            room = min(framing.local_flow_control_window(number), MAX_FRAME)
            piece = body.take(room)
            if piece is None:
                break
            framing.send_data(number, piece, end_stream=body.sent)
            size = len(piece)
            self._patience.moved()
            self._patience.sent(size)
            self._unwritten += size
            if self._unwritten >= _MOST_UNWRITTEN:
                # Only what is written tells whether the upstream keeps up.
                self._write_raw(b"")
        self._flush()
        exchange = self._exchange
        if exchange is not None:
            if body.fills():
                exchange.upstream_full()
            elif body.drains():
                exchange.upstream_drained()

    def _credit(self) -> None:
        """Opens the upstream's window again for what the client has taken, but not for a few."""
        if self._owed >= _CREDIT and self._stream and not self._paused and not self.gone:
            owed, self._owed = self._owed, 0
            self._framing.increment_flow_control_window(owed, self._stream)

    # Failures.

    def _turned_down(self) -> None:
        """The upstream did nothing with the request (RFC 9113 section 8.7), unless it began to."""
        exchange = self._exchange
        assert exchange is not None
        self.refused = not self.began
        self.close()
        if self.refused:
            exchange.upstream_lost(self)
        else:
            exchange.unusable()

    def _was_reset(self, code: int) -> None:
        """The upstream gave up on the stream, and works otherwise."""
        if code == ErrorCodes.REFUSED_STREAM:
            self._turned_down()
            return
        exchange = self._exchange
        assert exchange is not None
        if code not in _DELIBERATE:
            self._pool.failed(self.address, "answer", "it reset the request's stream")
        self.close()
        exchange.unusable()

    def _unusable(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._pool.failed(self.address, "answer", "its answer was unusable")
        self.abort()
        exchange.unusable()
