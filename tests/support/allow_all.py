"""An enforcement that allows whatever it is not told to refuse, and remembers what it heard."""

from collections.abc import Callable
from dataclasses import dataclass, field

from passgate.core.constraints.base import Bounds
from passgate.core.instant import Instant
from passgate.core.request import Wire
from passgate.proxy.steps import Answer, Case, Forward, NeedBody, Step, Wait
from passgate.record import Record

# What an enforcement must not put into `Forward.head`: framing and what belongs to one hop.
_NOT_FORWARDED = frozenset(
    b"host connection keep-alive te upgrade expect content-length transfer-encoding".split()
)


@dataclass(frozen=True)
class Finished:
    """One call of `finished`."""

    status: int
    bytes_out: int
    outcome: str
    sent: bool


def refusal(status: int, text: str) -> Answer:
    """A plain refusal."""
    return Answer(status, b"Content-Type: text/plain\r\nX-Refused: yes\r\n", text.encode())


class OpenCase:
    """A request under judgement, as the target asks for it."""

    def __init__(self, gate: "AllowAll", wire: Wire, forward: Forward) -> None:
        self._gate = gate
        self._wire = wire
        self._forward = forward

    def with_body(self, body: bytes) -> Step:
        self._gate.bodies.append(body)
        self._forward.body = body
        return self._forward

    def body_too_large(self) -> Answer:
        return refusal(413, "the judged body is too large")

    def abandon(self) -> None:
        self._gate.abandoned.append(self._wire)


@dataclass
class AllowAll:
    """Targets choose: `/deny`, `/judge` (the body), `/wait`, `/park` (the test resumes it)."""

    judged: list[Wire] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    abandoned: list[Wire] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    failed: list[tuple[str, bool]] = field(default_factory=list)
    outgrew: list[bool] = field(default_factory=list)
    outcomes: list[Finished] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    parked: list[tuple[Callable[[Step], None], Forward]] = field(default_factory=list)
    allowed: bool = True
    asked: int = 0
    judged_limit: int = 1024
    answer_headers: bytes = b"Passport-Decision: allow\r\n"
    bounds: Bounds | None = None
    call_soon: Callable[..., object] | None = None

    def begin(self, wire: Wire, resume: Callable[[Step], None]) -> tuple[Case, Step]:
        self.judged.append(wire)
        forward = Forward(b"", self.answer_headers, Record("att_1", Instant(0.0, 0.0)))
        forward.bounds = self.bounds
        case = OpenCase(self, wire, forward)
        lines = [b"%b %b HTTP/1.1\r\nHost: upstream\r\n" % (wire.method.encode(), wire.target)]
        for name, value in wire.headers:
            if name.lower() not in _NOT_FORWARDED:
                lines.append(b"%b: %b\r\n" % (name, value))
        forward.head = b"".join(lines)
        path = wire.target
        if path.startswith(b"/deny"):
            return case, refusal(403, "denied")
        if path.startswith(b"/judge"):
            return case, NeedBody(self.judged_limit)
        if path.startswith(b"/wait"):
            assert self.call_soon is not None
            self.call_soon(resume, forward)
            return case, Wait()
        if path.startswith(b"/park"):
            self.parked.append((resume, forward))
            return case, Wait()
        return case, forward

    def malformed(self, peer: str, detail: str, status: int) -> Answer:
        self.refused.append((status, detail))
        return refusal(status, detail)

    def overloaded(self, peer: str) -> Answer:
        return Answer(503, b"Retry-After: 1\r\n", b"full")

    def upstream_failed(self, forward: Forward, code: str, *, sent: bool) -> Answer:
        self.failed.append((code, sent))
        return refusal({"upstream_timeout": 504, "overloaded": 503}.get(code, 502), code)

    def outgrown(self, forward: Forward, *, request: bool) -> Answer:
        self.outgrew.append(request)
        return refusal(403 if request else 502, "too long")

    def finished(
        self, forward: Forward, status: int, bytes_out: int, outcome: str, *, sent: bool
    ) -> None:
        self.forwards.append(forward)
        self.outcomes.append(Finished(status, bytes_out, outcome, sent))

    def killed(self, forward: Forward) -> bool:
        return False

    def still_allowed(self, forward: Forward) -> bool:
        self.asked += 1
        return self.allowed
