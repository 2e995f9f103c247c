"""decide() -> Plan, conclude() -> Decision: the numbered checks, in their order.

Everything here is a pure function of the request and of what is handed in. `decide` stops at the
first refusal; `passgate.core.explanation` calls the same checks and collects every outcome. The
numbers are those of `docs/concepts/checks.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from passgate.core.anonymous import judge_anonymous, judge_hold, judge_price
from passgate.core.catalog import CatalogEntry, check_catalog, offered_to
from passgate.core.constraints import Compiled, Owed, compile_owed, merge
from passgate.core.constraints.base import (
    Bounds,
    Charge,
    ConstraintSet,
    Finding,
    Hold,
    Recall,
    Watch,
)
from passgate.core.constraints.subjects import (
    subject_of_address,
    subject_of_agent,
    subject_of_catalog,
    subject_of_passport,
    subject_of_permission,
)
from passgate.core.declared import read_facts, with_presenter
from passgate.core.facts import NO_FACTS, Facts
from passgate.core.free_tier import free_charge, with_free
from passgate.core.instant import Instant
from passgate.core.once import Once, once_of, read_key
from passgate.core.passport import CatalogPin, Passport
from passgate.core.permissions import covering, judge_catch_all, judge_grants
from passgate.core.policy import Mark, Policy
from passgate.core.possession import judge_possession
from passgate.core.pricing import NO_TERMS, Terms
from passgate.core.proof import BOUND, Proven
from passgate.core.reasons import Refusal
from passgate.core.references import resolve
from passgate.core.request import Request
from passgate.core.routes import Route
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import (
    check_audience,
    check_kills,
    check_revocation,
    check_times,
    verify,
)
from passgate.core.verified_cache import VerifiedCache

_MAX_MEMO: Final = 64
_OWN_PIN: Final = Refusal(
    "catalog_mismatch", "A delegated passport is pinned to another catalog than its root."
)
_NO_PINS: Final[Mapping[str, CatalogPin]] = {}


@dataclass(init=False, slots=True)
class Plan:
    """What the core makes of one request before anything is counted or forwarded.

    With a `refusal` the request is refused. Otherwise, with `needs_body`, it is to be decided again
    once the body is in the request. Otherwise, with a `hold`, a person must approve first.
    Otherwise it may pass if all of `charges` can be reserved. `presented` says that a credential
    was there, so that the request never counts as anonymous; `access` is `passport` only with a
    verified one. `terms` are what the catalog asks for the action, `once` is the operation that an
    idempotency key makes of it.

    Beside it stands what cannot be known here. With `watches` or `recalls` what remembers paces and
    counterparties is to be asked before the request passes or is held; it leaves `marks`, which are
    charged besides `charges` once the request is allowed, and never while it is held. `bounds` are
    the most bytes of both bodies, and `findings` what the request's body holds; one with a body is
    to be judged again with it in the request's.
    """

    action: str
    route: Route | None
    params: Mapping[str, str]
    presented: bool
    credential: str
    access: str
    passport: Passport | None
    issuer: Issuer | None
    terms: Terms
    facts: Facts
    charges: tuple[Charge, ...]
    evaluated: tuple[tuple[str, str], ...]
    hold: Hold | None
    refusal: Refusal | None
    needs_body: bool
    watches: tuple[Watch, ...]
    recalls: tuple[Recall, ...]
    bounds: Bounds | None
    proven: Proven | None
    findings: tuple[Finding, ...]
    once: Once | None
    marks: tuple[Charge, ...]

    def __init__(
        self,
        action: str = "",
        route: Route | None = None,
        params: Mapping[str, str] | None = None,
        presented: bool = False,
        credential: str = "",
        access: str = "none",
        passport: Passport | None = None,
        issuer: Issuer | None = None,
        terms: Terms = NO_TERMS,
        facts: Facts = NO_FACTS,
        charges: tuple[Charge, ...] = (),
        evaluated: tuple[tuple[str, str], ...] = (),
        hold: Hold | None = None,
        refusal: Refusal | None = None,
        needs_body: bool = False,
        watches: tuple[Watch, ...] = (),
        recalls: tuple[Recall, ...] = (),
        bounds: Bounds | None = None,
        proven: Proven | None = None,
        findings: tuple[Finding, ...] = (),
        once: Once | None = None,
        marks: tuple[Charge, ...] = (),
    ) -> None:
        self.action = action
        self.route = route
        self.params = {} if params is None else params
        self.presented = presented
        self.credential = credential
        self.access = access
        self.passport = passport
        self.issuer = issuer
        self.terms = terms
        self.facts = facts
        self.charges = charges
        self.evaluated = evaluated
        self.hold = hold
        self.refusal = refusal
        self.needs_body = needs_body
        self.watches = watches
        self.recalls = recalls
        self.bounds = bounds
        self.proven = proven
        self.findings = findings
        self.once = once
        self.marks = marks

    def credential_digest(self) -> str:
        """The hex SHA-256 of the credential as presented: all that is kept of a bad one."""
        return sha256(self.credential.encode("latin-1", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Decision:
    """The word that counts, `allow`, `block` or `request_hold`, and the refusal if it is a no."""

    decision: str
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from one passport and one action under one policy, whatever the request says.

    `mark` is the policy's own. `offered` is the catalog's entry whose terms count: see `offer_of`.
    """

    mark: Mark
    ceiling: tuple[str, ...]
    issuer_constraints: ConstraintSet
    catch_all: bool
    denied: Refusal | None
    compiled: Compiled | None
    offered: CatalogEntry | None = None


def decide(
    request: Request,
    policy: Policy,
    trust: Trust,
    now: Instant,
    cache: VerifiedCache | None = None,
) -> Plan:
    """Judges one request by checks 2 to 15; 16 is the ledger's, and `conclude` puts them together.

    `policy`, `trust` and `now` are one snapshot each, so that no reload can mix two worlds.
    """
    plan = Plan()
    # (2) the action
    matched = policy.action_of(request)
    if isinstance(matched, Refusal):
        plan.refusal = matched
        plan.presented = bool(request.sorted.presented)
        return plan
    action, route, plan.params = matched
    plan.action = action
    plan.route = route
    # (9) the part of the kill switch that asks for no credential
    kills = trust.kills
    if kills.active:
        stopped = kills.judge_action(action)
        if stopped is not None:
            plan.refusal = stopped
            plan.presented = bool(request.sorted.presented)
            return plan
    # (3) the credential: none, exactly one, or too many
    credential = request.sorted.credential
    if credential is None:
        _decide_anonymous(plan, request, policy, now)
        return plan
    plan.presented = True
    if isinstance(credential, Refusal):
        plan.refusal = credential
        return plan
    plan.credential = credential.text
    referred = credential.referred
    if referred:
        found = resolve(credential.text, trust, now)
        if isinstance(found, Refusal):
            plan.refusal = found
            return plan
        credential = found
    # (4) shape, (5) issuer, (6) signature
    passport = verify(credential, trust, policy.acceptance, cache)
    if isinstance(passport, Refusal):
        plan.refusal = passport
        return plan
    plan.access = "passport"
    plan.passport = passport
    issuer = trust.issuer_of(passport.issuer)
    assert issuer is not None
    plan.issuer = issuer
    refusal = (
        # (7) times
        check_times(passport, now, policy.clock_skew_s, policy.max_lifetime_s)
        # (8) audience
        or check_audience(passport, policy.audience)
        # (9) revocation and freshness
        or check_revocation(passport, issuer, now)
        or (check_kills(passport, kills) if kills.active else None)
        # (10) chain, judged when it was verified
        or passport.flaw
        # (11) proof of possession
        or _prove(plan, request, passport, issuer, policy, now, referred)
        # (12) catalog
        or check_catalog(passport.pins, policy.gate_id, policy.catalog, action, issuer.tier)
        or (check_pins(passport, policy) if passport.chain else None)
    )
    if refusal is not None:
        plan.refusal = refusal
        return plan
    # (13) permission
    derived = derive(passport, issuer, action, policy, request.client)
    if derived.denied is not None:
        plan.refusal = derived.denied
        return plan
    compiled = derived.compiled
    assert compiled is not None
    if compiled.judges_body or (route is not None and (route.judges_body or route.idempotent)):
        lacking = lacks_body(plan, request, compiled)
        if lacking:
            if isinstance(lacking, Refusal):
                plan.refusal = lacking
            else:
                plan.needs_body = True
            return plan
    if derived.offered is not None:
        plan.terms = derived.offered.terms
    facts = read_facts(route, request, plan.params, plan.terms)
    if isinstance(facts, Refusal):
        plan.refusal = facts
        return plan
    plan.facts = facts = with_presenter(facts, passport, plan.proven is not None)
    granted = judge_lineage(passport, action, facts, now)
    if isinstance(granted, Refusal):
        plan.refusal = granted
        return plan
    # (14) constraints, (15) approval
    _evaluate(plan, compiled, request, now)
    if facts.free_calls and plan.refusal is None:
        plan.charges = with_free(plan.charges, free_call(passport, issuer, action, facts, request))
    if plan.proven is not None and plan.refusal is None:
        plan.charges = (*plan.charges, plan.proven.charge)
    if plan.hold is None:
        plan.hold = granted
    if route is not None and route.idempotent and plan.refusal is None:
        plan.once = once_of(passport, request, route, facts)
    return plan


def _decide_anonymous(plan: Plan, request: Request, policy: Policy, now: Instant) -> None:
    """The anonymous tier: its own policy, then the gate's and the catalog's constraints."""
    action = plan.action
    plan.access = "anonymous"
    # (3) the tier itself, before anything is read: who may not pass is not asked for a body
    rates = judge_anonymous(request, action, policy.anonymous)
    if isinstance(rates, Refusal):
        plan.refusal = rates
        return
    # (12) catalog
    refusal = check_catalog({}, policy.gate_id, policy.catalog, action)
    if refusal is not None:
        plan.refusal = refusal
        return
    compiled = owed_by_address(request, action, policy)
    lacking = lacks_body(plan, request, compiled)
    if lacking:
        if isinstance(lacking, Refusal):
            plan.refusal = lacking
        else:
            plan.needs_body = True
        return
    plan.terms = terms_of(policy, action)
    facts = read_facts(plan.route, request, plan.params, plan.terms)
    if isinstance(facts, Refusal):
        plan.refusal = facts
        return
    plan.facts = facts
    # (13) in place of a permission: nothing that costs anything
    refusal = judge_price(action, facts)
    if refusal is not None:
        plan.refusal = refusal
        return
    # (14) constraints, (15) approval
    _evaluate(plan, compiled, request, now)
    if plan.refusal is None:
        plan.refusal = judge_hold(action, plan.hold)
    if plan.refusal is None:
        plan.charges = rates + plan.charges


def owed_by_address(request: Request, action: str, policy: Policy) -> Compiled:
    """What an anonymous request owes: the gate's and the catalog's constraints, by its address."""
    owed = [(subject_of_address(request.client), policy.constraints)]
    offered = offer_of(policy, action)
    if offered is not None:
        owed.append((subject_of_address(request.client, action), offered.constraints))
    return compile_owed(owed)


def _evaluate(plan: Plan, compiled: Compiled, request: Request, now: Instant) -> None:
    passport = plan.passport
    if passport is None:
        found = compiled.evaluate(request, plan.action, plan.facts, now)
    else:
        found = compiled.evaluate(
            request,
            plan.action,
            plan.facts,
            now,
            plan.issuer,
            passport.agent,
            passport.oldest_at,
        )
    plan.evaluated = found.results
    plan.refusal = found.refusal
    plan.charges = found.charges
    plan.recalls = found.recalls
    plan.findings = found.findings
    plan.watches = compiled.watches
    plan.bounds = compiled.bounds
    if found.holds:
        plan.hold = found.holds[0]


def offer_of(policy: Policy, action: str, passport: Passport | None = None) -> CatalogEntry | None:
    """What the catalog offers `passport` for `action`: its terms are those that count.

    A passport that is pinned to an older version keeps that version's terms, with the limits of
    both. None without a catalog, and where no such thing is on offer.
    """
    pins = _NO_PINS if passport is None else passport.kept_pins
    return offered_to(pins, policy.gate_id, policy.catalog, action)


def terms_of(policy: Policy, action: str, passport: Passport | None = None) -> Terms:
    """What the catalog asks `passport` for `action`."""
    offered = offer_of(policy, action, passport)
    return NO_TERMS if offered is None else offered.terms


def free_call(
    passport: Passport, issuer: Issuer, action: str, facts: Facts, request: Request
) -> Charge:
    """The charge for one of the agent's free calls: counted by agent, so a reissue adds none.

    Whoever delegates shares its own: the agent is that of the root. Agents that issue their
    passports themselves are as many as anyone likes, so they share those of their address.
    """
    if issuer.self_issued:
        subject = subject_of_address(request.client, action)
    else:
        subject = subject_of_catalog(passport.issuer, passport.lineage[0].agent, action)
    return free_charge(subject, facts.free_calls)


def lacks_body(plan: Plan, request: Request, compiled: Compiled) -> bool | Refusal:
    """Whether the body must be there whole, and is not: a rule of the route, or one that is owed,
    reads it, or an idempotency key binds it. Refuses a key that is malformed.
    """
    route = plan.route
    key = None if route is None or not route.idempotent else read_key(request)
    if isinstance(key, Refusal):
        return key
    if request.body is not None:
        return False
    # Nobody vouches for an anonymous agent's key, so nothing is remembered under it.
    if key is not None and plan.passport is not None:
        return True
    return compiled.judges_body or (route is not None and route.judges_body)


def _prove(
    plan: Plan,
    request: Request,
    passport: Passport,
    issuer: Issuer,
    policy: Policy,
    now: Instant,
    referred: bool,
) -> Refusal | None:
    """Check 11. Nearly every request has nothing to prove, and is done with a look."""
    rules = policy.proof
    if (
        passport.holder is None
        and rules.demand == BOUND
        and not request.sorted.proving
        and not referred
    ):
        return None
    proven = judge_possession(request, passport, issuer, rules, now)
    if isinstance(proven, Refusal):
        return proven
    plan.proven = proven
    return None


def check_pins(passport: Passport, policy: Policy) -> Refusal | None:
    """Check 12 for a lineage: all are pinned as their root is, for each could name an old price.

    Below a root without a pin the catalog in force may be named: its terms count in any case.
    """
    kept = passport.kept_pins.get(policy.gate_id)
    catalog = policy.catalog
    for link in passport.lineage[1:]:
        pin = link.pins.get(policy.gate_id)
        if pin is None or pin == kept:
            continue
        if kept is not None or catalog is None or catalog.pinned(pin) is not catalog:
            return _OWN_PIN
    return None


def judge_lineage(
    passport: Passport, action: str, facts: Facts, now: Instant
) -> Refusal | Hold | None:
    """What the grants of the passport and of its ancestors say: the first no, else a hold."""
    held: Hold | None = None
    for parent in passport.chain:
        granted = judge_grants(parent.grants, action, facts, now)
        if isinstance(granted, Refusal):
            return granted
        held = held or granted
    if not passport.grants:
        return held
    granted = judge_grants(passport.grants, action, facts, now)
    return granted if isinstance(granted, Refusal) else held or granted


def derive(passport: Passport, issuer: Issuer, action: str, policy: Policy, client: str) -> Derived:
    """Permission and owed constraints of `passport` for `action`, from its memo where it holds.

    What is owed by a self-issued passport is also counted by the address of the `client`.
    """
    memo = passport.memo
    # No action has a line break in it, nor has an address.
    name = f"{action}\n{client}" if issuer.self_issued else action
    derived = memo.find(name)
    if (
        derived is not None
        and derived.mark is policy.mark
        and derived.ceiling is issuer.permissions
        and derived.issuer_constraints is issuer.constraints
        and derived.catch_all == issuer.catch_all
    ):
        return derived  # type: ignore[no-any-return]  # the memo is untyped; this key holds Derived
    owed: list[Owed] = []
    denied = judge_catch_all(passport.permissions, allowed=issuer.catch_all)
    denied = denied or _owe(owed, passport, issuer, action, policy)
    for parent in passport.chain:
        # What a child spends, everyone spends who delegated to it.
        denied = denied or _owe(owed, parent, issuer, action, policy)
    if issuer.self_issued:
        _owe_by_address(owed, issuer, action, policy, client)
    derived = Derived(
        policy.mark,
        issuer.permissions,
        issuer.constraints,
        issuer.catch_all,
        denied,
        compile_owed(owed) if denied is None else None,
        offer_of(policy, action, passport) if denied is None else None,
    )
    memo.keep_again(name, derived, _MAX_MEMO)
    return derived


def _owe(
    owed: list[Owed], link: Passport, issuer: Issuer, action: str, policy: Policy
) -> Refusal | None:
    """Adds what one link of a lineage owes for `action`; or why it may not do it at all."""
    entries = covering(link.permissions, issuer.permissions, action)
    if isinstance(entries, Refusal):
        return entries
    # Whoever owes nothing needs no name: making one takes longer than finding that out.
    common = merge(policy.constraints, issuer.constraints)
    if common:
        owed.append((subject_of_agent(link.issuer, link.agent), common))
    delegated = bool(link.chain)
    if link.constraints:
        subject = subject_of_passport(link.issuer, link.id, delegated=delegated)
        owed.append((subject, link.constraints))
    for entry in entries:
        if entry.constraints:
            subject = subject_of_permission(
                link.issuer, link.id, entry.pattern, delegated=delegated
            )
            owed.append((subject, entry.constraints))
    offered = offer_of(policy, action, link)
    if offered is not None and offered.constraints:
        subject = subject_of_catalog(link.issuer, link.agent, action)
        owed.append((subject, offered.constraints))
    return None


def _owe_by_address(
    owed: list[Owed], issuer: Issuer, action: str, policy: Policy, client: str
) -> None:
    """Adds what all self-issued passports of one address owe together, with anonymous requests."""
    common = merge(policy.constraints, issuer.constraints)
    if common:
        owed.append((subject_of_address(client), common))
    offered = offer_of(policy, action)
    if offered is not None and offered.constraints:
        owed.append((subject_of_address(client, action), offered.constraints))


_ALLOW: Final = Decision("allow", None)


def conclude(plan: Plan, short: Refusal | None) -> Decision:
    """The decision, from the plan and from what check 16 had against its charges."""
    refusal = plan.refusal
    if refusal is not None:
        return Decision("block", refusal)
    hold = plan.hold
    if hold is not None:
        held = Refusal("approval_required", hold.detail, constraint=hold.constraint)
        return Decision("request_hold", held)
    if short is not None:
        return Decision("block", short)
    return _ALLOW
