"""One forwarded request, from the decision to the last byte of its answer.

An exchange ends exactly once, and `Enforcement.finished` hears of it exactly once. Nothing that an
upstream sends is passed on as a whole answer unless it was one: before the first byte has gone out
a fault becomes a refusal, afterwards the client's connection is cut.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from passgate.core.constraints.base import UNBOUNDED
from passgate.proxy.client_side import ClientSide
from passgate.proxy.request_head import CHUNKED, RequestHead
from passgate.proxy.response_head import ResponseHead
from passgate.proxy.stated_cost import also_stated
from passgate.proxy.steps import Answer, Forward
from passgate.proxy.upstream_http1 import UpstreamConnection
from passgate.proxy.upstream_side import UpstreamSide

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

# RFC 9110 section 9.2.2; TRACE never gets here.
_IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_UNMEASURED: Final = -1
_CLIENT_GONE: Final = 499  # on record where there was nobody left to answer


class Exchange:
    """One `Forward` under way between a client's and an upstream connection.

    `body` is the whole request body where the gate holds it; with `streams` it comes through `send`
    instead, while `ready` is true. `request_sent` is true once the request is whole, `bodiless`
    where the answer has no body whatever its head says (HEAD), `last` where the upstream's
    connection must carry no other exchange after this one. With `delivers` the client's side says
    when the end of the answer has left (`delivered`), and until then the exchange is not over; else
    it is with the last of the answer, which is written within the call. `over` once it has ended,
    which `start` may bring about: whoever holds it asks this, since a compiled method takes what it
    has just set for what is still there.
    """

    __slots__ = (
        "_acted",
        "_body",
        "_bytes_in",
        "_bytes_out",
        "_client",
        "_client_full",
        "_deadline",
        "_delivers",
        "_forward",
        "_most_in",
        "_most_out",
        "_plane",
        "_pool",
        "_request",
        "_retried",
        "_sent",
        "_status",
        "_streams",
        "_unsent",
        "_upstream",
        "_upstream_full",
        "bodiless",
        "last",
        "over",
        "ready",
        "request_sent",
    )

    def __init__(
        self,
        client: ClientSide,
        plane: "Plane",
        request: RequestHead,
        forward: Forward,
        body: bytes | None,
        *,
        streams: bool,
        delivers: bool = False,
    ) -> None:
        self._client = client
        self._plane = plane
        self._pool = plane.pool
        self._request = request
        self._forward = forward
        self._body = body
        self._streams = streams
        self._delivers = delivers
        self._upstream: UpstreamSide | None = None
        self._deadline = 0.0
        self._status = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._unsent = _UNMEASURED
        self._client_full = False
        self._upstream_full = False
        self._retried = False
        bounds = forward.bounds
        self._most_in = UNBOUNDED if bounds is None else bounds.request
        self._most_out = UNBOUNDED if bounds is None else bounds.response
        self._sent = False
        self._acted = False
        self.over = False
        self.bodiless = request.method == "HEAD"
        self.last = request.last
        self.ready = False
        self.request_sent = False

    def start(self) -> None:
        """Finds a connection and sends what there is to send."""
        plane = self._plane
        body = self._body
        if body is not None and len(body) > self._most_in:
            self.refuse(plane.enforcement.outgrown(self._forward, request=True))
            return
        upstream = self._pool.take(self)
        if upstream is not None:
            self._send(upstream)
        elif not self.over:
            self._deadline = plane.now + plane.slack + plane.upstream.connect_timeout

    # What the pool tells.

    def connected(self, connection: UpstreamSide) -> None:
        """A connection is there after waiting for one."""
        self._send(connection)
        if self.ready:
            self._client.body_wanted()

    def unreachable(self, code: str) -> None:
        """There will be no connection."""
        self._fail(code)

    def _send(self, upstream: UpstreamSide) -> None:
        self._upstream = upstream
        self._sent = True
        request = self._request
        body = self._body
        head = self._forward.head
        if request.last:
            head += b"Connection: close\r\n"
        plane = self._plane
        if self._streams:
            self.ready = True
            self._deadline = 0.0
            upstream.begin(self, head + request.framing)
            return
        self.request_sent = True
        self._deadline = plane.now + plane.slack + plane.upstream.first_byte_timeout
        if body is not None and (body or request.length):
            self._bytes_in = len(body)
            upstream.begin(self, b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        elif request.upgrade:
            upstream.begin(
                self, b"%bConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % (head, request.upgrade)
            )
        else:
            upstream.begin(self, head + request.framing)

    # What the client's connection tells.

    def send(self, pieces: Sequence[bytes], *, last: bool) -> None:
        """More of the streamed body; `last` once it is whole and was found sound."""
        upstream = self._upstream
        assert upstream is not None
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._bytes_in += len(data)
        if self._bytes_in > self._most_in:
            self._bytes_in -= len(data)
            self.refuse(self._plane.enforcement.outgrown(self._forward, request=True))
            return
        if last:
            plane = self._plane
            self.request_sent = True
            self.ready = False
            if not self._status:
                self._deadline = plane.now + plane.slack + plane.upstream.first_byte_timeout
        if self._status and not self._client_full:
            # Answered already, and still reading: what comes in keeps both ways open.
            plane = self._plane
            self._deadline = plane.now + plane.slack + plane.upstream.idle_timeout
        upstream.send(data, chunked=self._request.length == CHUNKED, last=last)

    @property
    def answering(self) -> bool:
        """Whether an answer has begun: from then on bytes either way keep both ways open."""
        return self._status != 0

    def refuse(self, answer: Answer) -> None:
        """The upstream's request is cut: its body is unacceptable, or it is not paid any more."""
        self._drop_upstream()
        if self._status:
            self._end("cut")
            self._client.cut()
        else:
            self._status = answer.status
            self._bytes_out = 0 if self.bodiless else len(answer.body)
            self._end("cut")
            self._client.respond(answer)

    def delivered(self) -> None:
        """The end of the answer has left."""
        if not self.over:
            self._end("completed")

    def client_gone(self) -> None:
        """The client closed its connection, or does not take the answer."""
        if not self.over:
            self._drop_upstream()
            self._status = self._status or _CLIENT_GONE
            self._end("client_gone")

    def client_full(self) -> None:
        """The client does not read as fast as the upstream sends."""
        self._client_full = True
        self._measure_soon()
        if self._upstream is not None:
            self._upstream.pause()

    def client_drained(self) -> None:
        """The client has caught up."""
        self._client_full = False
        self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        if self._upstream is not None:
            self._upstream.resume()

    def cut(self) -> None:
        """Ends at once on the gate's own account: revoked, expired, or the gate stops."""
        if not self.over:
            self._drop_upstream()
            self._end("cut")
            self._client.cut()

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick; `judge`: may an open exchange still go on?"""
        if self._deadline and now >= self._deadline:
            self._overdue(now)
        elif judge and not self._plane.may_go_on(self._forward):
            self.cut()
        elif self._forward.meter is not None:
            unpaid = self._plane.enforcement.unpaid(self._forward)
            if unpaid is not None:
                self.refuse(unpaid)

    def _overdue(self, now: float) -> None:
        """A deadline has passed. Whoever takes what waits for it, however slowly, gets another."""
        plane = self._plane
        upstream = self._upstream
        if self._client_full:
            patience = plane.limits.body_idle_timeout
            left = self._client.unsent()
        elif self._upstream_full and upstream is not None:
            patience = plane.upstream.idle_timeout
            left = upstream.unsent()
        else:
            self._time_out()
            return
        before, self._unsent = self._unsent, left
        if before == _UNMEASURED or left < before:
            self._deadline = now + patience
        elif self._client_full:
            self._drop_upstream()
            self._end("client_gone")
            self._client.cut()
        else:
            self._time_out()

    def _time_out(self) -> None:
        if self._upstream is not None:
            plane = self._plane
            settings = plane.upstream
            waits = self.request_sent and not self._status
            patience = settings.first_byte_timeout if waits else settings.idle_timeout
            self._upstream.timed_out(self._deadline - plane.slack - patience)
        self._fail("upstream_timeout")

    def _measure_soon(self) -> None:
        """A side does not keep up: measured at the next tick, judged by that a timeout later."""
        self._unsent = _UNMEASURED
        self._deadline = self._plane.now

    # What the upstream connection asks and tells.

    @property
    def takes_trailers(self) -> bool:
        """Whether the client said `TE: trailers` (RFC 9110 section 10.1.4)."""
        for name, value in self._request.headers:
            if name.lower() == b"te":
                for coding in value.split(b","):
                    if coding.strip(b" \t").lower() == b"trailers":
                        return True
        return False

    def informed(self, head: ResponseHead) -> None:
        """An interim answer came; 100 is the gate's own to give."""
        if head.status != 100:
            self._client.interim(head)

    def cost_stated(self, value: bytes) -> None:
        """The final answer says what the request has cost, in its head or its trailers."""
        forward = self._forward
        forward.stated_cost = also_stated(forward.stated_cost, value)

    def answer(self, head: ResponseHead, data: bytes, *, whole: bool) -> None:
        """The final answer's head came, with the first of its body; `whole`: and with the last."""
        self._status = head.status
        if head.cost:
            self.cost_stated(head.cost)
        if self._most_out < UNBOUNDED and self._too_long(head, data, whole=whole):
            return
        self._bytes_out = len(data)
        if whole:
            # The connection may carry another exchange already: a client that does not keep up
            # with what is written from here on must not pause it.
            self._upstream = None
            if self._delivers:
                self._deadline = 0.0  # from here on the client's time runs, not the upstream's
            else:
                # What was reserved is settled before the client can ask for more.
                self._end("completed")
            self._client.answer_whole(head, self._forward.answer_headers, data)
        else:
            self._client.answer_begins(head, self._forward.answer_headers, data)
            if not self._client_full:
                plane = self._plane
                self._deadline = plane.now + plane.slack + plane.upstream.idle_timeout

    def _too_long(self, head: ResponseHead, data: bytes, *, whole: bool) -> bool:
        """Refuses an answer of which nothing has gone out yet, if it is longer than it may be."""
        # What a head without a body says of its length is not about this answer.
        length = len(data) if whole else max(head.length, len(data))
        if length <= self._most_out:
            return False
        if whole:
            self._upstream = None  # settled, and perhaps in use again
        else:
            self._drop_upstream()
        answer = self._plane.enforcement.outgrown(self._forward, request=False)
        self._status = answer.status
        self._bytes_out = len(answer.body)
        self._end("cut")
        self._client.respond(answer)
        return True

    def _cut_short(self, surplus: int) -> None:
        """More of an answer has come than may be: the client sees that it is not whole."""
        self._bytes_out -= surplus
        self._plane.enforcement.outgrown(self._forward, request=False)
        self._drop_upstream()
        self._end("cut")
        self._client.cut()

    def answer_data(self, data: bytes) -> None:
        """More of the answer's body."""
        self._bytes_out += len(data)
        if self._bytes_out > self._most_out:
            self._cut_short(len(data))
            return
        if not self._client_full:
            self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        self._client.answer_goes_on(data)

    def answer_ended(self, data: bytes, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """The last of the answer's body came, and its trailers."""
        self._upstream = None  # as for a whole answer: no longer this exchange's to pause
        self._bytes_out += len(data)
        if self._bytes_out > self._most_out:
            self._cut_short(len(data))
            return
        if self._delivers:
            self._deadline = 0.0
        else:
            self._end("completed")
        self._client.answer_ends(data, trailers)

    def switched(self, connection: UpstreamConnection, head: ResponseHead) -> None:
        """A 101 came: from here on bytes go both ways, if the client asked for exactly this."""
        self._status = 101
        self._deadline = 0.0
        if not self._client.switch(connection, head, self._forward, self._tunnel_ended):
            self._status = 0
            self.unusable()

    def unusable(self) -> None:
        """What came is no answer that could be passed on."""
        self._fail("upstream_bad_response")

    def upgrade_unsupported(self) -> None:
        """The upstream's version of HTTP has no upgrades, and nothing was sent."""
        self._upstream = None
        self._sent = False
        self._fail("upgrade_unsupported")

    def upstream_lost(self, connection: UpstreamSide) -> None:
        """The connection closed before the answer was whole, or refused to carry the request."""
        self._upstream = None
        self.ready = False
        if connection.refused:
            # RFC 9113 section 8.7: nothing was done with it, whatever the method; so as long as the
            # gate still holds all of it, it may be sent again, and nothing needs to be paid for it.
            self._sent = self._acted
            again = not self._streams or not self._bytes_in
        else:
            # What came of this is not known, whatever is said of a second attempt.
            self._acted = True
            # A server may close an idle connection just as the gate uses it. Sending again is safe
            # only where the server cannot have acted twice (RFC 9110 section 9.2.2), and only for
            # requests that the gate still holds whole.
            again = (
                connection.reused
                and not connection.began
                and not self._streams
                and self._request.method in _IDEMPOTENT
            )
        if again and not self._retried:
            self._retried = True
            plane = self._plane
            self._deadline = plane.now + plane.slack + plane.upstream.connect_timeout
            fresh = self._pool.take(self, fresh=True)
            if fresh is not None:
                self._send(fresh)
        else:
            self._fail("upstream_bad_response")

    def upstream_full(self) -> None:
        """The upstream does not read as fast as the client sends."""
        if self._streams and not self.request_sent:
            self.ready = False
            self._upstream_full = True
            self._measure_soon()
            self._client.body_unwanted()

    def upstream_drained(self) -> None:
        """The upstream has caught up."""
        if self._streams and not self.request_sent:
            self.ready = True
            self._upstream_full = False
            if self._status and not self._client_full:
                plane = self._plane
                self._deadline = plane.now + plane.slack + plane.upstream.idle_timeout
            elif not self._client_full:
                self._deadline = 0.0
            self._client.body_wanted()

    # Ends.

    def _fail(self, code: str) -> None:
        if self.over:
            return
        self._drop_upstream()
        if self._status:
            # Nobody can be told any more; the record can.
            self._forward.record.reason_code = code
            self._end("upstream_failed")
            self._client.cut()
            return
        answer = self._plane.enforcement.upstream_failed(self._forward, code, sent=self._sent)
        self._status = answer.status
        self._bytes_out = 0 if self.bodiless else len(answer.body)
        self._end("upstream_failed")
        self._client.respond(answer)

    def _drop_upstream(self) -> None:
        upstream = self._upstream
        self.ready = False
        if upstream is not None:
            self._upstream = None
            upstream.abort()
        elif not self._status:
            self._pool.leave(self)

    def _tunnel_ended(self, bytes_out: int, outcome: str) -> None:
        self._upstream = None
        self._bytes_out = bytes_out
        self._end(outcome)

    def _end(self, outcome: str) -> None:
        self.over = True
        self._plane.inflight -= 1
        if self._bytes_in:
            self._forward.record.bytes_in = self._bytes_in
        self._plane.enforcement.finished(
            self._forward, self._status, self._bytes_out, outcome, sent=self._sent
        )
