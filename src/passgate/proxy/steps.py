"""What the enforcer tells a connection to do next with a request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from passgate.core.constraints.base import Bounds
from passgate.core.request import Wire
from passgate.ledger.protocol import Reservation
from passgate.proxy.metering import Meter
from passgate.record import Record


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this and forward nothing. `headers` are whole lines, each ending in CRLF."""

    status: int
    headers: bytes
    body: bytes
    close: bool = False


@dataclass(init=False, slots=True)
class Forward:
    """Send this request upstream.

    `head` is everything of the upstream request head that does not depend on framing: request line,
    Host, end-to-end headers, the gate's own headers, each line ending in CRLF; the connection adds
    framing (`Content-Length` or `Transfer-Encoding`), `Connection`, `Upgrade` and the blank line.
    `answer_headers` are lines to put into the final answer. `body` is the judged body to send
    exactly as it is, or None where the body streams. `stated_cost` is what the upstream's answer
    says of its cost, as `stated_cost.also_stated` puts it together; `correctable` whether it may.
    `meter` counts the minutes of what is priced so, `bounds` are the most bytes of both bodies,
    None for any number. `reservation`, `sent_at` (by the boot clock) and `recorded` are the
    enforcer's own.
    """

    head: bytes
    answer_headers: bytes
    record: Record
    body: bytes | None
    reservation: Reservation | None
    sent_at: float
    recorded: bool
    correctable: bool
    stated_cost: bytes
    meter: Meter | None
    bounds: Bounds | None

    def __init__(
        self,
        head: bytes,
        answer_headers: bytes,
        record: Record,
        body: bytes | None = None,
        reservation: Reservation | None = None,
        sent_at: float = 0.0,
        recorded: bool = True,
        correctable: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        self.head = head
        self.answer_headers = answer_headers
        self.record = record
        self.body = body
        self.reservation = reservation
        self.sent_at = sent_at
        self.recorded = recorded
        self.correctable = correctable
        self.stated_cost = b""
        self.meter: Meter | None = None
        self.bounds = bounds


@dataclass(frozen=True, slots=True)
class NeedBody:
    """A rule judges the body: read it whole, up to `limit` bytes, then call `Case.with_body`."""

    limit: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The decision waits for the record (or a shared counter); `resume` is called with the step."""


WAIT: Final = Wait()
"""The one that there need be."""

Step: TypeAlias = Answer | Forward | NeedBody | Wait


class Case(Protocol):
    """One request under judgement."""

    def with_body(self, body: bytes) -> Step:
        """Go on with the whole body, after `NeedBody`."""

    def body_too_large(self) -> Answer:
        """The body passed `NeedBody.limit`: the refusal to answer."""

    def abandon(self) -> None:
        """The client went away while waiting: nothing may be forwarded any more."""


class Enforcement(Protocol):
    """Judges requests for a connection; all that the byte plumbing knows of the gate."""

    def begin(self, wire: Wire, resume: Callable[[Step], None]) -> tuple[Case, Step]:
        """Judge a request by its head. Never raises."""

    def malformed(self, peer: str, detail: str, status: int) -> Answer:
        """The refusal for bytes that are no acceptable request; `status` as HTTP has it."""

    def overloaded(self, peer: str) -> Answer:
        """The answer when the connection limit is reached."""

    def upstream_failed(self, forward: Forward, code: str, *, sent: bool) -> Answer:
        """The answer when no usable response came; `sent`: at least one byte went upstream."""

    def outgrown(self, forward: Forward, *, request: bool) -> Answer:
        """The refusal where the request's body, or else the answer's, is longer than it may be;
        noted on record, also for an answer that has begun and can only be cut."""

    def finished(
        self, forward: Forward, status: int, bytes_out: int, outcome: str, *, sent: bool
    ) -> None:
        """The exchange is over, exactly once for each Forward; `outcome` as in `Record.outcome`."""

    def still_allowed(self, forward: Forward) -> bool:
        """Whether an open stream may go on: not expired, not revoked or stopped since."""

    def killed(self, forward: Forward) -> bool:
        """Whether an open stream has been stopped by the operator since it began."""

    def unpaid(self, forward: Forward) -> Answer | None:
        """The refusal for a metered exchange that has begun a minute which nobody pays for."""
