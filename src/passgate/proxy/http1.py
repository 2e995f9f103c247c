"""The server side of HTTP/1.1: one client's connection, from bytes to steps and back to bytes.

A request is judged before a byte of it goes upstream, requests are taken one after another, and
whatever cannot be framed in exactly one way is answered and ends the connection.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from passgate.core.request import Wire
from passgate.proxy.answers import (
    CONTINUE,
    connection_lines,
    last_chunk,
    length_line,
    render,
    streamed_head,
)
from passgate.proxy.client_socket import HELD_BYTES, ClientSocket
from passgate.proxy.exchange import Exchange
from passgate.proxy.http2_connection import Http2Connection, hand_over
from passgate.proxy.http2_framing import PREFACE_HEAD
from passgate.proxy.incoming_body import IncomingBody
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead, RequestReader, early_fault
from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer, Case, Forward, NeedBody, Step, Wait
from passgate.proxy.tunnel import Tunnel
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

_SKIP_BYTES: Final = (
    64 * 1024
)  # a refused body up to this is read and dropped, to keep the connection
_SLOWEST_BODY: Final = 1024  # bytes a second that a body must come at while the gate holds it
_COPY_UP_TO: Final = 16 * 1024  # joining costs less than another write up to about here

# What the connection is doing:
_HEAD: Final = 0  # reading a head, or idle
_COLLECTING: Final = 1  # a rule judges the body: reading it whole
_SKIPPING: Final = 2  # answered; the rest of the body is dropped before the next request
_FORWARDING: Final = 3  # an exchange is under way
_JUDGING: Final = 4  # the decision waits; body bytes stay unread in the buffer
_TUNNEL: Final = 5


class ServerConnection(ClientSocket):
    """One client's requests. The exchange and the tunnel write to it through `write`."""

    __slots__ = (
        "_advancing",
        "_body",
        "_case",
        "_chunked",
        "_close",
        "_collect_limit",
        "_collected",
        "_collecting_since",
        "_exchange",
        "_first",
        "_reader",
        "_request",
        "_searched",
        "_state",
        "_tunnel",
        "_until_end",
    )

    def __init__(self, plane: "Plane") -> None:
        super().__init__(plane)
        self._reader = RequestReader(plane.limits.headers, plane.limits.target_bytes, plane.headers)
        self._state = _HEAD
        self._searched = 0
        self._request: RequestHead | None = None
        self._body: IncomingBody | None = None
        self._case: Case | None = None
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._collected: bytearray | None = None
        self._collecting_since = 0.0
        self._collect_limit = 0
        self._chunked = False
        self._close = False
        self._until_end = False
        self._advancing = False
        self._first = True

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
        if state <= _SKIPPING:
            self._advance()
        elif state == _TUNNEL:
            assert self._tunnel is not None
            self._buffer = b""
            self._tunnel.from_client(data)
        elif self._exchange is not None and self._exchange.ready:
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
        elif self._state == _HEAD and not self._ending:
            self.resume()
            if not self._advancing:
                self._advance()

    # What the exchange, the tunnel and the plane ask for.

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

    def interim(self, head: ResponseHead) -> None:
        """An interim answer of the upstream; HTTP/1.0 knows none."""
        request = self._request
        assert request is not None
        if request.minor:
            self.write(head.lines + b"\r\n")

    def answer_whole(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """Writes the upstream's answer in one piece, and goes on with the next request."""
        request = self._request
        assert request is not None
        plane = self._plane
        # A body that is not whole yet (answered before it was read) ends the connection.
        close = not request.keepalive or self._body is not None or plane.draining
        plain = request.minor == 1 and not close
        self.write(
            b"".join(
                (
                    head.lines,
                    lines,
                    b"" if head.dated else plane.date_line,
                    length_line(head),
                    b"\r\n" if plain else connection_lines(close, request.minor),
                    data,
                )
            )
        )
        self._exchange = None
        if close:
            self._finish()
        else:
            self._next()

    def answer_begins(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """Writes the head and the first bytes of an answer whose end is still to come."""
        request = self._request
        assert request is not None
        plane = self._plane
        self._chunked = chunked = head.length < 0 and request.minor == 1
        # HTTP/1.0 has no chunked coding: the end of the connection is the end of the body.
        self._until_end = until_end = head.length < 0 and not chunked
        self._close = close = (
            not request.keepalive or self._body is not None or plane.draining or until_end
        )
        self.write(
            streamed_head(
                head, lines, plane.date_line, data, request.minor, chunked=chunked, close=close
            )
        )

    def answer_goes_on(self, data: bytes) -> None:
        """Writes more of an answer's body."""
        if self._chunked:
            self._write_chunk(data)
        else:
            self.write(data)

    def answer_ends(self, data: bytes, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """Writes the last of an answer, and goes on with the next request."""
        if not self._chunked:
            if data:
                self.write(data)
        else:
            if data:
                self._write_chunk(data)
            self.write(last_chunk(trailers))
        self._exchange = None
        # A body that became whole meanwhile does not undo what the head has said.
        if self._close:
            self._finish()
        else:
            self._next()

    def _write_chunk(self, data: bytes) -> None:
        write = self.write
        if len(data) <= _COPY_UP_TO:
            write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            write(b"%x\r\n" % len(data))
            write(data)
            write(b"\r\n")

    def respond(self, answer: Answer) -> None:
        """The exchange came to nothing; the client gets `answer`."""
        self._exchange = None
        self._answer(answer)

    def cut(self) -> None:
        """The exchange or the tunnel ended in the middle of an answer."""
        self._exchange = None
        self.abort()

    def switch(
        self,
        connection: UpstreamConnection,
        head: ResponseHead,
        forward: Forward,
        ended: Callable[[int, str], None],
    ) -> bool:
        """Passes the 101 on, if the client asked for exactly this, and joins the two connections.

        `ended` hears once of the bytes sent to the client and the outcome.
        """
        request = self._request
        assert request is not None
        offered = {item.strip(b" \t").lower() for item in request.upgrade.split(b",")}
        chosen = {item.strip(b" \t").lower() for item in head.upgrade.split(b",")}
        if not head.upgrade or not request.upgrade or not chosen <= offered:
            return False
        self.write(
            b"%b%bConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
            % (head.lines, forward.answer_headers, head.upgrade)
        )
        tunnel = Tunnel(self._plane, forward, self, connection, ended)
        early = connection.become_tunnel(tunnel)
        self._state = _TUNNEL
        self._tunnel = tunnel
        self._exchange = None
        self._deadline = 0.0
        self.resume()
        held, self._buffer = self._buffer, b""
        if early:
            tunnel.from_upstream(early)
        if held:
            tunnel.from_client(held)
        return True

    def drain(self) -> None:
        """The gate stops: an idle connection closes, one with a request closes after its answer."""
        if self._state == _HEAD and not self._buffer and not self._ending:
            self.close()

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
        if self._ending or self._full or state == _SKIPPING:
            if (self._ending or self._full) and self._still_reads():
                self._deadline = now + self._plane.limits.body_idle_timeout
            else:
                # What was answered is not taken, or not followed up: nobody is there to be told.
                self.abort()
        elif state != _HEAD:
            self._refuse_body(Fault(408, "The request body did not come in time."))
        elif self._buffer:
            self._refuse(Fault(408, "The request head did not come in time."))
        else:
            self.close()

    # Reading.

    def _advance(self) -> None:
        """Works on what the buffer holds until more is needed, or the answer is awaited."""
        self._advancing = True
        try:
            while self._buffer and not self._ending:
                state = self._state
                if state == _HEAD:
                    more = self._take_head()
                elif state <= _SKIPPING:
                    more = self._take_body()
                else:
                    exchange = self._exchange
                    more = exchange is not None and exchange.ready and self._take_body()
                if not more:
                    return
        finally:
            self._advancing = False

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
        self._state = _JUDGING
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
        pieces, self._buffer = body.take(self._buffer)
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
        if state == _FORWARDING:
            if pieces or last:
                assert self._exchange is not None
                self._exchange.send(pieces, last=last)
        elif state == _COLLECTING:
            self._collect(pieces, last)
        elif last:
            self._next()
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
            self._state = _JUDGING
            self._collected = None
            self._apply(case.with_body(body))
        else:
            # What is held whole must also come within a bounded time, not just now and then.
            limits = self._plane.limits
            end = self._collecting_since + limits.body_idle_timeout + len(collected) / _SLOWEST_BODY
            if end < self._deadline:
                self._deadline = end

    # Acting on a step.

    def _resume(self, step: Step) -> None:
        """Called with the step that `Wait` promised."""
        if self._state == _JUDGING and not self._ending:
            self._apply(step)
            if not self._advancing:
                self._advance()
        elif type(step) is Forward:
            # The client left in the meantime: nothing is forwarded, and that is its outcome.
            self._plane.enforcement.finished(step, 499, 0, "client_gone", sent=False)

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
        self._collect_limit = step.limit
        body = self._body
        if body is None:
            self._apply(case.with_body(b""))
        elif body.left > step.limit:
            self._answer(case.body_too_large())
        else:
            self._state = _COLLECTING
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
        self._state = _FORWARDING
        exchange = Exchange(self, self._plane, request, forward, body, streams=incoming is not None)
        self._exchange = exchange
        exchange.start()
        if self._exchange is not exchange:
            return  # it has failed already
        if incoming is not None:
            if exchange.ready:
                self.resume()
                self._await_body()
            elif len(self._buffer) > HELD_BYTES:
                self.pause()

    # Answering.

    def _answer(self, answer: Answer) -> None:
        """Writes the gate's own answer and goes on with the next request, or ends."""
        request = self._request
        assert request is not None
        plane = self._plane
        if self._case is not None:
            self._case = None
            plane.inflight -= 1
        left = 0 if self._body is None else self._body.left
        close = (
            answer.close
            or plane.draining
            or not request.keepalive
            or left == CHUNKED
            or left > _SKIP_BYTES
            # RFC 9110 section 10.1.1: whether the body follows a refusal is the client's choice.
            or request.expects
        )
        head_only = request.method == "HEAD"
        self.write(
            render(answer, plane.date_line, minor=request.minor, head_only=head_only, close=close)
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

    def _finish(self) -> None:
        """The last answer is written."""
        if self._body is not None or self._buffer:
            self._linger()
        else:
            self.close()

    def _refuse(self, fault: Fault) -> None:
        """The request's head is unacceptable."""
        answer = self._plane.enforcement.malformed(self._peer, fault.detail, fault.status)
        request = self._request
        self._say_goodbye(answer, head_only=request is not None and request.method == "HEAD")

    def _refuse_body(self, fault: Fault) -> None:
        """The request's body turned out unacceptable: nobody gets it as a whole one."""
        exchange = self._exchange
        if exchange is None:
            self._abandon()
            self._refuse(fault)
            return
        answer = self._plane.enforcement.malformed(self._peer, fault.detail, fault.status)
        exchange.refuse(Answer(answer.status, answer.headers, answer.body, close=True))

    def _abandon(self) -> None:
        case = self._case
        if case is not None:
            self._case = None
            self._plane.inflight -= 1
            case.abandon()

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
