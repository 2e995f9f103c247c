"""What a client of HTTP/1.1 is answered: the upstream's answers in their frame, and the gate's own.

An answer ends the connection wherever the next request could not be told from the rest of this one;
a 101 makes a tunnel of it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from passgate.proxy.answers import (
    connection_lines,
    last_chunk,
    length_line,
    render,
    streamed_head,
)
from passgate.proxy.client_socket import ClientSocket
from passgate.proxy.exchange import Exchange
from passgate.proxy.incoming_body import IncomingBody
from passgate.proxy.request_head import CHUNKED, Fault, RequestHead
from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer, Case, Forward
from passgate.proxy.tunnel import Tunnel
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

_SKIP_BYTES: Final = 64 * 1024  # of a refused body are read and dropped, to keep the connection
_COPY_UP_TO: Final = 16 * 1024  # joining costs less than another write up to about here

# What the connection is doing:
HEAD: Final = 0  # reading a head, or idle
COLLECTING: Final = 1  # a rule judges the body: reading it whole
SKIPPING: Final = 2  # answered; the rest of the body is dropped before the next request
FORWARDING: Final = 3  # an exchange is under way
JUDGING: Final = 4  # the decision waits; body bytes stay unread in the buffer
TUNNEL: Final = 5


class AnsweringConnection(ClientSocket):
    """A connection that has a request to answer: the exchange writes to it, and so do refusals."""

    __slots__ = (
        "_body",
        "_case",
        "_chunked",
        "_close",
        "_exchange",
        "_request",
        "_state",
        "_tunnel",
        "_until_end",
    )

    def __init__(self, plane: "Plane") -> None:
        super().__init__(plane)
        self._state = HEAD
        self._request: RequestHead | None = None
        self._body: IncomingBody | None = None
        self._case: Case | None = None
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._chunked = False
        self._close = False
        self._until_end = False

    # What the exchange tells.

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
        self._state = TUNNEL
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

    # The gate's own answers, and what follows an answer.

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
            self._state = SKIPPING
            self._deadline = plane.now + plane.slack + plane.limits.body_idle_timeout
            self.resume()
        else:
            self._next()

    def _finish(self) -> None:
        """The last answer is written."""
        if self._body is not None or self._buffer:
            self._linger()
        else:
            self.close()

    def _next(self) -> None:
        """Ready for the next request: the reading half says what that takes."""
        raise NotImplementedError

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
