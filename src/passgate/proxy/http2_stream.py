"""One HTTP/2 stream: a request on the same line from the wire to the upstream as any other.

What differs from HTTP/1.1 is that many are under way at once and each is held back by windows of
its own: the client may send more of a body only as the upstream takes it, and an answer that the
client does not take stops its upstream. An answer that is not whole ends in RST_STREAM.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from passgate.core.request import Wire
from passgate.proxy.exchange import Exchange
from passgate.proxy.http2_framing import STREAM_WINDOW
from passgate.proxy.http2_outgoing import Outgoing
from passgate.proxy.http2_request import Fields, answer_fields, read_request, trailer_fault
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead
from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer, Case, Forward, NeedBody, Step
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.http2_connection import Http2Connection
    from passgate.proxy.plane import Plane

_OUT_HIGH: Final = 64 * 1024  # what may wait for the client's window before the upstream must wait
_OUT_LOW: Final = 16 * 1024
_CREDIT: Final = 16 * 1024  # how much is taken of a body before its window is opened again
_SLOWEST_BODY: Final = 1024  # bytes a second, as over HTTP/1.1

_ENDING = 0  # a body of no bytes is announced, and its end not yet seen
_JUDGING = 1  # the decision waits; what comes of the body is held
_COLLECTING = 2  # a rule judges the body: it is read whole
_FORWARDING = 3
_ANSWERED = 4  # what still comes of the body is nobody's

_TOO_LARGE: Final = Fault(413, "The request body is too large.")
_WRONG_LENGTH: Final = Fault(400, "The body is not as long as its Content-Length.")


class Http2Stream:
    """The client's side of one exchange (`ClientSide`), and the request before there is one."""

    __slots__ = (
        "_answer_only",
        "_case",
        "_close_code",
        "_collect_limit",
        "_collecting_since",
        "_connection",
        "_deadline",
        "_ended",
        "_exchange",
        "_full",
        "_held",
        "_out",
        "_owed",
        "_plane",
        "_received",
        "_request",
        "_state",
        "_taken",
        "_unsent",
        "id",
        "over",
    )

    def __init__(self, connection: "Http2Connection", plane: "Plane", number: int) -> None:
        self._connection = connection
        self._plane = plane
        self.id = number
        self.over = False
        self._state = _JUDGING
        self._request: RequestHead | None = None
        self._case: Case | None = None
        self._exchange: Exchange | None = None
        self._held = bytearray()
        self._received = 0
        self._owed = 0
        self._taken = 0
        self._ended = False
        self._close_code = ErrorCodes.NO_ERROR
        self._collecting_since = 0.0
        self._collect_limit = 0
        self._deadline = 0.0
        self._full = False
        self._out = Outgoing(connection)
        self._unsent = -1
        self._answer_only = False

    # What the connection tells.

    def begin(self, fields: Fields, *, ended: bool) -> None:
        """The request's header block."""
        self._ended = ended
        connection = self._connection
        plane = self._plane
        limits = plane.limits
        request = read_request(
            fields, connection.reader, limits.header_bytes, ended=ended, tls=connection.tls
        )
        if type(request) is Fault:
            self._answer_only = (b":method", b"HEAD") in fields
            self._refuse(request)
            return
        assert type(request) is RequestHead
        self._request = request
        self._answer_only = request.method == "HEAD"
        if request.length > limits.body_bytes:
            self._refuse(_TOO_LARGE)
        elif ended or request.length:
            self._judge(request)
        else:
            self._state = _ENDING
            self._deadline = plane.now + plane.slack + limits.body_idle_timeout

    def data(self, data: bytes, flow: int, *, ended: bool) -> None:
        """More of the body; `flow` is what it took of the window, with padding."""
        self._ended = ended
        if self._state == _ANSWERED:
            return
        request = self._request
        assert request is not None
        self._received += len(data)
        self._credit(flow - len(data))
        length = request.length
        if length != CHUNKED and (self._received > length or (ended and self._received != length)):
            self._refuse_body(_WRONG_LENGTH)
            return
        if self._received > self._plane.limits.body_bytes:
            self._refuse_body(_TOO_LARGE)
            return
        self._held += data
        self._take()

    def trailers(self, fields: Fields) -> None:
        """The request's trailers, which end it."""
        if self._state == _ANSWERED:
            self._ended = True
            return
        fault = trailer_fault(fields)
        if fault is None:
            self.data(b"", 0, ended=True)
        else:
            self._ended = True
            self._refuse_body(fault)

    def may_go_on(self) -> None:
        """It is this body's turn to be held whole."""
        if self._state == _COLLECTING:
            self._collect()

    def lost(self) -> None:
        """The client reset the stream, or its connection is gone."""
        self.over = True
        self._deadline = 0.0
        if self._state == _COLLECTING:
            self._connection.collected(self)
        self._out.clear()
        self._held.clear()
        self._abandon()
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            exchange.client_gone()

    def stop(self) -> None:
        """The gate stops now."""
        exchange = self._exchange
        if exchange is not None:
            exchange.cut()
        else:
            self._abandon()
            self._reset(ErrorCodes.INTERNAL_ERROR)

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick: acts where a deadline has passed."""
        if self._exchange is not None:
            self._exchange.sweep(now, judge)
        if not self._deadline or now < self._deadline:
            return
        self._deadline = 0.0
        if self._state == _ANSWERED:
            before, self._unsent = self._unsent, self.unsent()
            if before < 0 or self._unsent < before:
                self._deadline = now + self._plane.limits.body_idle_timeout
            else:
                # What was answered is not taken.
                self._reset(ErrorCodes.CANCEL)
        else:
            self._refuse_body(Fault(408, "The request body did not come in time."))

    # What the exchange tells: the client's side of it.

    def interim(self, head: ResponseHead) -> None:
        """An interim answer of the upstream."""
        self._send_fields(head.status, head.lines, b"", end=False)
        self._connection.flush()

    def answer_whole(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """Sends the upstream's answer, as far as the client's window has room."""
        self._exchange = None
        self._answered()
        self._begin_answer(head, lines, end=not data)
        if data:
            self._out.put(data)
            self._out.end()
        self.pump()

    def answer_begins(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """Sends the head and the first bytes of an answer whose end is still to come."""
        self._begin_answer(head, lines, end=False)
        self._out.put(data)
        self.pump()

    def answer_goes_on(self, data: bytes) -> None:
        """Sends more of an answer's body."""
        self._out.put(data)
        self.pump()

    def answer_ends(self, data: bytes, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """Sends the last of an answer."""
        self._exchange = None
        self._answered()
        self._out.put(data)
        self._out.end(trailers)
        self.pump()

    def respond(self, answer: Answer) -> None:
        """The exchange came to nothing; the client gets `answer`."""
        self._exchange = None
        self._answer(answer)

    def cut(self) -> None:
        """The exchange ended in the middle of an answer."""
        self._exchange = None
        self._reset(ErrorCodes.INTERNAL_ERROR)

    def unsent(self) -> int:
        """Bytes that the client has not taken yet, in steps of 4 KiB."""
        return self._out.untaken + self._connection.unsent_now()

    def body_wanted(self) -> None:
        """The upstream takes body bytes (again)."""
        self._await_body()
        self._take()

    def body_unwanted(self) -> None:
        """The upstream does not keep up with the body; what it has not taken opens no window."""
        self._deadline = 0.0

    def switch(
        self,
        connection: UpstreamConnection,
        head: ResponseHead,
        forward: Forward,
        ended: Callable[[int, str], None],
    ) -> bool:
        """Never: an HTTP/2 request asks for no upgrade (RFC 9113 section 8.6)."""
        return False

    # The request.

    def _judge(self, request: RequestHead) -> None:
        plane = self._plane
        connection = self._connection
        self._state = _JUDGING
        self._deadline = 0.0
        plane.inflight += 1
        wire = Wire(
            request.method,
            request.target,
            request.headers,
            connection.peer,
            connection.tls,
            request.minor,
            request.block,
            connection.certificate,
        )
        self._case, step = plane.enforcement.begin(wire, self._resume)
        self._apply(step)

    def _resume(self, step: Step) -> None:
        """Called with the step that `Wait` promised."""
        if self._state == _JUDGING and not self.over:
            self._apply(step)
        elif type(step) is Forward:
            # The client left in the meantime: nothing is forwarded, and that is its outcome.
            self._plane.enforcement.finished(step, 0, 0, "client_gone", sent=False)

    def _apply(self, step: Step) -> None:
        if isinstance(step, Forward):
            self._forward(step)
        elif isinstance(step, Answer):
            self._answer(step)
        elif isinstance(step, NeedBody):
            self._need_body(step)

    def _need_body(self, step: NeedBody) -> None:
        case = self._case
        request = self._request
        assert case is not None
        assert request is not None
        self._collect_limit = step.limit
        if request.length > step.limit:
            self._answer(case.body_too_large())
            return
        self._state = _COLLECTING
        self._collecting_since = self._plane.now + self._plane.slack
        if not self._ended:
            self._await_body()
        self._take()

    def _forward(self, forward: Forward) -> None:
        request = self._request
        assert request is not None
        body = forward.body
        streams = False
        if body is None and request.length:
            if self._ended:
                # It is all here: it goes with the head, and can be sent again if need be.
                body = bytes(self._held)
                self._held.clear()
            else:
                streams = True
        self._case = None
        self._state = _FORWARDING
        exchange = Exchange(self, self._plane, request, forward, body, streams=streams)
        self._exchange = exchange
        exchange.start()
        if self._exchange is exchange and exchange.ready:
            self._await_body()
            self._take()

    def _await_body(self) -> None:
        """Body bytes are welcome now; a client that waits to be asked for them is asked."""
        plane = self._plane
        request = self._request
        assert request is not None
        if not self._ended:
            self._deadline = plane.now + plane.slack + plane.limits.body_idle_timeout
        if request.expects:
            request.expects = False
            if not self._received and not self._ended:
                self._connection.framing.send_headers(self.id, [(b":status", b"100")])
                self._connection.flush()

    def _take(self) -> None:
        """Hands on what is here of the body."""
        state = self._state
        plane = self._plane
        if state == _FORWARDING:
            exchange = self._exchange
            if exchange is None or not exchange.ready:
                return
            request = self._request
            assert request is not None
            held = self._held
            size = len(held)
            last = self._ended
            if not last and size and self._received == request.length:
                # The end has not come yet, and more than was announced would be another request to
                # some: until then the upstream has not got all of this one.
                size -= 1
            if not size and not last:
                return
            pieces = [bytes(held[:size])] if size else []
            del held[:size]
            self._deadline = (
                0.0 if last else plane.now + plane.slack + plane.limits.body_idle_timeout
            )
            exchange.send(pieces, last=last)
            self._credit(size)
        elif state == _COLLECTING:
            self._collect()
        elif state == _ENDING and self._ended:
            request = self._request
            assert request is not None
            self._judge(request)

    def _collect(self) -> None:
        case = self._case
        assert case is not None
        size = len(self._held)
        if size > self._collect_limit:
            self._answer(case.body_too_large())
        elif self._ended:
            body = bytes(self._held)
            self._held.clear()
            self._connection.collected(self)
            self._state = _JUDGING
            self._deadline = 0.0
            self._apply(case.with_body(body))
        else:
            plane = self._plane
            idle = plane.limits.body_idle_timeout
            # What is held whole must also come within a bounded time, not just now and then.
            slowest = self._collecting_since + idle + size / _SLOWEST_BODY
            self._deadline = min(plane.now + plane.slack + idle, slowest)
            # Its bytes are held, and yet it must come whole: the window follows what has come,
            # for as many bodies at a time as one client may have the gate hold.
            if self._connection.may_collect(self):
                self._credit(self._received - self._taken)
                self._taken = self._received
            elif self._received - self._taken >= STREAM_WINDOW:
                self._deadline = 0.0

    def _credit(self, size: int) -> None:
        """Opens the client's window again for bytes that were taken, but not for a few."""
        self._owed += size
        if self._owed >= _CREDIT and not self._ended and not self.over:
            owed, self._owed = self._owed, 0
            self._connection.credit(self, owed)

    # The answer.

    def _begin_answer(self, head: ResponseHead, lines: bytes, *, end: bool) -> None:
        if not head.dated:
            lines += self._plane.date_line
        if head.length >= 0 and head.status != 204:
            lines += b"Content-Length: %d\r\n" % head.length
        elif head.trailer and not end:
            lines += b"Trailer: %b\r\n" % head.trailer
        self._send_fields(head.status, head.lines, lines, end=end)

    def _send_fields(self, status: int, head: bytes, lines: bytes, *, end: bool) -> None:
        """Sends a header block: `head` is a status line and header lines, `lines` are more."""
        fields = [(b":status", b"%d" % status)]
        fields += answer_fields(head[head.find(b"\n") + 1 :] + lines)
        self._connection.send_fields(self, fields, end=end)
        if end:
            self._complete()

    def _answer(self, answer: Answer) -> None:
        """The gate's own answer."""
        plane = self._plane
        if self._case is not None:
            self._case = None
            plane.inflight -= 1
        self._answered()
        status = answer.status
        lines = answer.headers + plane.date_line
        body = b"" if self._answer_only else answer.body
        if status not in (204, 304):
            lines += b"Content-Length: %d\r\n" % len(answer.body)
        else:
            body = b""
        self._send_fields(status, b"\n", lines, end=not body)
        if body:
            self._out.put(body)
            self._out.end()
        self.pump()

    def _answered(self) -> None:
        """The answer is known; what is not sent of it must be taken within a bounded time."""
        if self._state == _COLLECTING:
            self._connection.collected(self)
        self._state = _ANSWERED
        self._held.clear()
        self._deadline = self._plane.now  # measured at the next tick, judged a timeout later

    def pump(self) -> None:
        """Sends what the windows allow; the rest waits, and so does the upstream."""
        if not self.over:
            if self._out.pump(self):
                self._complete()
            else:
                self._regulate()
        self._connection.flush()

    def _regulate(self) -> None:
        """Has the upstream wait while the client does not keep up."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._full:
            if self._out.size <= _OUT_LOW:
                self._full = False
                exchange.client_drained()
        elif self._out.size > _OUT_HIGH:
            self._full = True
            exchange.client_full()

    def _complete(self) -> None:
        """The answer's last frame is written."""
        self.over = True
        self._deadline = 0.0
        if not self._ended:
            # RFC 9113 section 8.1: a client that still sends its request is asked to stop.
            self._connection.reset(self, self._close_code)
        self._connection.ended(self)

    def _reset(self, code: ErrorCodes) -> None:
        if not self.over:
            self.over = True
            self._deadline = 0.0
            self._out.clear()
            if self._state == _COLLECTING:
                self._connection.collected(self)
            self._connection.reset(self, code)
            self._connection.ended(self)
            self._connection.flush()

    def _refuse(self, fault: Fault) -> None:
        """The request is no acceptable one (RFC 9113 section 8.1.1)."""
        answer = self._plane.enforcement.malformed(
            self._connection.peer, fault.detail, fault.status
        )
        if fault.status == 400:
            self._close_code = ErrorCodes.PROTOCOL_ERROR
        self._answer(answer)
        self._connection.came_to_nothing()

    def _refuse_body(self, fault: Fault) -> None:
        """The request's body turned out unacceptable: nobody gets it as a whole one."""
        exchange = self._exchange
        if exchange is None:
            self._abandon()
            self._refuse(fault)
            return
        answer = self._plane.enforcement.malformed(
            self._connection.peer, fault.detail, fault.status
        )
        self._connection.came_to_nothing()
        exchange.refuse(answer)

    def _abandon(self) -> None:
        case = self._case
        if case is not None:
            self._case = None
            self._plane.inflight -= 1
            case.abandon()
