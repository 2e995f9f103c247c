"""What is answered on one HTTP/2 stream: the upstream's answer, or the gate's own.

An answer that the client does not take stops its upstream, and one that is not whole ends in
RST_STREAM. An exchange is over when the end of its answer has left, not when the gate has it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from passgate.proxy.exchange import Exchange
from passgate.proxy.http2_outgoing import Outgoing
from passgate.proxy.http2_request import answer_fields
from passgate.proxy.request_head import Fault
from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer, Case, Forward
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.http2_shared import SharedConnection
    from passgate.proxy.plane import Plane

_OUT_HIGH: Final = 64 * 1024  # what may wait for the client's window before the upstream must wait
_OUT_LOW: Final = 16 * 1024

# What the stream is doing:
ENDING: Final = 0  # a body of no bytes is announced, and its end not yet seen
JUDGING: Final = 1  # the decision waits; what comes of the body is held
COLLECTING: Final = 2  # a rule judges the body: it is read whole
FORWARDING: Final = 3
ANSWERED: Final = 4  # what still comes of the body is nobody's


class AnsweringStream:
    """A stream that has a request to answer; `over` once its last frame is written."""

    __slots__ = (
        "_answer_only",
        "_case",
        "_close_code",
        "_connection",
        "_deadline",
        "_ended",
        "_exchange",
        "_full",
        "_held",
        "_out",
        "_plane",
        "_state",
        "id",
        "over",
    )

    def __init__(self, connection: "SharedConnection", plane: "Plane", number: int) -> None:
        self._connection = connection
        self._plane = plane
        self.id = number
        self.over = False
        self._state = JUDGING
        self._case: Case | None = None
        self._exchange: Exchange | None = None
        self._held = bytearray()
        self._ended = False
        self._close_code = ErrorCodes.NO_ERROR
        self._deadline = 0.0
        self._full = False
        self._out = Outgoing(connection)
        self._answer_only = False

    # What the exchange tells.

    def interim(self, head: ResponseHead) -> None:
        """An interim answer of the upstream."""
        self._send_fields(head.status, head.lines, b"", end=False)
        self._connection.flush()

    def answer_whole(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """Sends the upstream's answer, as far as the client's window has room."""
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

    def switch(
        self,
        connection: UpstreamConnection,
        head: ResponseHead,
        forward: Forward,
        ended: Callable[[int, str], None],
    ) -> bool:
        """Never: an HTTP/2 request asks for no upgrade (RFC 9113 section 8.6)."""
        return False

    # What the connection tells.

    def may_go_on(self) -> None:
        """It is this body's turn to be held whole: the reading half knows how."""
        raise NotImplementedError

    # What is sent.

    def pump(self) -> None:
        """Sends what the windows allow; the rest waits, and so does the upstream."""
        if not self.over:
            if self._out.pump(self):
                self._complete()
            else:
                self._regulate()
        self._connection.flush()

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
        if self._state == COLLECTING:
            self._connection.collected(self)
        self._state = ANSWERED
        self._held.clear()
        self._deadline = self._plane.now  # measured at the next tick, judged a timeout later

    def _regulate(self) -> None:
        """Has the upstream wait while the client does not keep up."""
        exchange = self._exchange
        if exchange is None or self._state == ANSWERED:
            return
        if self._full:
            if self._out.size <= _OUT_LOW:
                self._full = False
                exchange.client_drained()
        elif self._out.size > _OUT_HIGH:
            self._full = True
            exchange.client_full()

    # Ends.

    def lost(self) -> None:
        """The client reset the stream, or its connection is gone."""
        self.over = True
        self._deadline = 0.0
        if self._state == COLLECTING:
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

    def _complete(self) -> None:
        """The answer's last frame is written."""
        self.over = True
        self._deadline = 0.0
        exchange = self._exchange
        if exchange is not None:
            self._exchange = None
            exchange.delivered()
        if not self._ended:
            # RFC 9113 section 8.1: a client that still sends its request is asked to stop.
            self._connection.reset(self, self._close_code)
        self._connection.ended(self)

    def _reset(self, code: ErrorCodes) -> None:
        if not self.over:
            self.over = True
            self._deadline = 0.0
            self._out.clear()
            if self._state == COLLECTING:
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
        exchange.refuse(answer)
        # Last, since it may end the connection and with it every exchange that is still open.
        self._connection.came_to_nothing()

    def _abandon(self) -> None:
        case = self._case
        if case is not None:
            self._case = None
            self._plane.inflight -= 1
            case.abandon()
