"""Case: one request on its straight line from the wire to the upstream."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from passgate.core.constraints import refusal_for
from passgate.core.decision import Plan, decide, derive
from passgate.core.free_tier import choices, is_free
from passgate.core.metered import judge_cost, minute_charges
from passgate.core.reasons import Refusal
from passgate.core.request import Request, Wire, canonical_request
from passgate.core.verification import named_key
from passgate.core.verified_cache import VerifiedCache
from passgate.ledger.protocol import (
    Conflict,
    Reservation,
    Shortfall,
    Taken,
    Unavailable,
)
from passgate.proxy.allowance import shortfall_lines
from passgate.proxy.departure import depart
from passgate.proxy.describing import describe
from passgate.proxy.holding import Holding
from passgate.proxy.metering import Meter
from passgate.proxy.priced import note_taken
from passgate.proxy.questions import Questions
from passgate.proxy.remembering import consult
from passgate.proxy.rewriting import judged_again
from passgate.proxy.steps import WAIT, Answer, Forward, NeedBody, Step
from passgate.record import Record

if TYPE_CHECKING:
    from passgate.proxy.enforcer import Enforcer

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_S = TypeVar("_S", bound=Step)
_logger: Final = structlog.get_logger("passgate")


class Case:
    """One request under judgement. Policy, trust and time are read once, at its start."""

    __slots__ = ("_enforcer", "_forward", "_received", "_record", "_request", "_reservation",
                 "_resume", "_wire", "gone", "holding", "now", "plan", "trust",
                 "world")  # fmt: skip

    def __init__(self, enforcer: "Enforcer", wire: Wire, resume: Callable[[Step], None]) -> None:
        self._enforcer = enforcer
        self._wire = wire
        self._resume = resume
        self.gone = False
        self._forward: Forward | None = None
        self._reservation: Reservation | None = None
        self.world = enforcer.world
        self.trust = enforcer.keeper.trust
        self.now = enforcer.clock()
        self._record = Record(enforcer.ids.next(self.now.wall), self.now, wire.method)
        self._request: Request | None = None
        self._received: bytes | None = None
        self.plan: Plan | None = None
        self.holding: Holding | None = None

    def run(self, stage: Callable[[], _S]) -> _S | Answer:
        """The one broad net: whatever a stage raises becomes a 500, and nothing is forwarded."""
        try:
            return stage()
        except Exception:
            _logger.exception("internal_error", decision_id=self._record.decision_id)
            return self.failed()

    def start(self) -> Step:
        """From the wire to the first step. Never raises."""
        # Speed: `run` would cost a bound method for each request.
        try:
            return self._start()
        except Exception:
            _logger.exception("internal_error", decision_id=self._record.decision_id)
            return self.failed()

    def _start(self) -> Step:
        enforcer = self._enforcer
        wire = self._wire
        world = self.world
        record = self._record
        record.policy = world.policy.hash
        record.bundle = self.trust.bundle
        request = canonical_request(wire, world.policy.request_rules)
        if type(request) is Refusal:
            record.client = wire.peer
            if wire.client_certificate:
                record.facts = {"client_certificate": wire.client_certificate}
            flooded = enforcer.flooded(wire.peer, self.now, close=True)
            return flooded or enforcer.refuse(request, record, close=True)
        assert isinstance(request, Request)
        self._request = request
        record.client = request.client
        record.anonymous = not request.sorted.presented
        flooded = enforcer.flooded(request.client, self.now, anonymous=record.anonymous)
        if flooded is not None:
            return flooded
        record.target = request.path
        record.query = request.query
        record.trace_id = request.sorted.trace_id
        if enforcer.endpoints.owns(request.path):
            return enforcer.endpoints.begin(self, request)
        return self.judge(request)

    def judge(self, request: Request) -> Step:
        """Checks 2 to 15, and what follows from their outcome."""
        enforcer = self._enforcer
        world = self.world
        plan = decide(request, world.policy, self.trust, self.now, enforcer.cache)
        self.plan = plan
        if plan.needs_body and plan.refusal is None:
            return NeedBody(world.judged_body_bytes)
        if plan.findings:
            plan = self.plan = judged_again(
                plan,
                request,
                lambda: decide(request, world.policy, self.trust, self.now, enforcer.cache),
            )
        if plan.watches or plan.recalls:
            consult(plan, enforcer.ledger, enforcer.paces, self.now)
        refusal = plan.refusal
        if refusal is None and plan.hold is not None and request.body is None:
            return NeedBody(world.judged_body_bytes)
        record = self._record
        describe(record, plan, world.policy, request, self._wire.client_certificate)
        if refusal is not None:
            self.note_key(refusal, plan.credential)
            return enforcer.refuse(refusal, record)
        if plan.hold is not None:
            if self.holding is None:
                self.holding = Holding(self, enforcer, record, self._resume)
            held = self.holding.judge(plan, request)
            if held is not None:
                return held
        if not enforcer.log.healthy:
            return self._without_record(plan)
        charges = plan.charges
        if self.holding is not None:
            charges = record.charges = self.holding.owed(plan)
        if plan.marks:
            charges = record.charges = charges + plan.marks
        if not charges and plan.once is None:
            return self._allowed(None)
        taken = enforcer.ledger.reserve(charges, self.now, plan.once)
        # The answer of nearly every request first: asking an abstract class is slow.
        if type(taken) is Reservation:
            return self._allowed(taken)
        if isinstance(taken, Awaitable):
            enforcer.spawn(self._reserve_later(taken))
            return WAIT
        return self._reserved(taken)

    def with_body(self, body: bytes) -> Step:
        """Go on with the whole body, by the trust and the time of now.

        Bodies may come as slowly as their senders like, and must not outrun a revocation.
        """
        request = self._request
        assert request is not None
        request.body = self._received = body
        self.trust = self._enforcer.keeper.trust
        self._record.bundle = self.trust.bundle
        self.move_on()
        if self._enforcer.endpoints.owns(request.path):
            return self.run(lambda: self._enforcer.endpoints.with_body(self, request))
        return self.run(lambda: self.judge(request))

    def judge_anew(self) -> Step:
        """Judge again after a wait, by everything as it is now: also by another configuration."""
        enforcer = self._enforcer
        self.trust = enforcer.keeper.trust
        self._record.bundle = self.trust.bundle
        self.move_on()
        if self.world is not enforcer.world:
            return self.run(self._read_anew)
        request = self._request
        assert request is not None
        request.body = self._received  # a rule may have written it anew
        return self.run(lambda: self.judge(request))

    def _read_anew(self) -> Step:
        """The same bytes under the configuration in force."""
        self.world = world = self._enforcer.world
        self._record.policy = world.policy.hash
        request = canonical_request(self._wire, world.policy.request_rules)
        if isinstance(request, Refusal):
            return self._enforcer.refuse(request, self._record, close=True)
        request.body = self._received
        self._request = request
        return self.judge(request)

    def move_on(self) -> None:
        """It is now: counters and log must agree on when something was."""
        self.now = self._record.at = self._enforcer.clock()

    def body_too_large(self) -> Answer:
        """A body that a rule would have to judge, and that is longer than rules read."""
        return self.run(self._too_large)

    def _too_large(self) -> Answer:
        refusal = Refusal(
            "request_malformed", "The body is larger than the gate judges.", status=413
        )
        record, plan, request = self._record, self.plan, self._request
        if plan is not None and request is not None:
            describe(record, plan, self.world.policy, request, self._wire.client_certificate)
        return self._enforcer.refuse(refusal, record, close=True)

    def refuse(self, refusal: Refusal) -> Answer:
        """Refuses this request; for the gate's own endpoints."""
        return self._enforcer.refuse(refusal, self._record)

    def note_key(self, refusal: Refusal, credential: str) -> None:
        """Has the keys of an issuer read again that a refused credential says to have others."""
        if refusal.code == "key_unknown":
            named = named_key(credential, self.world.policy.acceptance)
            if named is not None:
                self._enforcer.keeper.note_unknown_kid(*named)

    @property
    def cache(self) -> VerifiedCache:
        """The passports that were verified lately."""
        return self._enforcer.cache

    def asking(self) -> Questions:
        """What the gate's own endpoints may ask."""
        return Questions(self, self._enforcer, self._record, self._resume)

    def abandon(self) -> None:
        """The client went away while its request waited: nothing of it may be forwarded."""
        self.gone = True
        if self.holding is not None:
            self.holding.abandon()

    async def _reserve_later(self, taken: Awaitable[Taken]) -> None:
        answer: Taken | None = None
        try:
            answer = await taken
        except Exception:
            _logger.exception("internal_error", decision_id=self._record.decision_id)
        step = self.failed() if answer is None else self._run_late(answer)
        if self.holding is not None:
            await self.holding.end()
        if step is not WAIT:  # else the record's own callback will resume
            self._resume(step)

    def _run_late(self, taken: Taken) -> Step:
        return self.run(lambda: self._reserved_late(taken))

    def _reserved_late(self, taken: Taken) -> Step:
        """`_reserved`, unless the operator has stopped the request while it waited."""
        enforcer = self._enforcer
        stopped = enforcer.stopped(self._record)
        if stopped is None:
            return self._reserved(taken)
        if isinstance(taken, Reservation):
            enforcer.ledger.release(taken, self.now)
        return enforcer.refuse(stopped, self._record)

    def _reserved(self, taken: Taken) -> Step:
        """Check 16, from what the ledger said."""
        if isinstance(taken, Reservation):
            return self._allowed(taken)
        return self.short_of(taken)

    def short_of(self, taken: Shortfall | Unavailable | Conflict) -> Answer:
        """Check 16: what was asked of the ledger, and was not to be had."""
        record = self._record
        plan = self.plan
        assert plan is not None
        if isinstance(taken, Shortfall):
            if taken.charge.kind == "spend" and is_free(record.charges):
                record.charges = choices(record.charges)[1]  # no call was free any more
            refusal = refusal_for(taken.charge, taken.retry_after_s)
            if refusal.retry_after_s is None and plan.passport and refusal.http_status != 401:
                # Nothing comes back to this passport; another one may follow it.
                left = int(plan.passport.expires_at - self.now.wall)
                refusal = Refusal(refusal.code, refusal.detail, refusal.constraint, max(left, 1))
            answer = self._enforcer.refuse(refusal, record)
            lines = answer.headers + shortfall_lines(taken, taken.retry_after_s)
            return Answer(answer.status, lines, answer.body, answer.close)
        if isinstance(taken, Conflict):
            refusal = Refusal("idempotency_conflict")
        else:
            refusal = Refusal("ledger_unavailable", constraint=taken.charge.constraint)
        return self._enforcer.refuse(refusal, record)

    def _allowed(self, reservation: Reservation | None) -> Step:
        """Everything said yes: put that on record, and forward once it may be."""
        enforcer = self._enforcer
        record = self._record
        record.decision = "allow"
        self._reservation = reservation
        if reservation is not None and reservation.charges is not record.charges:
            note_taken(record, reservation)
        forward = self._departure(reservation)
        self._forward = forward
        plan = self.plan
        assert plan is not None
        if plan.facts.minute_cents and not is_free(record.charges):
            forward.meter = self._meter(plan)
        enforcer.allowed(record, reservation)
        strict = self.world.strict
        enforcer.log.append_decision(record, self._recorded if strict else None)
        if self.holding is not None:
            self.holding.spent()
        if strict:
            return WAIT
        enforcer.tally.decided(record)
        return forward

    def _departure(self, reservation: Reservation | None) -> Forward:
        request, plan = self._request, self.plan
        assert request is not None
        assert plan is not None
        lines = b"" if self.holding is None else self.holding.lines
        return depart(
            self._enforcer, self._record, request, plan, self.now, self.world, reservation, lines
        )

    def _meter(self, plan: Plan) -> Meter:
        """What charges the minutes after the first; judged by the policy of the decision."""
        request, passport, issuer = self._request, plan.passport, plan.issuer
        assert request is not None
        assert passport is not None
        assert issuer is not None
        compiled = derive(passport, issuer, plan.action, self.world.policy, request.client).compiled
        assert compiled is not None
        facts = plan.facts
        return Meter(
            self._enforcer,
            self._record.decision_id,
            facts.cost_cents,
            facts.minute_cents,
            minute_charges(plan.charges, facts.minute_cents),
            judge_cost(compiled, request, plan.action, facts, self.now),
            strict=self.world.strict,
        )

    def _recorded(self, durable: bool) -> None:
        """The group commit is over: only what is on disk may be forwarded."""
        try:
            self._go_on(durable)
        except Exception:
            # The log has others to tell after this one.
            _logger.exception("internal_error", decision_id=self._record.decision_id)

    def _go_on(self, durable: bool) -> None:
        enforcer = self._enforcer
        forward = self._forward
        if forward is None:
            return  # it failed after its line was handed in, and has been answered
        if not durable:
            enforcer.finished(forward, 503, 0, "refused", sent=False)
            answer = enforcer.log_unavailable(self._record)
            if not self.gone:
                self._resume(answer)
            return
        enforcer.tally.decided(self._record)
        if self.gone:
            enforcer.finished(forward, 499, 0, "client_gone", sent=False)
            return
        if self.trust.kills is not enforcer.keeper.trust.kills:
            stopped = enforcer.stopped(self._record)
            if stopped is not None:
                # On record as allowed, and not forwarded: nothing may be once a kill is confirmed.
                enforcer.finished(forward, stopped.http_status, 0, "cut", sent=False)
                self._resume(enforcer.render(stopped, self._record, close=False))
                return
        forward.sent_at = enforcer.clock().boot
        if forward.meter is not None:
            forward.meter.begin(forward.sent_at)
        self._resume(forward)

    def _without_record(self, plan: Plan) -> Step:
        """What `audit.on_failure` says while the log cannot be written."""
        enforcer = self._enforcer
        request = self._request
        assert request is not None
        readable = self.world.allow_reads and request.method in _SAFE_METHODS
        enforcer.log.count_unrecorded()
        if not readable or plan.charges or plan.marks:
            # What is charged is never passed unrecorded: the counters are a fold over the log.
            return enforcer.log_unavailable(self._record)
        self._record.decision = "allow"
        self._record.enforced = False
        self._forward = self._departure(None)
        enforcer.allowed(self._record, None)
        enforcer.tally.decided(self._record)
        return self._forward

    def failed(self) -> Answer:
        """A failure of our own: what was reserved is given back, since nothing was sent."""
        enforcer = self._enforcer
        record = self._record
        if self._forward is not None:
            self._forward = None
            enforcer.inflight -= 1
        refusal = Refusal("internal_error", f"Incident {record.decision_id}.")
        try:
            if self._reservation is not None:
                enforcer.ledger.release(self._reservation, self.now)
            return enforcer.refuse(refusal, record, close=True)
        except Exception:
            # Whatever cannot even be put on record is answered all the same.
            _logger.exception("refusal_not_recorded", decision_id=record.decision_id)
            enforcer.log.count_unrecorded()
            return enforcer.render(refusal, record, close=True)
