"""explain(): every numbered check with its outcome, by the same functions that decide."""

from dataclasses import dataclass
from typing import NamedTuple

from passgate.core.anonymous import judge_anonymous, judge_hold, judge_price
from passgate.core.catalog import check_catalog
from passgate.core.constraints import Compiled
from passgate.core.constraints.base import Hold
from passgate.core.decision import (
    Plan,
    check_pins,
    derive,
    free_call,
    judge_lineage,
    lacks_body,
    owed_by_address,
    terms_of,
)
from passgate.core.declared import read_facts, with_presenter
from passgate.core.facts import Facts
from passgate.core.free_tier import with_free
from passgate.core.instant import Instant
from passgate.core.once import once_of
from passgate.core.passport import Passport
from passgate.core.policy import DENY, Policy
from passgate.core.possession import judge_possession
from passgate.core.presented import choose_credential
from passgate.core.pricing import priced_by
from passgate.core.proof import Proven
from passgate.core.reasons import Refusal
from passgate.core.references import resolve
from passgate.core.request import Request
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import (
    check_audience,
    check_kills,
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


_ACTION_UNKNOWN = Refusal("action_unknown")


@dataclass(frozen=True, slots=True)
class Checked:
    """One row of an explanation: `outcome` is `ok`, `refused`, `held`, `skipped` or `open`.

    `open` is what cannot be known from here: counters, the upstream, and what a body says that is
    not there. Rows stand in the order of the decision; the first that is `refused` decides.
    """

    number: int
    name: str
    outcome: str
    code: str = ""
    detail: str = ""
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be decided, and every check on the way there.

    `plan` says the same as that of `decide`: its refusal, its hold, whether it needs the body. It
    may know more, because an explanation goes on after a refusal.
    """

    plan: Plan
    checks: tuple[Checked, ...]


class _Given(NamedTuple):
    """Facts that stand in for a request's own, whether their cost is among them, and a proof."""

    facts: Facts
    priced: bool
    proven: bool = False


def explain(
    request: Request,
    policy: Policy,
    trust: Trust,
    now: Instant,
    *,
    action: str = "",
    facts: Facts | None = None,
    priced: bool = True,
    proven: bool = False,
) -> Explanation:
    """Every check of `request`, also those after the first refusal as far as they can be known.

    `action` and `facts` stand in for what the route would say, for a dry run without a request
    body, without a price where they are not `priced`: then the catalog's counts. A dry run cannot
    prove what it only asks about: `proven` says that the question itself was. An action that no
    request can be is unknown. Charges are listed by the plan and not taken.
    """
    rows = _Rows()
    plan = Plan(presented=bool(request.sorted.presented))
    rows.add(1)
    given = None if facts is None else _Given(facts, priced, proven)
    _explain(rows, plan, request, policy, trust, now, action, given)
    plan.refusal = rows.first
    plan.needs_body = rows.waits and plan.refusal is None
    return Explanation(plan, tuple(rows.rows))


def _explain(
    rows: "_Rows",
    plan: Plan,
    request: Request,
    policy: Policy,
    trust: Trust,
    now: Instant,
    action: str,
    facts: _Given | None,
) -> None:
    if action:
        plan.action = action
        rows.add(2, None if _exists(action, policy) else _ACTION_UNKNOWN, f"given: {action}")
    else:
        matched = policy.action_of(request)
        if isinstance(matched, Refusal):
            rows.add(2, matched)
        else:
            plan.action, plan.route, plan.params = matched
            rows.add(2, None, plan.action)
    if rows.first is not None:
        rows.skip(3, 17)
        return
    # The part of check 9 that asks for no credential is judged here.
    rows.add_if(9, trust.kills.judge_action(plan.action))
    credential = choose_credential(request.sorted.presented)
    if isinstance(credential, Refusal):
        rows.add(3, credential)
        rows.skip(4, 17)
    elif credential is None:
        _explain_anonymous(rows, plan, request, policy, now, facts)
    else:
        plan.credential = credential.text
        found = resolve(credential.text, trust, now) if credential.referred else credential
        if isinstance(found, Refusal):
            rows.add(3, found)
            rows.skip(4, 17)
        else:
            rows.add(3, None, "one passport, by its id" if credential.referred else "one passport")
            _explain_passport(rows, plan, found.text, request, policy, trust, now, facts)


def _exists(action: str, policy: Policy) -> bool:
    """Whether any request can be this action."""
    return policy.default_action != DENY or any(
        route.action == action for route in policy.routes.routes
    )


def _declared(
    plan: Plan, request: Request, policy: Policy, compiled: Compiled, given: _Given | None
) -> Facts | Refusal | None:
    """What the request declares; None where only its body, which is not there, could say it."""
    plan.terms = terms_of(policy, plan.action, plan.passport)
    if given is not None:
        return given.facts if given.priced else priced_by(plan.terms, given.facts)
    lacking = lacks_body(plan, request, compiled)
    if lacking:
        return lacking if isinstance(lacking, Refusal) else None
    return read_facts(plan.route, request, plan.params, plan.terms)


def _explain_anonymous(
    rows: "_Rows", plan: Plan, request: Request, policy: Policy, now: Instant, given: _Given | None
) -> None:
    plan.access = "anonymous"
    rates = judge_anonymous(request, plan.action, policy.anonymous)
    if isinstance(rates, Refusal):
        rows.add(3, rates)
        rows.skip(4, 17)
        return
    rows.add(3, None, "none presented: the anonymous tier")
    rows.skip(4, 11)
    refusal = check_catalog({}, policy.gate_id, policy.catalog, plan.action)
    rows.add(12, refusal, _catalog_of(policy, None))
    compiled = owed_by_address(request, plan.action, policy)
    facts = _declared(plan, request, policy, compiled, given)
    if not isinstance(facts, Facts):
        rows.stop(facts)
        return
    plan.facts = facts
    rows.add(13, judge_price(plan.action, facts), "free of charge")
    _explain_owed(rows, plan, compiled, request, now, ())
    plan.charges = rates + plan.charges


def _explain_passport(
    rows: "_Rows",
    plan: Plan,
    credential: str,
    request: Request,
    policy: Policy,
    trust: Trust,
    now: Instant,
    given: _Given | None,
) -> None:
    findings, passport = examine(credential, trust, policy.acceptance)
    for finding in findings:
        rows.add(finding.check, finding.refusal)
    if passport is None:
        rows.skip(findings[-1].check + 1, 17)
        return
    plan.passport = passport
    plan.access = "passport"
    issuer = trust.issuer_of(passport.issuer)
    assert issuer is not None
    plan.issuer = issuer
    rows.add(7, check_times(passport, now, policy.clock_skew_s, policy.max_lifetime_s))
    rows.add(8, check_audience(passport, policy.audience))
    rows.add(9, check_revocation(passport, issuer, now))
    rows.add_if(9, check_kills(passport, trust.kills))
    depth = len(passport.chain)
    rows.add(10, passport.flaw, f"below {depth} others" if depth else "no chain")
    _explain_proof(rows, plan, request, passport, issuer, policy, now, given)
    rows.add(
        12,
        check_catalog(passport.pins, policy.gate_id, policy.catalog, plan.action, issuer.tier)
        or check_pins(passport, policy),
        _catalog_of(policy, passport),
    )
    derived = derive(passport, issuer, plan.action, policy, request.client)
    if derived.compiled is None:
        rows.add(13, derived.denied)
        rows.skip(14, 17)
        return
    facts = _declared(plan, request, policy, derived.compiled, given)
    if not isinstance(facts, Facts):
        rows.stop(facts)
        return
    plan.facts = facts = with_presenter(facts, passport, _is_proven(plan, given))
    granted = judge_lineage(passport, plan.action, facts, now)
    rows.add(13, granted if isinstance(granted, Refusal) else None)
    holds = (granted,) if isinstance(granted, Hold) else ()
    _explain_owed(rows, plan, derived.compiled, request, now, holds)
    if facts.free_calls:
        plan.charges = with_free(
            plan.charges, free_call(passport, issuer, plan.action, facts, request)
        )
    if plan.proven is not None:
        plan.charges = (*plan.charges, plan.proven.charge)
    if plan.route is not None and plan.route.idempotent and given is None:
        plan.once = once_of(passport, request, plan.route, facts)


def _catalog_of(policy: Policy, passport: Passport | None) -> str:
    """Which version is in force, and whose terms count."""
    catalog = policy.catalog
    if catalog is None:
        return "no catalog: everything is offered"
    pin = None if passport is None else passport.kept_pins.get(policy.gate_id)
    agreed = catalog if pin is None else catalog.pinned(pin)
    version = f"version {catalog.version}"
    if agreed is None or agreed is catalog:
        return version
    return f"{version}, by the terms of version {agreed.version}"


def _explain_proof(
    rows: "_Rows",
    plan: Plan,
    request: Request,
    passport: Passport,
    issuer: Issuer,
    policy: Policy,
    now: Instant,
    given: _Given | None,
) -> None:
    """Check 11."""
    if given is not None:
        rows.add(11, None, "judged of the question, not of what it asks about")
        return
    proven = judge_possession(request, passport, issuer, policy.proof, now)
    if isinstance(proven, Proven):
        plan.proven = proven
        rows.add(11, None, f"by {proven.kind}; whether it was used before is seen by check 16")
    else:
        rows.add(11, proven, "none needed")


def _is_proven(plan: Plan, given: _Given | None) -> bool:
    return plan.proven is not None if given is None else given.proven


def _explain_owed(
    rows: "_Rows",
    plan: Plan,
    compiled: Compiled,
    request: Request,
    now: Instant,
    granted: tuple[Hold, ...],
) -> None:
    """Checks 14 and 15, and that 16 and 17 are open."""
    passport = plan.passport
    found = compiled.evaluate_all(
        request,
        plan.action,
        plan.facts,
        now,
        plan.issuer,
        "" if passport is None else passport.agent,
        None if passport is None else passport.oldest_at,
    )
    plan.evaluated = found.results
    plan.charges = found.charges
    plan.recalls = found.recalls
    plan.findings = found.findings
    plan.watches = compiled.watches
    plan.bounds = compiled.bounds
    for refusal in found.refusals:
        rows.add(14, refusal)
    if not found.refusals:
        rows.add(14, None, f"{len(found.results)} evaluated")
    holds = found.holds + granted
    for hold in holds:
        if plan.access == "anonymous":
            rows.add(15, judge_hold(plan.action, hold))
        else:
            rows.hold(hold)
    if holds:
        plan.hold = holds[0]
    elif plan.watches or plan.recalls:
        rows.remembered()
    else:
        rows.add(15)
    rows.open(16)


class _Rows:
    """Collects rows in the order of their numbers, and the first refusal."""

    def __init__(self) -> None:
        self.rows: list[Checked] = []
        self.first: Refusal | None = None
        self.waits = False

    def add(self, number: int, refusal: Refusal | None = None, detail: str = "") -> None:
        if refusal is None:
            self.rows.append(Checked(number, CHECKS[number], "ok", detail=detail))
            return
        self.first = self.first or refusal
        self.rows.append(
            Checked(
                number,
                CHECKS[number],
                "refused",
                refusal.code,
                refusal.detail or refusal.reason.title,
                refusal.constraint,
            )
        )

    def add_if(self, number: int, refusal: Refusal | None) -> None:
        """A row only where there is something against the request."""
        if refusal is not None:
            self.add(number, refusal)

    def stop(self, refusal: Refusal | None) -> None:
        """Bad facts refuse by check 13; where the body would say them, the rest is open."""
        if refusal is None:
            self.waits = True
            self.open(13, "depends on the body")
        else:
            self.add(13, refusal)
            self.skip(14, 17)

    def hold(self, hold: Hold) -> None:
        self.rows.append(
            Checked(15, CHECKS[15], "held", "approval_required", hold.detail, hold.constraint)
        )

    def remembered(self) -> None:
        """Only the running gate knows paces and counterparties."""
        detail = "depends on what the gate remembers"
        self.rows.append(Checked(15, CHECKS[15], "open", detail=detail))

    def skip(self, first: int, last: int) -> None:
        self.rows += [
            Checked(number, CHECKS[number], "skipped") for number in range(first, last + 1)
        ]

    def open(self, first: int, detail: str = "") -> None:
        self.rows += [
            Checked(number, CHECKS[number], "open", detail=detail) for number in range(first, 18)
        ]
