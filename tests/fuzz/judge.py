"""The enforcement of fuzzed data planes: it reads requests as the gate does, and numbers them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from passgate.core.header_rules import header_rules
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.core.request import RequestRules, Wire, canonical_request
from passgate.proxy.steps import Answer, Case, Forward, NeedBody, Step, Wait
from passgate.record import Record

RULES = RequestRules(header_rules())
JUDGED_BYTES = 64
_NOW = Instant(0.0, 0.0)


@dataclass(slots=True)
class Judged:
    """One request that was judged; `outcomes` are all that were told of it."""

    number: int
    client: str
    method: str
    target: bytes = b""
    forward: Forward | None = None
    body: bytes | None = None
    waits: bool = False
    forwarded: bool = False
    abandoned: bool = False
    outcomes: list[str] = field(default_factory=list)


def _answer(number: int, status: int, body: bytes, *, close: bool = False) -> Answer:
    return Answer(status, b"X-Number: %d\r\nX-Refused: yes\r\n" % number, body, close)


class OpenCase:
    """A request under judgement."""

    def __init__(self, judge: "Judge", judged: Judged) -> None:
        self._judge = judge
        self._judged = judged

    def with_body(self, body: bytes) -> Step:
        judged = self._judged
        assert len(body) <= JUDGED_BYTES
        assert judged.body is None
        judged.body = body
        assert judged.forward is not None
        judged.forward.body = body
        judged.forwarded = True
        return judged.forward

    def body_too_large(self) -> Answer:
        self._judged.forward = None
        return _answer(self._judged.number, 413, b"too large", close=True)

    def abandon(self) -> None:
        assert not self._judged.abandoned
        self._judged.abandoned = True


class Judge:
    """Targets choose: `/deny` is refused, `/judge` by its body, `/wait` later; all else passes."""

    def __init__(self) -> None:
        self.judged: list[Judged] = []
        self.parked: list[tuple[Callable[[Step], None], Judged]] = []
        self.refused: list[int] = []
        self.open = 0
        self.allowed = True

    def begin(self, wire: Wire, resume: Callable[[Step], None]) -> tuple[Case, Step]:
        number = len(self.judged) + 1
        judged = Judged(number, wire.peer, wire.method)
        self.judged.append(judged)
        case = OpenCase(self, judged)
        request = canonical_request(wire, RULES)
        if isinstance(request, Refusal):
            return case, _answer(number, 400, b"ambiguous", close=True)
        judged.target = request.target
        path = request.path
        if path.startswith("/deny"):
            return case, _answer(number, 403, b"denied")
        sorted_headers = request.sorted
        head = b"%b %b HTTP/1.1\r\nHost: %b\r\n%bX-Number: %d\r\n" % (
            request.method.encode(),
            request.target,
            sorted_headers.host or b"",
            sorted_headers.forward,
            number,
        )
        lines = b"X-Number: %d\r\n" % number
        judged.forward = Forward(head, lines, Record(str(number), _NOW))
        if path.startswith("/judge"):
            return case, NeedBody(JUDGED_BYTES)
        if path.startswith("/wait"):
            judged.waits = True
            self.parked.append((resume, judged))
            return case, Wait()
        judged.forwarded = True
        return case, judged.forward

    def resume(self, *, refuse: bool) -> None:
        """The oldest decision that waits comes."""
        if not self.parked:
            return
        resume, judged = self.parked.pop(0)
        assert judged.forward is not None
        if judged.abandoned:
            # As the enforcer does: nobody is told any more.
            judged.forward = None
        elif refuse:
            judged.forward = None
            resume(_answer(judged.number, 403, b"denied later"))
        else:
            judged.forwarded = True
            resume(judged.forward)

    def malformed(self, peer: str, detail: str, status: int) -> Answer:
        self.refused.append(status)
        return Answer(status, b"X-Refused: yes\r\n", detail.encode())

    def overloaded(self, peer: str) -> Answer:
        return Answer(503, b"X-Refused: yes\r\n", b"full")

    def upstream_failed(self, forward: Forward, code: str, *, sent: bool) -> Answer:
        return _answer(int(forward.record.decision_id), 502, code.encode())

    def finished(
        self, forward: Forward, status: int, bytes_out: int, outcome: str, *, sent: bool
    ) -> None:
        self.judged[int(forward.record.decision_id) - 1].outcomes.append(outcome)

    def killed(self, forward: Forward) -> bool:
        return not self.allowed

    def still_allowed(self, forward: Forward) -> bool:
        return self.allowed
