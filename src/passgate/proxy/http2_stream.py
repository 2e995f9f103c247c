"""One HTTP/2 stream: a request on the same line from the wire to the upstream as any other.

What differs from HTTP/1.1 is that many are under way at once and each is held back by windows of
its own: the client may send more of a body only as the upstream takes it. How it is answered is in
`http2_answering`.
"""

from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from passgate.core.request import Wire
from passgate.proxy.exchange import Exchange
from passgate.proxy.http2_answering import (
    ANSWERED,
    COLLECTING,
    ENDING,
    FORWARDING,
    JUDGING,
    AnsweringStream,
)
from passgate.proxy.http2_framing import STREAM_WINDOW
from passgate.proxy.http2_request import Fields, read_request, trailer_fault
from passgate.proxy.incoming_body import SLOWEST_BODY, TOO_LARGE
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead
from passgate.proxy.steps import Answer, Forward, NeedBody, Step

if TYPE_CHECKING:
    from passgate.proxy.http2_shared import SharedConnection
    from passgate.proxy.plane import Plane

_CREDIT: Final = 16 * 1024  # how much is taken of a body before its window is opened again
_WRONG_LENGTH: Final = Fault(400, "The body is not as long as its Content-Length.")


class Http2Stream(AnsweringStream):
    """The client's side of one exchange (`ClientSide`), and the request before there is one."""

    __slots__ = (
        "_collect_limit",
        "_collecting_since",
        "_owed",
        "_received",
        "_request",
        "_taken",
        "_unsent",
    )

    def __init__(self, connection: "SharedConnection", plane: "Plane", number: int) -> None:
        super().__init__(connection, plane, number)
        self._request: RequestHead | None = None
        self._received = 0
        self._owed = 0
        self._taken = 0
        self._collecting_since = 0.0
        self._collect_limit = 0
        self._unsent = -1

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
            self._refuse(TOO_LARGE)
        elif ended or request.length:
            self._judge(request)
        else:
            self._state = ENDING
            self._deadline = plane.now + plane.slack + limits.body_idle_timeout

    def data(self, data: bytes, flow: int, *, ended: bool) -> None:
        """More of the body; `flow` is what it took of the window, with padding."""
        self._ended = ended
        if self._state == ANSWERED:
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
            self._refuse_body(TOO_LARGE)
            return
        self._held += data
        self._take()

    def trailers(self, fields: Fields) -> None:
        """The request's trailers, which end it."""
        if self._state == ANSWERED:
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
        if self._state == COLLECTING:
            self._collect()

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick: acts where a deadline has passed."""
        if self._exchange is not None:
            self._exchange.sweep(now, judge)
        if not self._deadline or now < self._deadline:
            return
        self._deadline = 0.0
        if self._state == ANSWERED:
            before, self._unsent = self._unsent, self.unsent()
            if before < 0 or self._unsent < before:
                self._deadline = now + self._plane.limits.body_idle_timeout
            else:
                # What was answered is not taken.
                exchange = self._exchange
                if exchange is not None:
                    self._exchange = None
                    exchange.client_gone()
                self._reset(ErrorCodes.CANCEL)
        elif self._exchange is None or not self._exchange.answering:
            # Once an answer has begun, bytes either way keep both ways open: a call of gRPC may
            # listen for as long as its server speaks.
            self._refuse_body(Fault(408, "The request body did not come in time."))

    # What is decided.

    def _judge(self, request: RequestHead) -> None:
        plane = self._plane
        connection = self._connection
        self._state = JUDGING
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
        if self._state == JUDGING and not self.over:
            self._apply(step)
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
        request = self._request
        assert case is not None
        assert request is not None
        self._collect_limit = step.limit
        if request.length > step.limit:
            self._answer(case.body_too_large())
            return
        self._state = COLLECTING
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
        self._state = FORWARDING
        exchange = Exchange(
            self, self._plane, request, forward, body, streams=streams, delivers=True
        )
        self._exchange = exchange
        exchange.start()
        if not exchange.over and exchange.ready:
            self._await_body()
            self._take()

    # The body.

    def body_wanted(self) -> None:
        """The upstream takes body bytes (again)."""
        self._await_body()
        self._take()

    def body_unwanted(self) -> None:
        """The upstream does not keep up with the body; what it has not taken opens no window."""
        self._deadline = 0.0

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
        if state == FORWARDING:
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
        elif state == COLLECTING:
            self._collect()
        elif state == ENDING and self._ended:
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
            self._state = JUDGING
            self._deadline = 0.0
            self._apply(case.with_body(body))
        else:
            plane = self._plane
            idle = plane.limits.body_idle_timeout
            # What is held whole must also come within a bounded time, not just now and then.
            slowest = self._collecting_since + idle + size / SLOWEST_BODY
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
