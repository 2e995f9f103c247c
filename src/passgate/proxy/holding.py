"""Holding: one request that a person must approve, from its refusal to the use of the approval.

A hold reserves the request's spend and nothing else: rates count requests that pass, and this one
passes when it is sent again. Then every check runs anew; the approval satisfies holds only.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import structlog

from passgate.approvals.binding import binding
from passgate.approvals.held import APPROVED, DENIED, PENDING, Held
from passgate.core.constraints.base import Charge
from passgate.core.decision import Plan
from passgate.core.free_tier import is_free
from passgate.core.passport import Passport
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.ledger.protocol import Reservation, Taken
from passgate.proxy.preference import wait_preferred
from passgate.proxy.steps import WAIT, Answer, Step, Wait
from passgate.record import Record

if TYPE_CHECKING:
    from passgate.proxy.case import Case
    from passgate.proxy.enforcer import Enforcer

_ASK_AGAIN_S: Final = 10
_logger: Final = structlog.get_logger("passgate")


class Holding:
    """What a case has to do with holds; made for one whose plan asks for a person.

    `lines` are for the answer, each ending in CRLF. `parked` is done once nobody waits any more.
    """

    __slots__ = (
        "_approvals",
        "_case",
        "_claim",
        "_digest",
        "_enforcer",
        "_proved",
        "_record",
        "_resume",
        "lines",
        "parked",
    )

    def __init__(
        self, case: "Case", enforcer: "Enforcer", record: Record, resume: Callable[[Step], None]
    ) -> None:
        self._case = case
        self._enforcer = enforcer
        self._approvals = enforcer.approvals
        self._record = record
        self._resume = resume
        self._claim: Held | None = None
        self._proved = False
        self._digest = ""
        self.lines = b""
        self.parked: asyncio.Future[None] | None = None

    def judge(self, plan: Plan, request: Request) -> Step | None:
        """Check 15. None where the grant that was claimed is for this very request: it goes on."""
        case = self._case
        passport = plan.passport
        assert passport is not None, "nobody else is held"
        if not self._enforcer.log.healthy:
            return self._unrecordable()
        unproven = self._prove(plan)
        if unproven is not None:
            return unproven
        self._digest = digest = binding(request, plan, passport)
        claim = self._claim
        if claim is not None:
            if claim.digest != digest:  # what it costs was changed by a reload, say
                return self._refuse(_required(plan))
            self._record.facts |= {"hold": claim.id, "approver": claim.approver}
            return None
        approvals = self._approvals
        held = approvals.find(digest, case.now)
        if held is not None:
            if held.state == DENIED:
                return self._denied(held)
            if approvals.is_busy(held) or (held.state == PENDING and not self._may_wait(request)):
                return self._pending(held, plan)
        self._enforcer.spawn(self._run(lambda: self._ask(plan, request, passport)))
        return WAIT

    def owed(self, plan: Plan) -> tuple[Charge, ...]:
        """What is still to be charged for this request.

        What was reserved for its hold is given back, and is part of it again. Its proof of
        possession has been taken when it was held.
        """
        if self._claim is not None:
            self._approvals.let_go(self._claim, self._case.now)
        proven = plan.proven
        if proven is None or not self._proved:
            return plan.charges
        return tuple([charge for charge in plan.charges if charge is not proven.charge])

    def _prove(self, plan: Plan) -> Step | None:
        """Takes the proof of possession: who repeats it, now or after the approval, is refused."""
        proven = plan.proven
        if proven is None or self._proved:
            return None
        ledger = self._enforcer.ledger
        taken = ledger.reserve((proven.charge,), self._case.now)
        if isinstance(taken, Awaitable):
            self._enforcer.spawn(self._run(lambda: self._prove_later(taken)))
            return WAIT
        return self._taken(taken)

    async def _prove_later(self, taken: Awaitable[Taken]) -> Step:
        refused = self._taken(await taken)
        return self._case.judge_anew() if refused is None else refused

    def _taken(self, taken: Taken) -> Answer | None:
        if not isinstance(taken, Reservation):
            return self._case.short_of(taken)
        self._enforcer.ledger.settle(taken, None, self._case.now)
        self._proved = True
        return None

    def spent(self) -> None:
        """This request is charged and on record as allowed."""
        claim = self._claim
        if claim is not None:
            self._claim = None
            self._approvals.spent(claim, self._case.now)

    async def end(self) -> None:
        """This request was refused: a grant that it claimed stays for the next."""
        claim = self._claim
        if claim is not None:
            self._claim = None
            await self._approvals.unclaim(claim, self._case.now)

    def abandon(self) -> None:
        """The client is gone: nobody is left to wait."""
        parked = self.parked
        if parked is not None and not parked.done():
            parked.set_result(None)

    async def _run(self, work: Callable[[], Awaitable[Step]]) -> None:
        """Goes on with the step that `work` comes to; whatever it raises becomes a 500."""
        case = self._case
        failure: Exception | None = None
        step: Step = WAIT
        try:
            step = await work()
        except Exception as error:
            failure = error
        if failure is not None:
            _logger.error("internal_error", decision_id=self._record.decision_id, exc_info=failure)
            step = case.failed()
        if not isinstance(step, Wait):
            await self.end()
            self._resume(step)

    async def _ask(self, plan: Plan, request: Request, passport: Passport) -> Step:
        """What the hold of this request comes to: opened, waited for, or its grant used."""
        case = self._case
        approvals = self._approvals
        held = approvals.find(self._digest, case.now)
        if held is None:
            opened = await self._open(plan, request, passport)
            if not isinstance(opened, Held):
                return opened
            held = opened
        elif held.state == APPROVED and not approvals.is_busy(held):
            return await self._use(held)
        if held.state == PENDING and self._may_wait(request):
            return await self._park(held, plan, wait_preferred(request.headers))
        return self._pending(held, plan) if held.state == PENDING else case.judge_anew()

    async def _open(self, plan: Plan, request: Request, passport: Passport) -> Held | Step:
        case = self._case
        approvals = self._approvals
        if not approvals.room_for(passport.issuer, passport.id, case.now):
            return self._refuse(
                Refusal(
                    "rate_limited",
                    "Too many requests wait for a person.",
                    retry_after_s=_ASK_AGAIN_S,
                )
            )
        charges = plan.charges
        # What may come to nothing, as a free call, is charged when it passes and not before.
        priced = () if is_free(charges) else charges
        spend = tuple([charge for charge in priced if charge.kind == "spend" and charge.amount])
        reservation: Reservation | None = None
        if spend:
            case.move_on()
            answer = self._enforcer.ledger.reserve(spend, case.now)
            taken = await answer if isinstance(answer, Awaitable) else answer
            if not isinstance(taken, Reservation):
                return case.short_of(taken)
            reservation = taken
            found = approvals.find(self._digest, case.now)
            if found is not None:  # the same request was faster
                self._enforcer.ledger.release(taken, case.now)
                return found
        fields = _fields(plan, request, passport, approvals.settings.preview_bytes)
        record = self._record
        fields |= {
            "digest": self._digest,
            "decision_id": record.decision_id,
            "client": record.client,
            "target": record.target,
        }
        held = await approvals.open(fields, reservation, case.now)
        return self._unrecordable() if held is None else held

    async def _use(self, held: Held) -> Step:
        """Claims the grant, and judges the request anew with it."""
        case = self._case
        if not await self._approvals.claim(held, case.now):
            return self._unrecordable()
        self._claim = held
        if case.gone:
            await self.end()
            return WAIT
        return case.judge_anew()

    async def _park(self, held: Held, plan: Plan, seconds: int) -> Step:
        """Waits for a person, then judges the request anew."""
        case = self._case
        self.parked = asyncio.get_running_loop().create_future()
        room = await self._approvals.wait(held, seconds, self.parked)
        if case.gone:
            return WAIT
        if not room:
            too_many = Refusal(
                "rate_limited", "Too many requests wait.", retry_after_s=_ASK_AGAIN_S
            )
            return self._refuse(too_many, self._told(held))
        self.lines = b"Preference-Applied: wait=%d\r\n" % seconds
        return case.judge_anew()

    def _may_wait(self, request: Request) -> bool:
        """Whether this request is to wait for a person; once is enough."""
        return self.parked is None and wait_preferred(request.headers) > 0

    def _pending(self, held: Held, plan: Plan) -> Answer:
        case = self._case
        left = held.left_s(case.now)
        refusal = replace(_required(plan), retry_after_s=min(_ASK_AGAIN_S, left))
        self._record.facts["hold"] = held.id
        return self._refuse(refusal, self._told(held))

    def _denied(self, held: Held) -> Answer:
        case = self._case
        refusal = Refusal(
            "approval_denied",
            held.reason,
            held.constraint,
            retry_after_s=held.left_s(case.now),
        )
        self._record.facts["hold"] = held.id
        return self._refuse(refusal, self._told(held))

    def _refuse(self, refusal: Refusal, hold: dict[str, Any] | None = None) -> Answer:
        return self._with_lines(self._enforcer.refuse(refusal, self._record, hold=hold))

    def _unrecordable(self) -> Answer:
        """Nothing is held, and no approval used, that could not be put on record."""
        self._enforcer.log.count_unrecorded()
        return self._enforcer.log_unavailable(self._record)

    def _with_lines(self, answer: Answer) -> Answer:
        return replace(answer, headers=answer.headers + self.lines) if self.lines else answer

    def _told(self, held: Held) -> dict[str, Any]:
        """What the agent is told about where its request is."""
        prefix = self._case.world.policy.agent_prefix
        return {
            "id": held.id,
            "status_url": f"{prefix}/holds/{held.id}",
            "expires_at": held.expires_at,
        }


def _required(plan: Plan) -> Refusal:
    hold = plan.hold
    assert hold is not None
    return Refusal("approval_required", hold.detail, constraint=hold.constraint, retry_after_s=1)


def _fields(plan: Plan, request: Request, passport: Passport, preview: int) -> dict[str, Any]:
    """What a hold keeps of its request, for the person and for the record."""
    body = request.body
    facts = plan.facts
    hold = plan.hold
    assert body is not None
    assert hold is not None
    amount = ""
    if facts.amount is not None:
        digits, scale = facts.amount
        text = str(digits).rjust(scale + 1, "0")
        amount = f"{text[:-scale]}.{text[-scale:]}" if scale else text
    return {
        "issuer": passport.issuer,
        "passport_id": passport.id,
        "agent": passport.agent,
        "action": plan.action,
        "method": request.method,
        "host": request.host,
        "constraint": hold.constraint,
        "detail": hold.detail,
        "cost_cents": facts.cost_cents,
        "amount": amount,
        "vendor": facts.vendor,
        "resource": facts.resource,
        "domain": facts.domain,
        "currency": facts.currency,
        "content_type": request.sorted.content_type[:256].decode("latin-1"),
        "body_bytes": len(body),
        "body_sha256": sha256(body).hexdigest(),
        "requested_bytes": len(request.target),
        "requested": request.target[:preview],
        "body": body[:preview],
    }
