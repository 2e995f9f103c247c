"""explain(): every numbered check with its outcome, by the same functions that decide."""

from dataclasses import dataclass

from passgate.core.anonymous import judge_anonymous
from passgate.core.catalog import check_catalog
from passgate.core.constraints.base import Hold
from passgate.core.decision import Plan, derive, needs_body, price_of
from passgate.core.declared import read_facts
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.permissions import judge_grants
from passgate.core.policy import Policy
from passgate.core.presented import choose_credential
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import (
    check_audience,
    check_revocation,
    check_times,
    examine,
)

CHECKS = {
    1: "request",
    2: "action",
    3: "credential",
    4: "shape",
    5: "issuer",
    6: "signature",
    7: "times",
    8: "audience",
    9: "revocation",
    10: "chain",
    11: "proof",
    12: "catalog",
    13: "permission",
    14: "constraints",
    15: "approval",
    16: "charges",
    17: "upstream",
}
"""The numbered checks; documents and code use the same numbers."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One row of an explanation: `outcome` is `ok`, `refused`, `held`, `skipped` or `open`.

    `open` is what only the running gate can tell: counters and the upstream.
    """

    number: int
    name: str
    outcome: str
    code: str = ""
    detail: str = ""
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be decided, and every check on the way there."""

    plan: Plan
    checks: tuple[Checked, ...]


def explain(
    request: Request,
    policy: Policy,
    trust: Trust,
    now: Instant,
    *,
    action: str = "",
    facts: Facts | None = None,
) -> Explanation:
    """Every check of `request`, also those after the first refusal as far as they can be known.

    `action` and `facts` stand in for what the route would say, for a dry run without a request
    body. Charges are listed by the plan and not taken.
    """
    rows = _Rows()
    rows.add(1)
    matched = policy.action_of(request)
    route = None
    params: dict[str, str] = {}
    if action:
        rows.add(2, None, f"given: {action}")
    elif isinstance(matched, Refusal):
        rows.add(2, matched)
        rows.skip(3, 17)
        return Explanation(Plan(refusal=matched), rows.done())
    else:
        action, route, params = matched
        rows.add(2, None, action)
    plan = Plan(action=action, route=route, params=params)
    credential = choose_credential(request.sorted.presented)
    plan.presented = credential is not None
    if isinstance(credential, Refusal):
        rows.add(3, credential)
        rows.skip(4, 17)
        plan.refusal = credential
        return Explanation(plan, rows.done())
    if facts is None and not (needs_body(route) and request.body is None):
        read = read_facts(route, request, params, price_of(policy, action))
        if isinstance(read, Refusal):
            rows.replace(1, read)
        else:
            facts = read
    plan.facts = facts if facts is not None else Facts()
    if credential is None:
        _explain_anonymous(rows, plan, request, policy)
    else:
        plan.credential = credential
        _explain_passport(rows, plan, request, policy, trust, now)
    checks = rows.done()
    plan.refusal = rows.first
    return Explanation(plan, checks)


def _explain_anonymous(rows: "_Rows", plan: Plan, request: Request, policy: Policy) -> None:
    plan.access = "anonymous"
    judged = judge_anonymous(
        request, plan.action, policy.anonymous, priced=plan.facts.cost_cents > 0
    )
    if isinstance(judged, Refusal):
        rows.add(3, judged)
        rows.skip(4, 17)
        return
    rows.add(3, None, "none presented: the anonymous tier")
    rows.skip(4, 11)
    rows.add(12, check_catalog({}, policy.gate_id, policy.catalog, plan.action))
    rows.skip(13, 13)
    plan.charges = judged
    rows.open()


def _explain_passport(
    rows: "_Rows", plan: Plan, request: Request, policy: Policy, trust: Trust, now: Instant
) -> None:
    rows.add(3, None, "one passport")
    findings, passport = examine(plan.credential, trust, policy.acceptance)
    for finding in findings:
        rows.add(finding.check, finding.refusal)
    if passport is None:
        rows.skip(findings[-1].check + 1, 17)
        return
    plan.passport = passport
    plan.access = "passport"
    issuer: Issuer = trust.issuers[passport.issuer]
    plan.issuer = issuer
    rows.add(7, check_times(passport, now, policy.clock_skew_s, policy.max_lifetime_s))
    rows.add(8, check_audience(passport, policy.audience))
    rows.add(9, check_revocation(passport, issuer, now))
    rows.add(10, None, "no chain: this version refuses them by check 4")
    rows.add(11, None, "no proof needed: key-bound passports are refused by check 4")
    rows.add(
        12, check_catalog(passport.pins, policy.gate_id, policy.catalog, plan.action, issuer.tier)
    )
    derived = derive(passport, issuer, plan.action, policy)
    if derived.compiled is None:
        rows.add(13, derived.denied)
        rows.skip(14, 17)
        return
    granted = judge_grants(passport.grants, plan.action, plan.facts, now)
    rows.add(13, granted if isinstance(granted, Refusal) else None)
    found = derived.compiled.evaluate_all(request, plan.action, plan.facts, now)
    plan.evaluated = found.results
    plan.charges = found.charges
    for refusal in found.refusals:
        rows.add(14, refusal)
    if not found.refusals:
        rows.add(14, None, f"{len(found.results)} evaluated")
    holds = found.holds + ((granted,) if isinstance(granted, Hold) else ())
    if holds:
        plan.hold = holds[0]
    for hold in holds:
        rows.hold(hold)
    if not holds:
        rows.add(15)
    rows.open()


class _Rows:
    """Collects rows in the order of their numbers, and the first refusal."""

    def __init__(self) -> None:
        self._rows: list[Checked] = []
        self._refusals: list[tuple[int, Refusal]] = []

    @property
    def first(self) -> Refusal | None:
        """The refusal that decides: that of the lowest check, and the first of that."""
        return min(self._refusals, key=lambda found: found[0])[1] if self._refusals else None

    def add(self, number: int, refusal: Refusal | None = None, detail: str = "") -> None:
        if refusal is None:
            self._rows.append(Checked(number, CHECKS[number], "ok", detail=detail))
            return
        self._refusals.append((number, refusal))
        self._rows.append(
            Checked(
                number,
                CHECKS[number],
                "refused",
                refusal.code,
                refusal.detail or refusal.reason.title,
                refusal.constraint,
            )
        )

    def replace(self, number: int, refusal: Refusal) -> None:
        self._rows = [row for row in self._rows if row.number != number]
        self.add(number, refusal)

    def hold(self, hold: Hold) -> None:
        self._rows.append(
            Checked(15, CHECKS[15], "held", "approval_required", hold.detail, hold.constraint)
        )

    def skip(self, first: int, last: int) -> None:
        self._rows += [
            Checked(number, CHECKS[number], "skipped") for number in range(first, last + 1)
        ]

    def open(self) -> None:
        self._rows += [Checked(number, CHECKS[number], "open") for number in (16, 17)]

    def done(self) -> tuple[Checked, ...]:
        return tuple(sorted(self._rows, key=lambda row: row.number))
