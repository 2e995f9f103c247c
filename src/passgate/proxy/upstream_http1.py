"""One connection to the upstream: it carries one exchange at a time and believes nothing it reads.

Whatever cannot be framed in exactly one way is reported to the exchange as unusable; a connection
is kept only when its last answer ended where its head said, and nothing came behind it.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from passgate.proxy.chunked import ChunkedReader
from passgate.proxy.grammar import BREAKS_LINE
from passgate.proxy.response_head import CHUNKED, UNTIL_CLOSE, ResponseHead, ResponseReader
from passgate.proxy.tls import ended_in_order
from passgate.proxy.unsent import unsent
from passgate.proxy.upstream_reason import reason_of
from passgate.proxy.upstream_side import UpstreamSide

if TYPE_CHECKING:
    from passgate.proxy.exchange import Exchange
    from passgate.proxy.plane import Plane
    from passgate.proxy.tunnel import Tunnel
    from passgate.proxy.upstream import UpstreamPool
    from passgate.proxy.upstream_address import Address

_NO_LIMIT: Final = 1 << 62
_MOST_INFORMATIONAL: Final = 32

_IDLE: Final = 0
_HEAD: Final = 1
_LENGTH: Final = 2
_CHUNKED: Final = 3
_UNTIL_CLOSE: Final = 4
_TUNNEL: Final = 5


class UpstreamConnection(UpstreamSide):
    """The client side of HTTP/1.1, to one `address`."""

    __slots__ = (
        "_asked",
        "_chunks",
        "_held",
        "_informational",
        "_keep",
        "_left",
        "_paused",
        "_reader",
        "_state",
        "_tunnel",
    )

    def __init__(self, plane: "Plane", pool: "UpstreamPool", address: "Address") -> None:
        super().__init__(plane, pool, address)
        self._reader = ResponseReader(plane.limits.headers)
        self._tunnel: Tunnel | None = None
        self._chunks: ChunkedReader | None = None
        self._held = b""
        self._asked = b""
        self._state = _IDLE
        self._left = 0
        self._keep = False
        self._paused = False
        self._informational = 0

    # What the exchange asks for.

    def begin(self, exchange: "Exchange", request: bytes) -> None:
        """Sends the first bytes of `exchange`'s request; what comes back is told to it."""
        self._exchange = exchange
        self._state = _HEAD
        self._informational = 0
        self.began = False
        self.write(request)
        # Until it is sent at the end of this turn, nothing that comes can be its answer.
        self._asked = request if self._outgoing else b""

    def send(self, data: bytes, *, chunked: bool, last: bool) -> None:
        """Sends more of a streamed body, as a chunk of its own where it is `chunked`."""
        if chunked:
            end = b"0\r\n\r\n" if last else b""
            data = b"%x\r\n%b\r\n%b" % (len(data), data, end) if data else end
        if data:
            self.write(data)

    def pause(self) -> None:
        """Stops reading, because the client does not keep up."""
        if not self.gone and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if not self.gone and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def become_tunnel(self, tunnel: "Tunnel") -> bytes:
        """From now on every byte is `tunnel`'s; returns those that came already."""
        self._state = _TUNNEL
        self._tunnel = tunnel
        self._exchange = None
        held, self._held = self._held, b""
        return held

    def unsent(self) -> int:
        """Bytes written that the upstream has not taken yet."""
        return 0 if self.gone else len(self._outgoing) + unsent(self._transport)

    def write_eof(self) -> bool:
        """Ends the sending side; False where the transport (TLS) cannot do that alone."""
        if not self._transport.can_write_eof():
            return False
        self.send_now()
        self._transport.write_eof()
        return True

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, they only behave like them.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _HEAD:
            self._read_head(data)
        elif state == _LENGTH:
            self._read_length(data)
        elif state == _CHUNKED:
            self._read_chunks(data)
        elif state == _UNTIL_CLOSE:
            assert self._exchange is not None
            self._exchange.answer_data(data)
        elif state == _TUNNEL:
            assert self._tunnel is not None
            self._tunnel.from_upstream(data)
        elif not self.gone:
            # Nothing was asked: these bytes must never become the answer to the next request.
            self.abort()

    def eof_received(self) -> bool:
        if self._state == _TUNNEL:
            assert self._tunnel is not None
            return self._tunnel.upstream_ended() and self._transport.can_write_eof()
        exchange = self._exchange
        if exchange is not None and self._state == _UNTIL_CLOSE and ended_in_order(self._transport):
            self._exchange = None
            self.gone = True
            self.address.answered_at = self._plane.now
            if self.address.failures:
                self._pool.proved(self.address)
            exchange.answer_ended(b"", ())
        else:
            self._lose(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._outgoing = b""
        if self._tunnel is not None:
            self._tunnel.upstream_lost()
            self._tunnel = None
        self._lose(exc)
        if self.pooled:
            self._pool.forget(self)

    def pause_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.upstream_full()
        elif self._exchange is not None:
            self._exchange.upstream_full()

    def resume_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.upstream_drained()
        elif self._exchange is not None:
            self._exchange.upstream_drained()

    # Reading an answer.

    def _lose(self, exc: Exception | None) -> None:
        self.gone = True
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            # A kept connection that closes before the first byte has only been idle for too long.
            if self.began or not self.reused:
                self._pool.failed(self.address, "answer", reason_of(exc))
            exchange.upstream_lost(self)

    def _disown(self) -> None:
        """Bytes came that are older than the request: whose answer they are, nobody knows."""
        self._outgoing = self._asked = b""
        self._transport.abort()
        self._lose(None)

    def _unusable(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._pool.failed(self.address, "answer", "its answer was unusable")
        self.abort()
        exchange.unusable()

    def _read_head(self, data: bytes) -> None:
        exchange = self._exchange
        assert exchange is not None
        if self._held:
            searched = len(self._held) - 3
            data = self._held + data
            self._held = b""
        else:
            searched = 0
            if self._asked:
                if self._outgoing.startswith(self._asked):
                    self._disown()
                    return
                self._asked = b""
            self.began = True
        while True:
            end = data.find(b"\r\n\r\n", max(searched, 0)) + 4
            limit = self._plane.limits.header_bytes
            if end == 3:
                if len(data) > limit or BREAKS_LINE.search(data, max(searched, 0)) is not None:
                    self._unusable()
                else:
                    self._held = data
                return
            head = self._reader.read(data if end == len(data) else data[:end])
            if head is None or end > limit:
                self._unusable()
                return
            if head.status >= 200:
                self._begin_answer(exchange, head, data[end:])
                return
            data = data[end:]
            searched = 0
            if head.status == 101:
                self._held = data
                exchange.switched(self, head)
                if self._state == _TUNNEL:
                    self._pool.answers(self.address)
                return
            self._informational += 1
            # RFC 9112 section 6.3: these have no body, and section 6.1 forbids them a coding.
            if self._informational > _MOST_INFORMATIONAL or head.length != UNTIL_CLOSE:
                self._unusable()
                return
            exchange.informed(head)
            if not data:
                return

    def _begin_answer(self, exchange: "Exchange", head: ResponseHead, data: bytes) -> None:
        length = head.length
        self._keep = head.keepalive
        if self.address.out:
            self._pool.answers(self.address)
        if exchange.bodiless or head.status in (204, 304):
            # RFC 9112 section 6.3: no body follows. But a server that announces one may send it all
            # the same (to HEAD that is a common mistake), and whoever came next on this connection
            # would read it as an answer.
            self._settle(exchange, clean=not data and length in (0, UNTIL_CLOSE))
            exchange.answer(head, b"", whole=True)
        elif length >= 0:
            have = len(data)
            if have < length:
                self._state = _LENGTH
                self._left = length - have
                exchange.answer(head, data, whole=False)
            else:
                # What comes behind an answer is not passed on, and ends the connection.
                self._settle(exchange, clean=have == length)
                exchange.answer(head, data if have == length else data[:length], whole=True)
        elif length == CHUNKED:
            self._state = _CHUNKED
            self._chunks = ChunkedReader(_NO_LIMIT, strict_trailers=False)
            exchange.answer(head, b"", whole=False)
            if data and self._exchange is not None:
                self._read_chunks(data)
        else:
            self._state = _UNTIL_CLOSE
            exchange.answer(head, data, whole=False)

    def _read_length(self, data: bytes) -> None:
        exchange = self._exchange
        assert exchange is not None
        left = self._left - len(data)
        if left > 0:
            self._left = left
            exchange.answer_data(data)
        else:
            self._settle(exchange, clean=left == 0)
            exchange.answer_ended(data if left == 0 else data[:left], ())

    def _read_chunks(self, data: bytes) -> None:
        exchange = self._exchange
        chunks = self._chunks
        assert exchange is not None
        assert chunks is not None
        pieces = chunks.feed(data)
        if chunks.fault:
            self._unusable()
        elif chunks.done:
            self._chunks = None
            self._settle(exchange, clean=not chunks.rest)
            if chunks.cost:
                exchange.cost_stated(chunks.cost)
            exchange.answer_ended(b"".join(pieces), chunks.trailers)
        elif pieces:
            # One piece out for all that came in: the upstream's chunk bounds mean nothing.
            exchange.answer_data(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _settle(self, exchange: "Exchange", *, clean: bool) -> None:
        """The answer ended: the connection is used again, or closed."""
        self._exchange = None
        self._state = _IDLE
        address = self.address
        address.answered_at = self._plane.now
        if address.failures:
            self._pool.proved(address)
        unread = self._outgoing or self._transport.get_write_buffer_size()
        if not exchange.request_sent or unread:
            # Answered before the request was read: the rest must not be taken for another one.
            self.abort()
        elif clean and self._keep and not self.gone and not exchange.last:
            self.reused = True
            if self._paused:
                self.resume()
            self._pool.release(self)
        else:
            self.close()
