"""Carries out decisions: reserves, records, forwards, settles. The one place where all rooms meet.

A request takes the straight line of `docs/concepts/checks.md`; nothing here decides anything.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from passgate.approvals.desk import Approvals
from passgate.clock import Clock
from passgate.core.constraints.data import REQUEST_TOO_LONG, RESPONSE_TOO_LONG
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.core.request import Wire
from passgate.core.verified_cache import VerifiedCache
from passgate.ledger.paces import Paces
from passgate.ledger.protocol import Ledger, Reservation
from passgate.log import FloodGate, Log
from passgate.proxy.assertion import Assertions
from passgate.proxy.case import Case
from passgate.proxy.endpoints import Endpoints
from passgate.proxy.refusals import render
from passgate.proxy.settling import settle
from passgate.proxy.steps import Answer, Forward, Step
from passgate.proxy.world import World
from passgate.record import Record
from passgate.sync.keeper import Keeper
from passgate.tally import Tally
from passgate.ulid import UlidSource


class Enforcer:
    """Judges requests for the data plane. `world` may be replaced between any two requests."""

    def __init__(
        self,
        world: World,
        *,
        keeper: Keeper,
        ledger: Ledger,
        log: Log,
        floods: FloodGate,
        endpoints: Endpoints,
        assertions: Assertions,
        approvals: Approvals,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self.world = world
        self.keeper = keeper
        self.ledger = ledger
        self.log = log
        self.floods = floods
        self.endpoints = endpoints
        self.assertions = assertions
        self.approvals = approvals
        self.tally = tally
        self.clock = clock
        self.cache = VerifiedCache()
        self.paces = Paces()
        self.ids = UlidSource("att_")
        self.inflight = 0
        self._tasks: set[asyncio.Future[None]] = set()

    def begin(self, wire: Wire, resume: Callable[[Step], None]) -> tuple[Case, Step]:
        """Judge a request by its head. Never raises."""
        case = Case(self, wire, resume)
        return case, case.start()

    def malformed(self, peer: str, detail: str, status: int) -> Answer:
        """The refusal for bytes that are no acceptable request; recorded like any other."""
        now = self.clock()
        refusal = Refusal("request_malformed", detail, status=status)
        record = Record(
            self.ids.next(now.wall),
            now,
            client=peer,
            policy=self.world.policy.hash,
            bundle=self.keeper.trust.bundle,
        )
        flooded = self.flooded(peer, now, close=True)
        return flooded or self.refuse(refusal, record, close=True)

    def overloaded(self, peer: str) -> Answer:
        """The answer when the gate has no room; not recorded, since it may be a flood."""
        now = self.clock()
        refusal = Refusal("overloaded", retry_after_s=1)
        return self._unrecorded(refusal, now, anonymous=False, close=True)

    def upstream_failed(self, forward: Forward, code: str, *, sent: bool) -> Answer:
        """The answer when no usable response came, in the agent's own vocabulary."""
        forward.record.reason_code = code
        retry = None if sent or code == "upgrade_unsupported" else 1
        refusal = Refusal(code, retry_after_s=retry)
        return self.render(refusal, forward.record, close=False)

    def outgrown(self, forward: Forward, *, request: bool) -> Answer:
        """The answer where a body turned out longer than a constraint allows; see `Enforcement`."""
        refusal = REQUEST_TOO_LONG if request else RESPONSE_TOO_LONG
        record = forward.record
        record.reason_code = refusal.code
        record.constraint = refusal.constraint
        return self.render(refusal, record, close=request)

    def finished(
        self, forward: Forward, status: int, bytes_out: int, outcome: str, *, sent: bool
    ) -> None:
        """Ends an exchange: settles or releases what was reserved, and records the outcome."""
        now = self.clock()
        record = forward.record
        reservation = forward.reservation
        if sent:
            # Once a byte was sent the upstream may have acted, so nothing is given back.
            if reservation is not None or record.cost_cents:
                settle(forward, self.ledger, now, status, outcome)
                if record.settled_cents:
                    self.tally.settled(record.settled_cents, record.fee_basis_points)
        else:
            if reservation is not None and reservation.open:
                self.ledger.release(reservation, now)
                record.released = True
            if forward.meter is not None:
                forward.meter.end(now, sent=False)
        self.inflight -= 1
        elapsed = now.boot - record.at.boot
        record.outcome = outcome
        record.status = status
        record.bytes_out = bytes_out
        record.ms = int(elapsed * 1000)
        if sent:
            self.tally.upstream_seconds.observe(now.boot - forward.sent_at)
        self.tally.request_seconds.observe(elapsed)
        if forward.recorded:
            self.log.append_outcome(record)

    def still_allowed(self, forward: Forward) -> bool:
        """Whether an open stream may go on: neither expired, nor revoked or stopped since."""
        return not self.killed(forward) and self.world.policy.still_allowed(
            forward.record.passport, self.keeper.trust, self.clock()
        )

    def killed(self, forward: Forward) -> bool:
        """Whether an open stream has been stopped by the operator since it began."""
        return self.stopped(forward.record) is not None

    def stopped(self, record: Record) -> Refusal | None:
        """What the kill switch says now to a request that was judged before."""
        return self.world.policy.stopped(record.action, record.passport, self.keeper.trust)

    def unpaid(self, forward: Forward) -> Answer | None:
        """The refusal for a metered exchange that has begun a minute which nobody pays for."""
        meter = forward.meter
        refusal = None if meter is None else meter.look()
        if refusal is None:
            return None
        forward.record.reason_code = refusal.code
        return self.render(refusal, forward.record, close=True)

    def refuse(
        self,
        refusal: Refusal,
        record: Record,
        *,
        close: bool = False,
        hold: dict[str, Any] | None = None,
    ) -> Answer:
        """Puts a refusal on record and renders it. Refusals never wait for the disk."""
        record.decision = "request_hold" if refusal.code == "approval_required" else "block"
        record.reason_code = refusal.code
        record.constraint = refusal.constraint
        self.tally.decided(record)
        if self.floods.refused(record.client, record.at):
            self.log.append_decision(record, None)
        return self.render(refusal, record, close=close, hold=hold)

    def allowed(self, record: Record, reservation: Reservation | None) -> None:
        """Takes note of a request that may pass, and ties its charges to its decision."""
        self.inflight += 1
        self.tally.decision_seconds.observe(self.clock().boot - record.at.boot)
        if reservation is not None:
            reservation.decision_id = record.decision_id
            record.repeated = reservation.repeated
            self.tally.charged(reservation.charges)

    def log_unavailable(self, record: Record) -> Answer:
        """The answer while no record can be kept; counted, since it cannot be written."""
        refusal = Refusal("log_unavailable", retry_after_s=1)
        record.decision = "block"
        record.reason_code = refusal.code
        self.tally.decided(record)
        return self.render(refusal, record, close=False)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs what cannot be decided at once; the set keeps the task from being collected."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def render(
        self,
        refusal: Refusal,
        record: Record,
        *,
        close: bool,
        hold: dict[str, Any] | None = None,
    ) -> Answer:
        """A refusal as an answer, in the words of the configuration in force."""
        nonces = self.world.policy.proof.nonces if refusal.wants_nonce else None
        return render(
            refusal,
            self.world.surface,
            decision_id=record.decision_id,
            anonymous=record.anonymous,
            close=close,
            nonce="" if nonces is None else nonces.current(self.clock()),
            hold=hold,
        )

    def flooded(
        self, client: str, now: Instant, *, anonymous: bool = False, close: bool = False
    ) -> Answer | None:
        """The answer for a client whose refusals come faster than they are worth verifying."""
        retry_after_s = self.floods.over(client, now)
        if retry_after_s is None:
            return None
        refusal = Refusal("rate_limited", "Too many refused requests.", retry_after_s=retry_after_s)
        return self._unrecorded(refusal, now, anonymous=anonymous, close=close)

    def _unrecorded(
        self, refusal: Refusal, now: Instant, *, anonymous: bool, close: bool
    ) -> Answer:
        """A refusal without a line of its own, for there may be a flood of them; only counted."""
        record = Record(self.ids.next(now.wall), now, reason_code=refusal.code, anonymous=anonymous)
        self.tally.decided(record)
        return self.render(refusal, record, close=close)
