"""The requests of one HTTP/1.1 connection, one after another: heads, bodies, and what is decided.

A request is judged before a byte of it goes upstream, and whatever cannot be framed in exactly one
way is refused.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from passgate.core.request import Wire
from passgate.proxy.answers import CONTINUE
from passgate.proxy.client_socket import HELD_BYTES
from passgate.proxy.exchange import Exchange
from passgate.proxy.http1_answering import (
    COLLECTING,
    FORWARDING,
    HEAD,
    JUDGING,
    SKIPPING,
    AnsweringConnection,
)
from passgate.proxy.http2_connection import Http2Connection, hand_over
from passgate.proxy.http2_framing import PREFACE_HEAD
from passgate.proxy.incoming_body import SLOWEST_BODY, IncomingBody
from passgate.proxy.request_head import Fault, RequestHead, RequestReader, early_fault
from passgate.proxy.steps import Answer, Forward, NeedBody, Step

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

_TURN: Final = 16  # requests of one client that are judged before others have their turn
# Very small chunks take a hundred times as long to read as their bytes take to come: of a body that
# had so many in one turn, no more than so many bytes are read in the next.
_CRUMBS: Final = 1000
_CRUMB_BYTES: Final = 32 * 1024


class ReadingConnection(AnsweringConnection):
    """A connection that takes requests from its buffer and acts on what is decided of them."""

    __slots__ = (
        "_advancing",
        "_collect_limit",
        "_collected",
        "_collecting_since",
        "_crumbs",
        "_first",
        "_reader",
        "_scheduled",
        "_searched",
    )

    def __init__(self, plane: "Plane") -> None:
        super().__init__(plane)
        self._reader = RequestReader(plane.limits.headers, plane.limits.target_bytes, plane.headers)
        self._searched = 0
        self._collected: bytearray | None = None
        self._collecting_since = 0.0
        self._collect_limit = 0
        self._advancing = False
        self._crumbs = False
        self._scheduled = False
        self._first = True

    def _advance(self) -> None:
        """Works on what the buffer holds until more is needed, or the answer is awaited."""
        self._advancing = True
        left = _TURN
        try:
            while self._buffer and not self._ending:
                state = self._state
                if state == HEAD:
                    if not left:
                        self._go_on_later()
                        return
                    left -= 1
                    more = self._take_head()
                elif state <= SKIPPING:
                    more = self._take_body()
                else:
                    exchange = self._exchange
                    more = exchange is not None and exchange.ready and self._take_body()
                if not more:
                    return
        finally:
            self._advancing = False

    def _go_on_later(self) -> None:
        """Others have their turn before what has come already."""
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._go_on)
        if len(self._buffer) > HELD_BYTES:
            self.pause()

    def _go_on(self) -> None:
        self._scheduled = False
        if self._ending:
            return
        exchange = self._exchange
        held_up = self._full and self._state == HEAD
        # Whoever does not take it now asks for it later.
        if not held_up if exchange is None else exchange.ready:
            self.resume()
            self._advance()

    def _take_head(self) -> bool:
        """Judges the next request, if its head is whole; false where more must come first."""
        data = self._buffer
        if self._full:
            # An answer that is not read yet holds up the next request: memory stays bounded.
            if len(data) > HELD_BYTES:
                self.pause()
            return False
        plane = self._plane
        limits = plane.limits
        end = data.find(b"\r\n\r\n", self._searched) + 4
        if end == 3:
            if not self._searched:
                self._deadline = plane.now + plane.slack + limits.header_timeout
            fault = early_fault(data, self._searched, limits.header_bytes, limits.target_bytes)
            # The blank line may straddle what is here and what comes.
            self._searched = max(len(data) - 3, 1)
            if fault is not None:
                self._refuse(fault)
            return False
        self._searched = 0
        if end == len(data):
            head = data
            self._buffer = b""
        else:
            head = data[:end]
            self._buffer = data[end:]
        if end > limits.header_bytes:
            self._refuse(Fault(431, "The request head is too large."))
            return False
        request = self._reader.read(head)
        if type(request) is Fault:
            if head == PREFACE_HEAD and self._first and plane.settings.http2:
                self._become_http2(head)
            else:
                self._refuse(request)
            return False
        assert type(request) is RequestHead
        self._request = request
        if request.length:
            self._body = body = IncomingBody(request.length, limits.body_bytes)
            if body.fault is not None:
                self._refuse(body.fault)
                return False
        self._deadline = 0.0
        self._state = JUDGING
        plane.inflight += 1
        wire = Wire(
            request.method,
            request.target,
            request.headers,
            self._peer,
            self._tls,
            request.minor,
            request.block,
            self._certificate,
        )
        self._case, step = plane.enforcement.begin(wire, self._resume)
        self._apply(step)
        return True

    def _become_http2(self, head: bytes) -> None:
        """The client's first bytes are the preface of HTTP/2: it knew (RFC 9113 section 3.3)."""
        data = head + self._buffer
        self._ending = True
        self._buffer = b""
        self._deadline = 0.0
        successor = Http2Connection(self._plane)
        hand_over(self._transport, successor)
        successor.take_over(self, data)

    def _next(self) -> None:
        """Ready for the next request."""
        plane = self._plane
        self._state = HEAD
        self._first = False
        self._request = None
        self._deadline = plane.now + plane.slack + plane.limits.keepalive_timeout
        if self._paused:
            self.resume()
        if self._buffer:
            if not self._advancing:
                self._advance()
        elif plane.draining:
            self.drain()

    def drain(self) -> None:
        """The gate stops: an idle connection closes, one with a request closes after its answer."""
        if self._state == HEAD and not self._buffer and not self._ending:
            self.close()

    # Bodies.

    def body_wanted(self) -> None:
        """The upstream takes body bytes (again)."""
        self.resume()
        self._await_body()
        if not self._advancing and not self._scheduled:
            self._advance()

    def body_unwanted(self) -> None:
        """The upstream does not keep up with the body."""
        self._deadline = 0.0
        self.pause()

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
        """Hands on what is here of the body; true once it is whole."""
        body = self._body
        assert body is not None
        data = self._buffer
        later = b""
        if self._crumbs and len(data) > _CRUMB_BYTES:
            later = data[_CRUMB_BYTES:]
            data = data[:_CRUMB_BYTES]
        pieces, rest = body.take(data)
        self._buffer = rest + later if later else rest
        self._crumbs = len(pieces) > _CRUMBS
        if body.fault is not None:
            self._refuse_body(body.fault)
            return False
        last = body.left == 0
        plane = self._plane
        if last:
            self._body = None
            self._deadline = 0.0
        else:
            self._deadline = plane.now + plane.slack + plane.limits.body_idle_timeout
        state = self._state
        if state == FORWARDING:
            if pieces or last:
                assert self._exchange is not None
                self._exchange.send(pieces, last=last)
        elif state == COLLECTING:
            self._collect(pieces, last)
        elif last:
            self._next()
        if not last and (later or self._crumbs):
            self._go_on_later()
        return last

    def _collect(self, pieces: list[bytes], last: bool) -> None:
        # One buffer rather than a list: a body in very small chunks would take many times its size.
        collected = self._collected
        case = self._case
        assert collected is not None
        assert case is not None
        for piece in pieces:
            collected += piece
        if len(collected) > self._collect_limit:
            self._collected = None
            self._answer(case.body_too_large())
        elif last:
            body = bytes(collected)
            self._state = JUDGING
            self._collected = None
            self._apply(case.with_body(body))
        else:
            # What is held whole must also come within a bounded time, not just now and then.
            limits = self._plane.limits
            end = self._collecting_since + limits.body_idle_timeout + len(collected) / SLOWEST_BODY
            if end < self._deadline:
                self._deadline = end

    # Acting on a step.

    def _resume(self, step: Step) -> None:
        """Called with the step that `Wait` promised."""
        if self._state == JUDGING and not self._ending:
            self._apply(step)
            if not self._advancing:
                self._advance()
        elif type(step) is Forward:
            # The client left in the meantime: nothing is forwarded, and that is its outcome.
            self._plane.enforcement.finished(step, 499, 0, "client_gone", sent=False)

    def _apply(self, step: Step) -> None:
        if isinstance(step, Forward):
            self._forward(step)
        elif isinstance(step, Answer):
            self._answer(step)
        elif isinstance(step, NeedBody):
            self._need_body(step)

    def _need_body(self, step: NeedBody) -> None:
        case = self._case
        assert case is not None
        self._collect_limit = step.limit
        body = self._body
        if body is None:
            self._apply(case.with_body(b""))
        elif body.left > step.limit:
            self._answer(case.body_too_large())
        else:
            self._state = COLLECTING
            self._collected = bytearray()
            self._collecting_since = self._plane.now + self._plane.slack
            self.resume()
            self._await_body()

    def _forward(self, forward: Forward) -> None:
        request = self._request
        assert request is not None
        body = forward.body
        incoming = self._body
        if body is None and incoming is not None and 0 < incoming.left <= len(self._buffer):
            # It is all here: it goes with the head, and can be sent again if need be.
            (body,), self._buffer = incoming.take(self._buffer)
            self._body = incoming = None
        self._case = None
        self._state = FORWARDING
        exchange = Exchange(self, self._plane, request, forward, body, streams=incoming is not None)
        self._exchange = exchange
        exchange.start()
        if exchange.over:
            return  # it has failed already
        if incoming is not None:
            if exchange.ready:
                self.resume()
                self._await_body()
            elif len(self._buffer) > HELD_BYTES:
                self.pause()
