"""The server side of HTTP/1.1: one client's connection, from bytes to steps and back to bytes.

A request is judged before a byte of it goes upstream, requests are taken one after another, and
whatever cannot be framed in exactly one way is answered and ends the connection.
"""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from passgate.core.request import Wire
from passgate.proxy.answers import CONTINUE, render
from passgate.proxy.chunked import ChunkedReader
from passgate.proxy.exchange import Exchange
from passgate.proxy.grammar import BREAKS_LINE
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead, RequestReader
from passgate.proxy.steps import Answer, Case, Forward, NeedBody, Step, Wait

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane
    from passgate.proxy.tunnel import Tunnel

_HELD_BYTES: Final = 64 * 1024  # what a client may send ahead before it is no longer read
_SKIP_BYTES: Final = (
    64 * 1024
)  # a refused body up to this is read and dropped, to keep the connection
_LINGER_BYTES: Final = 1 << 20
_LINGER_S: Final = 2.0
_GOODBYES: Final = 1024  # connections beyond the limit that are still told so
_RESET: Final = struct.pack("ii", 1, 0)
# No method begins with these (RFC 9110 section 5.6.2); a CR may, as the empty line that is ignored.
_NEVER_FIRST: Final = frozenset(
    (*(byte for byte in range(0x21) if byte != 0x0D), *b'"(),/:;<=>?@[\\]{}', *range(0x7F, 0x100))
)

# What the connection is doing:
_HEAD = 0  # reading a head, or idle
_COLLECTING = 1  # a rule judges the body: reading it whole
_SKIPPING = 2  # answered; the rest of the body is dropped before the next request
_FORWARDING = 3  # an exchange is under way
_JUDGING = 4  # the decision waits; body bytes stay unread in the buffer
_LINGERING = 5  # answered for good; what still comes is dropped, so that the answer arrives
_TUNNEL = 6
_CLOSED = 7


class ServerConnection(asyncio.Protocol):
    """One client. The exchange and the tunnel write to it through `write`."""

    __slots__ = (
        "_advancing",
        "_body_left",
        "_buffer",
        "_case",
        "_chunks",
        "_collect_limit",
        "_collected",
        "_collected_bytes",
        "_deadline",
        "_exchange",
        "_full",
        "_paused",
        "_peer",
        "_plane",
        "_reader",
        "_request",
        "_searched",
        "_state",
        "_tls",
        "_transport",
        "_tunnel",
        "write",
    )

    def __init__(self, plane: "Plane") -> None:
        self._plane = plane
        self._transport: asyncio.Transport
        self._reader = RequestReader(plane.limits.headers, plane.limits.target_bytes)
        self._state = _HEAD
        self._buffer = b""
        self._searched = 0
        self._peer = ""
        self._tls = False
        self._request: RequestHead | None = None
        self._case: Case | None = None
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._chunks: ChunkedReader | None = None
        self._body_left = 0
        self._collected: list[bytes] = []
        self._collected_bytes = 0
        self._collect_limit = 0
        self._deadline = 0.0
        self._advancing = False
        self._paused = False
        self._full = False

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, they only behave like them.
        transport = cast("asyncio.Transport", transport)
        plane = self._plane
        self._transport = transport
        self.write = transport.write
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else "unix"
        self._tls = transport.get_extra_info("sslcontext") is not None
        crowd = len(plane.connections)
        plane.connections.add(self)
        if crowd >= plane.limits.connections + _GOODBYES:
            self.cut()
        elif crowd >= plane.limits.connections or plane.draining:
            self._say_goodbye(plane.enforcement.overloaded(self._peer))
        else:
            self._deadline = plane.now + plane.slack + plane.limits.header_timeout

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        state = self._state
        if state <= _SKIPPING:
            self._advance()
        elif state == _FORWARDING:
            exchange = self._exchange
            assert exchange is not None
            if exchange.ready:
                self._advance()
            elif len(self._buffer) > _HELD_BYTES:
                self.pause()
        elif state == _TUNNEL:
            assert self._tunnel is not None
            self._buffer = b""
            self._tunnel.from_client(data)
        elif state == _JUDGING:
            if len(self._buffer) > _HELD_BYTES:
                self.pause()
        else:
            self._buffer = b""
            self._body_left += len(data)
            if self._body_left > _LINGER_BYTES:
                self.cut()

    def eof_received(self) -> bool:
        if self._state == _TUNNEL:
            assert self._tunnel is not None
            return self._tunnel.client_ended() and self._transport.can_write_eof()
        # A client that will not send also gives up on what it has asked for: a half-closed
        # connection looks the same as one that is gone, and work for it would be wasted.
        self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
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
        if self._tunnel is not None:
            self._tunnel.client_drained()
        elif self._exchange is not None:
            self._exchange.client_drained()
        elif self._state == _HEAD:
            self.resume()
            if not self._advancing:
                self._advance()

    # What the exchange, the tunnel and the plane ask for.

    def pause(self) -> None:
        """Stops reading from the client."""
        if not self._paused and self._state != _CLOSED:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads from the client again."""
        if self._paused and self._state != _CLOSED:
            self._paused = False
            self._transport.resume_reading()

    def body_wanted(self) -> None:
        """The upstream takes body bytes (again)."""
        self.resume()
        self._await_body()
        if not self._advancing:
            self._advance()

    def body_unwanted(self) -> None:
        """The upstream does not keep up with the body."""
        self._deadline = 0.0
        self.pause()

    def answered(self, *, close: bool) -> None:
        """The exchange has written a whole answer."""
        self._exchange = None
        if close:
            self._finish()
        else:
            self._next()

    def respond(self, answer: Answer) -> None:
        """The exchange came to nothing; the client gets `answer`."""
        self._exchange = None
        self._answer(answer)

    def cut(self) -> None:
        """Closes at once, visibly: the client must not take what it has for a whole answer."""
        if self._state != _CLOSED:
            self._state = _CLOSED
            self._exchange = None
            raw = self._transport.get_extra_info("socket")
            if raw is not None:
                # A reset rather than an orderly end, which would complete a close-delimited body.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def close(self) -> None:
        """Closes after what was written has gone out."""
        if self._state != _CLOSED:
            self._state = _LINGERING
            self._deadline = (
                self._plane.now + self._plane.slack + self._plane.limits.body_idle_timeout
            )
            self._transport.close()

    def become_tunnel(self, tunnel: "Tunnel") -> bytes:
        """From now on every byte is `tunnel`'s; returns those that came already."""
        self._state = _TUNNEL
        self._tunnel = tunnel
        self._exchange = None
        self._deadline = 0.0
        self.resume()
        held, self._buffer = self._buffer, b""
        return held

    def write_eof(self) -> bool:
        """Ends the sending side; False where the transport (TLS) cannot do that alone."""
        if not self._transport.can_write_eof():
            return False
        self._transport.write_eof()
        return True

    def drain(self) -> None:
        """The gate stops: an idle connection closes, one with a request closes after its answer."""
        if self._state == _HEAD and not self._buffer:
            self.close()

    def stop(self) -> None:
        """The gate stops now."""
        if self._tunnel is not None:
            self._tunnel.cut()
        elif self._exchange is not None:
            self._exchange.cut()
        self._leave()
        self._transport.abort()

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
        if state == _HEAD and self._buffer and not self._full:
            self._refuse(408, "The request head did not come in time.")
        elif state in (_COLLECTING, _FORWARDING):
            self._refuse_body(408, "The request body did not come in time.")
        else:
            # Idle, or an answer that is not taken: nobody is there to be told.
            self.cut()

    # Reading.

    def _advance(self) -> None:
        """Works on what the buffer holds until more is needed, or the answer is awaited."""
        self._advancing = True
        try:
            while True:
                state = self._state
                if state == _HEAD:
                    more = self._take_head()
                elif state == _COLLECTING:
                    more = self._take_body()
                elif state == _FORWARDING:
                    exchange = self._exchange
                    more = exchange is not None and exchange.ready and self._take_body()
                elif state == _SKIPPING:
                    more = self._skip()
                else:
                    return
                if not more:
                    return
        finally:
            self._advancing = False

    def _take_head(self) -> bool:
        data = self._buffer
        # An answer that is not read yet holds up the next request: memory stays bounded.
        if not data or self._full:
            return False
        plane = self._plane
        end = data.find(b"\r\n\r\n", self._searched) + 4
        if end == 3:
            return self._await_head(data)
        self._searched = 0
        if end == len(data):
            head = data
            self._buffer = b""
        else:
            head = data[:end]
            self._buffer = data[end:]
        if head.startswith(b"\r\n"):
            # RFC 9112 section 2.2: one empty line before a request is ignored.
            head = head[2:]
            if head == b"\r\n":
                self._buffer = head + self._buffer
                return self._refuse(400, "The request line is malformed.")
        if end > plane.limits.header_bytes:
            return self._refuse(431, "The request head is too large.")
        request = self._reader.read(head)
        if type(request) is Fault:
            return self._refuse(request.status, request.detail)
        assert type(request) is RequestHead
        self._request = request
        length = request.length
        if length > plane.limits.body_bytes:
            return self._refuse(413, "The request body is too large.")
        self._body_left = length
        self._chunks = None
        if length == CHUNKED:
            self._chunks = ChunkedReader(plane.limits.body_bytes, strict_trailers=True)
        self._deadline = 0.0
        self._state = _JUDGING
        plane.inflight += 1
        wire = Wire(
            request.method, request.target, request.headers, self._peer, self._tls, request.minor
        )
        self._case, step = plane.enforcement.begin(wire, self._resume)
        self._apply(step)
        return True

    def _await_head(self, data: bytes) -> bool:
        """The head is not whole yet: says at once where it never will be."""
        plane = self._plane
        limits = plane.limits
        size = len(data)
        if not self._searched:
            self._deadline = plane.now + plane.slack + limits.header_timeout
        if (
            BREAKS_LINE.search(data, max(self._searched - 1, 0)) is not None
            or data[0] in _NEVER_FIRST
        ):
            return self._refuse(400, "The request head holds a bare line ending or a null byte.")
        if size > limits.target_bytes and data.find(b"\r\n", 0, limits.target_bytes + 64) < 0:
            return self._refuse(414, "The request line is too long.")
        if size > limits.header_bytes:
            return self._refuse(431, "The request head is too large.")
        # The blank line may straddle what is here and what comes.
        self._searched = max(size - 3, 1)
        return False

    def _await_body(self) -> None:
        """Body bytes are welcome now; a client that waits to be asked for them is asked."""
        plane = self._plane
        request = self._request
        assert request is not None
        self._deadline = plane.now + plane.slack + plane.limits.body_idle_timeout
        if request.expects:
            request.expects = False
            # RFC 9110 section 10.1.1: needless once some of the body is here.
            if not self._buffer:
                self.write(CONTINUE)

    def _take_body(self) -> bool:
        data = self._buffer
        if not data:
            return False
        plane = self._plane
        chunks = self._chunks
        pieces: list[bytes]
        if chunks is None:
            left = self._body_left - len(data)
            if left >= 0:
                self._buffer = b""
                pieces = [data]
                self._body_left = left
            else:
                pieces = [data[: self._body_left]]
                self._buffer = data[self._body_left :]
                self._body_left = 0
            last = left <= 0
        else:
            pieces = chunks.feed(data)
            self._buffer = chunks.rest
            last = chunks.done
            if chunks.fault:
                return self._refuse_body(400, chunks.fault)
            if chunks.too_large:
                return self._refuse_body(413, "The request body is too large.")
            if last:
                self._body_left = 0
        self._deadline = 0.0 if last else plane.now + plane.slack + plane.limits.body_idle_timeout
        if self._state == _FORWARDING:
            if pieces or last:
                assert self._exchange is not None
                self._exchange.send(pieces, last=last)
            return not last
        return self._collect(pieces, last)

    def _collect(self, pieces: list[bytes], last: bool) -> bool:
        for piece in pieces:
            self._collected_bytes += len(piece)
        self._collected += pieces
        case = self._case
        assert case is not None
        if self._collected_bytes > self._collect_limit:
            self._collected = []
            self._answer(case.body_too_large())
        elif last:
            body = b"".join(self._collected)
            self._state = _JUDGING
            self._collected = [body]
            self._apply(case.with_body(body))
        return True

    def _skip(self) -> bool:
        data = self._buffer
        if not data:
            return False
        size = len(data)
        if size < self._body_left:
            self._body_left -= size
            self._buffer = b""
            return False
        self._buffer = data[self._body_left :]
        self._body_left = 0
        self._next()
        return True

    # Acting on a step.

    def _resume(self, step: Step) -> None:
        """Called with the step that `Wait` promised."""
        if self._state == _JUDGING:
            self._apply(step)
            if not self._advancing:
                self._advance()
        elif type(step) is Forward:
            # The client left in the meantime: nothing is forwarded, and that is its outcome.
            self._plane.enforcement.finished(step, 0, 0, "client_gone", sent=False)

    def _apply(self, step: Step) -> None:
        kind = type(step)
        if kind is Forward:
            assert isinstance(step, Forward)
            self._forward(step)
        elif kind is Answer:
            assert isinstance(step, Answer)
            self._answer(step)
        elif kind is NeedBody:
            assert isinstance(step, NeedBody)
            self._need_body(step)
        else:
            assert isinstance(step, Wait)

    def _need_body(self, step: NeedBody) -> None:
        case = self._case
        assert case is not None
        self._collected = []
        self._collected_bytes = 0
        self._collect_limit = step.limit
        if self._body_left > step.limit:
            self._answer(case.body_too_large())
        elif self._body_left == 0:
            self._apply(case.with_body(b""))
        else:
            self._state = _COLLECTING
            self.resume()
            self._await_body()

    def _forward(self, forward: Forward) -> None:
        request = self._request
        assert request is not None
        body = forward.body
        streams = False
        if self._collected:
            if body is None:
                body = self._collected[0]
            self._collected = []
        elif body is None and self._body_left:
            left = self._body_left
            if 0 < left <= len(self._buffer):
                # It is all here: it goes with the head, and can be sent again if need be.
                body = self._buffer[:left]
                self._buffer = self._buffer[left:]
                self._body_left = 0
            else:
                streams = True
        self._case = None
        self._state = _FORWARDING
        exchange = Exchange(self, self._plane, request, forward, body, streams=streams)
        self._exchange = exchange
        exchange.start()
        if streams and self._exchange is exchange:
            if exchange.ready:
                self.resume()
                self._await_body()
            elif len(self._buffer) > _HELD_BYTES:
                self.pause()
        if self._full and self._exchange is exchange:
            exchange.client_full()

    # Answering.

    def _answer(self, answer: Answer) -> None:
        """Writes the gate's own answer and goes on with the next request, or ends."""
        request = self._request
        assert request is not None
        plane = self._plane
        left = self._body_left
        if self._case is not None:
            self._case = None
            plane.inflight -= 1
        close = (
            answer.close
            or plane.draining
            or not request.keepalive
            or left < 0
            or left > _SKIP_BYTES
            # RFC 9110 section 10.1.1: whether the body follows a refusal is the client's choice.
            or (request.expects and left > 0)
        )
        self.write(
            render(
                answer,
                plane.date_line,
                minor=request.minor,
                head_only=request.method == "HEAD",
                close=close,
            )
        )
        if close:
            self._finish()
        elif left:
            self._state = _SKIPPING
            self._deadline = plane.now + plane.slack + plane.limits.body_idle_timeout
            self.resume()
        else:
            self._next()

    def _next(self) -> None:
        """Ready for the next request."""
        plane = self._plane
        self._state = _HEAD
        self._request = None
        self._deadline = plane.now + plane.slack + plane.limits.keepalive_timeout
        if self._paused:
            self.resume()
        if self._buffer and not self._advancing:
            self._advance()
        elif plane.draining:
            self.drain()

    def _finish(self) -> None:
        """The last answer is written."""
        if self._body_left or self._buffer:
            self._linger()
        else:
            self.close()

    def _linger(self) -> None:
        """Ends sending, but goes on reading for a moment.

        Closing with unread bytes makes the kernel send a reset, which can destroy the answer before
        the client has read it (RFC 9112 section 9.6).
        """
        self._buffer = b""
        self._body_left = 0
        self._request = None
        self.resume()
        if self.write_eof():
            self._state = _LINGERING
            patience = self._plane.limits.body_idle_timeout if self._full else _LINGER_S
            self._deadline = self._plane.now + self._plane.slack + patience
        else:
            self.close()

    def _say_goodbye(self, answer: Answer) -> None:
        """Answers what is no request that could be read, and ends."""
        request = self._request
        head_only = request is not None and request.method == "HEAD"
        self.write(render(answer, self._plane.date_line, minor=1, head_only=head_only, close=True))
        self._linger()

    def _refuse(self, status: int, detail: str) -> bool:
        self._say_goodbye(self._plane.enforcement.malformed(self._peer, detail, status))
        return False

    def _refuse_body(self, status: int, detail: str) -> bool:
        """The body turned out unacceptable: nobody gets it as a whole one."""
        answer = self._plane.enforcement.malformed(self._peer, detail, status)
        exchange = self._exchange
        self._body_left = CHUNKED  # unknown: makes `_answer` close
        if exchange is not None:
            exchange.refuse(answer)
        else:
            self._abandon()
            self._say_goodbye(answer)
        return False

    def _abandon(self) -> None:
        case = self._case
        if case is not None:
            self._case = None
            self._plane.inflight -= 1
            case.abandon()

    def _leave(self) -> None:
        """The client is gone."""
        if self._state == _CLOSED:
            return
        self._state = _CLOSED
        self._buffer = b""
        self._collected = []
        self._abandon()
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            exchange.client_gone()
