"""Evaluation: in order, the first block ends it, a hold is remembered, charges are only named."""

from typing import Any

import pytest
from tests.support.asked import asked

from passgate.core.constraints import (
    CONSTRAINTS,
    compile_owed,
    parse_constraints,
    refusal_for,
)
from passgate.core.constraints.base import (
    UNBOUNDED,
    Bounds,
    Charge,
    Constraint,
    ConstraintSet,
    Finding,
    Hold,
    Outcome,
    Recall,
    Watch,
)
from passgate.core.constraints.evaluation import Compiled, Evaluated
from passgate.core.constraints.subjects import subject_of_agent, subject_of_passport
from passgate.core.facts import NO_FACTS, Facts
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.core.request import Request

PASSPORT = subject_of_passport("iss", "p1")
AGENT = subject_of_agent("iss", "bot")
NOW = Instant(1_772_452_800.0, 1000.0)

MINUTE = "core:rate:max_per_minute"
CUMULATIVE = "core:cost:max_cumulative"
READ_ONLY = "core:data:read_only"
REQUIRED = "core:approval:required"
ACTIONS = "core:scope:action_blocklist"


def compiled(*owed: tuple[str, dict[str, object]]) -> Compiled:
    return compile_owed([(subject, parse_constraints(mapping)) for subject, mapping in owed])


def evaluated(
    plan: Compiled,
    request: Request | None = None,
    action: str = "api:search",
    facts: Facts = NO_FACTS,
) -> Evaluated:
    return plan.evaluate(request or asked(), action, facts, NOW)


def test_nothing_owed_is_nothing_said() -> None:
    """No constraints: no refusal, no hold, no charge, no result."""
    assert evaluated(compile_owed([])) == Evaluated(None, (), (), ())


def test_what_only_counts_costs_nothing_per_request() -> None:
    """Without a constraint that looks at the request every answer is the same prepared one."""
    plan = compiled(
        (PASSPORT, {MINUTE: 5, "core:rate:max_total": 9, "core:sla:response_time_ms": 1})
    )

    assert evaluated(plan) is evaluated(plan, asked(method="POST"), facts=Facts(cost_cents=7))
    assert evaluated(plan) == Evaluated(
        None,
        (),
        (
            Charge(f"rate/60/{PASSPORT}", "rate", 60, 1, 5, MINUTE),
            Charge(f"total/total/{PASSPORT}", "total", "total", 1, 9, "core:rate:max_total"),
        ),
        (
            (MINUTE, "charge"),
            ("core:rate:max_total", "charge"),
            ("core:sla:response_time_ms", "term"),
        ),
    )


def test_the_first_block_in_the_order_ends_it() -> None:
    """Of two that block, the one with the lower number speaks, wherever it was written."""
    plan = compiled((PASSPORT, {READ_ONLY: True}), (AGENT, {ACTIONS: ["*"], MINUTE: 5}))

    found = evaluated(plan, asked(method="POST"))

    assert found.refusal is not None
    assert found.refusal.constraint == ACTIONS
    assert found == Evaluated(found.refusal, (), (), ((ACTIONS, "block"),))


def test_a_block_beats_a_hold_that_came_before() -> None:
    """With a refusal there is neither hold nor charge, and the results say what happened."""
    plan = compiled((PASSPORT, {REQUIRED: True, READ_ONLY: True, MINUTE: 5}))

    found = evaluated(plan, asked(method="POST"))

    assert found.refusal == Refusal(
        "constraint_violated", "The request would write, and may only read.", READ_ONLY
    )
    assert (found.holds, found.charges) == ((), ())
    assert found.results == ((MINUTE, "charge"), (REQUIRED, "hold"), (READ_ONLY, "block"))


def test_every_hold_is_remembered_with_its_charges() -> None:
    """Holds come in order, and the charges are those of the request when it is approved."""
    plan = compiled(
        (
            PASSPORT,
            {REQUIRED: True, "core:cost:approval_threshold": 5, CUMULATIVE: 100, READ_ONLY: True},
        )
    )

    found = evaluated(plan, facts=Facts(cost_cents=6))

    assert found.refusal is None
    assert [hold.constraint for hold in found.holds] == ["core:cost:approval_threshold", REQUIRED]
    assert [charge.amount for charge in found.charges] == [6]
    assert dict(found.results) == {
        CUMULATIVE: "charge",
        "core:cost:approval_threshold": "hold",
        REQUIRED: "hold",
        READ_ONLY: "allow",
    }


def test_a_cost_is_in_every_spend_charge_and_in_no_other() -> None:
    """Rates take one use, spend takes the cost; a free request takes nothing from the budget."""
    plan = compiled((PASSPORT, {MINUTE: 5, CUMULATIVE: 100}), (AGENT, {CUMULATIVE: 900}))

    def amounts(cost: int) -> list[int]:
        return [charge.amount for charge in evaluated(plan, facts=Facts(cost_cents=cost)).charges]

    assert amounts(0) == [1, 0, 0]
    assert amounts(7) == [1, 7, 7]
    assert evaluated(plan).charges == plan.charges


def test_costs_that_clients_vary_use_up_no_memory() -> None:
    """Prepared charges are kept for a few prices only, and are right for every price."""
    plan = compiled((PASSPORT, {CUMULATIVE: 10_000}))

    for cost in (*range(1, 100), 5, 5):
        assert evaluated(plan, facts=Facts(cost_cents=cost)).charges[0].amount == cost
    assert len(plan._prices) <= 4
    assert evaluated(plan, facts=Facts(cost_cents=5)) is evaluated(plan, facts=Facts(cost_cents=5))


def test_a_negative_cost_is_an_error_and_not_a_refund() -> None:
    """Whoever makes such facts is broken; a budget is never filled by a request."""
    for plan in (compiled((PASSPORT, {CUMULATIVE: 5})), compiled((PASSPORT, {MINUTE: 5}))):
        with pytest.raises(ValueError, match="negative"):
            evaluated(plan, facts=Facts(cost_cents=-1))


def test_an_unknown_key_refuses_before_everything_else() -> None:
    """A constraint that the gate cannot enforce refuses, and is named."""
    plan = compiled((PASSPORT, {ACTIONS: ["*"], "core:time:max_age": "1h", "acme:x": 1}))

    found = evaluated(plan)

    assert found == Evaluated(
        Refusal("constraint_unknown", "The gate has no such constraint.", "acme:x"),
        (),
        (),
        (("acme:x", "block"),),
    )


def test_sets_of_one_subject_are_merged() -> None:
    """The gate and an issuer count the same agent by one counter, with the stricter limit."""
    plan = compiled((AGENT, {MINUTE: 50}), (PASSPORT, {MINUTE: 7}), (AGENT, {MINUTE: 5}))

    assert [(charge.counter, charge.limit) for charge in plan.charges] == [
        (f"rate/60/{AGENT}", 5),
        (f"rate/60/{PASSPORT}", 7),
    ]


def test_sets_of_different_subjects_each_hold_on_their_own() -> None:
    """A wide list of one origin does not widen the narrow one of another."""
    allow = "core:scope:action_allowlist"
    plan = compiled((AGENT, {allow: ["*"]}), (PASSPORT, {allow: ["api:search"]}))

    assert evaluated(plan).refusal is None
    assert evaluated(plan, action="api:export").refusal is not None
    assert plan.results == ((allow, "allow"), (allow, "allow"))


def test_a_term_of_several_origins_is_recorded_once() -> None:
    """A term is one fact about the decision, whoever states it."""
    term = "core:pricing:currency"
    plan = compiled((AGENT, {term: "EUR"}), (PASSPORT, {term: "USD"}))

    assert plan.results == ((term, "term"),)


def test_windows_of_one_subject_are_all_charged() -> None:
    """Budgets of different windows are counters of their own, and both are owed."""
    plan = compiled(
        (PASSPORT, {CUMULATIVE: 5, "core:cost:cumulative_window": "90m"}),
        (PASSPORT, {CUMULATIVE: 100, "core:cost:cumulative_window": "monthly"}),
    )

    assert [(charge.counter, charge.window, charge.limit) for charge in plan.charges] == [
        (f"spend/5400/{PASSPORT}", 5400, 5),
        (f"spend/monthly/{PASSPORT}", "monthly", 100),
    ]


def test_explaining_collects_every_refusal() -> None:
    """Whoever asks why hears all of it, also what comes after the first block."""
    plan = compiled((PASSPORT, {ACTIONS: ["*"], REQUIRED: True, READ_ONLY: True, CUMULATIVE: 9}))

    found = plan.evaluate_all(asked(method="POST"), "api:search", Facts(cost_cents=2), NOW)

    assert [refusal.constraint for refusal in found.refusals] == [ACTIONS, READ_ONLY]
    assert [hold.constraint for hold in found.holds] == [REQUIRED]
    assert [charge.amount for charge in found.charges] == [2]
    assert found.results == (
        (ACTIONS, "block"),
        (CUMULATIVE, "charge"),
        (REQUIRED, "hold"),
        (READ_ONLY, "block"),
    )


def test_explaining_what_passes_says_that_it_passes() -> None:
    """With nothing against it the explanation is the evaluation."""
    plan = compiled((PASSPORT, {READ_ONLY: True, MINUTE: 5}))

    found = plan.evaluate_all(asked(), "api:search", NO_FACTS, NOW)

    assert (found.refusals, found[1:]) == ((), evaluated(plan)[1:])


def test_a_constraint_that_judges_the_body_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled constraints say that a body is needed exactly when one of their rows does."""
    from passgate.core.constraints import CONSTRAINTS

    def judge(_value: Any, _context: Any) -> Hold:
        return Hold("acme:body")

    row = Constraint("acme:body", 65, bool, max, "", "", "", True, judge=judge, judges_body=True)
    monkeypatch.setitem(CONSTRAINTS, "acme:body", row)

    assert not compiled((PASSPORT, {READ_ONLY: True})).judges_body
    assert compiled((PASSPORT, {READ_ONLY: True, "acme:body": True})).judges_body


@pytest.mark.parametrize(
    ("kind", "window", "waited", "code", "retry_after_s"),
    [
        ("rate", 60, 17, "rate_limited", 17),
        ("rate", 60, None, "rate_limited", None),
        ("total", "total", 5, "rate_limited", None),
        ("concurrent", "now", None, "concurrency_limited", 1),
        ("concurrent", "now", 3, "concurrency_limited", 3),
        ("spend", "daily", 3600, "budget_exhausted", 3600),
        ("spend", "total", None, "budget_exhausted", None),
    ],
)
def test_a_shortfall_has_its_familys_code(
    kind: str, window: int | str, waited: int | None, code: str, retry_after_s: int | None
) -> None:
    """Each kind of counter has one code; what is used up for good names no time to come back."""
    charge = Charge(f"{kind}/{window}/x", kind, window, 1, 5, "core:x:y")

    refusal = refusal_for(charge, waited)

    assert (refusal.code, refusal.constraint) == (code, "core:x:y")
    assert refusal.retry_after_s == retry_after_s


def test_a_set_made_by_hand_is_evaluated_as_one_that_was_read() -> None:
    """A set is its values; how it came about makes no difference."""
    plan = compile_owed([(PASSPORT, ConstraintSet({MINUTE: 3}))])

    assert plan.charges == compiled((PASSPORT, {MINUTE: 3})).charges


def a_row(key: str, order: int, outcome: Outcome = None, **more: Any) -> Constraint:
    """A row that says the same to every request."""
    judge = (lambda _value, _context: outcome) if outcome is not None else None
    return Constraint(
        key, order, lambda raw: raw, min, "a value", "never", "any", 1, judge=judge, **more
    )


def test_what_is_remembered_or_found_is_told_beside_the_charges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Recalls and findings neither stop nor hold, and the results name them."""
    mark = Charge("total/total/x", "total", "total", 1, 9, "x:recall")
    recall = Recall("x:recall", "Who is this?", (mark,))
    finding = Finding("x:find", "redact", (("card", 1),), b"{}")
    monkeypatch.setitem(CONSTRAINTS, "x:recall", a_row("x:recall", 1, recall))
    monkeypatch.setitem(CONSTRAINTS, "x:find", a_row("x:find", 2, finding, judges_body=True))
    plan = compile_owed([(PASSPORT, ConstraintSet({"x:recall": 1, "x:find": 1, MINUTE: 5}))])

    found = evaluated(plan)
    explained = plan.evaluate_all(asked(), "api:search", NO_FACTS, NOW)

    assert plan.judges_body
    assert (found.refusal, found.holds, len(found.charges)) == (None, (), 1)
    assert (found.recalls, found.findings) == ((recall,), (finding,))
    assert found.results == (("x:recall", "recall"), ("x:find", "redact"), (MINUTE, "charge"))
    assert explained[1:] == found[1:]


def test_paces_are_watched_for_each_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch is named once for each subject, and never stops a request by itself."""
    row = a_row("x:watch", 1, watch=lambda n, subject: (Watch("x:watch", subject, n, 300, 1800),))
    monkeypatch.setitem(CONSTRAINTS, "x:watch", row)
    plan = compile_owed(
        [(PASSPORT, ConstraintSet({"x:watch": 3})), (AGENT, ConstraintSet({"x:watch": 2}))]
    )

    assert plan.watches == (
        Watch("x:watch", PASSPORT, 3, 300, 1800),
        Watch("x:watch", AGENT, 2, 300, 1800),
    )
    assert evaluated(plan).results == (("x:watch", "watch"), ("x:watch", "watch"))
    assert compile_owed([]).watches == ()


def test_the_least_bounds_are_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of several subjects come to the least of each body."""
    monkeypatch.setitem(CONSTRAINTS, "x:in", a_row("x:in", 1, bounds="request"))
    monkeypatch.setitem(CONSTRAINTS, "x:out", a_row("x:out", 2, bounds="response"))
    one, other = ConstraintSet({"x:in": 7, "x:out": 9}), ConstraintSet({"x:in": 5})

    assert compile_owed([(PASSPORT, one), (AGENT, other)]).bounds == Bounds(5, 9)
    assert compile_owed([(AGENT, other)]).bounds == Bounds(5, UNBOUNDED)
    assert compile_owed([]).bounds is None
    assert compile_owed([(AGENT, other)]).results == (("x:in", "bound"),)


@pytest.mark.parametrize(
    ("recent", "before", "over_s", "too_fast"),
    [
        (11, 20, 1800, True),
        (10, 20, 1800, False),
        (1000, 19, 1800, False),
        (60, 20, 300, False),
        (61, 20, 300, True),
    ],
    ids=["faster", "exactly so fast", "too little known", "young and exactly", "young and faster"],
)
def test_a_pace_is_exceeded_strictly(recent: int, before: int, over_s: int, too_fast: bool) -> None:
    """A rate is too fast above factor times the one before, of which 20 requests must be known."""
    watch = Watch("x:watch", PASSPORT, 3, 300, 1800)

    assert watch.exceeded(recent, before, over_s) is too_fast


def test_a_body_is_looked_at_once_for_all_who_ask() -> None:
    """Rules of several origins see the same findings."""
    export = {"core:data:no_pii_export": True, "core:data:pii_mode": "redact"}
    plan = compiled((PASSPORT, export), (AGENT, {"core:data:pii_mode": "log_only"}))

    found = evaluated(plan, asked("POST", body=b"[1]", content_type=b"application/json"))

    assert plan.judges_body
    assert (found.refusal, found.findings) == (None, ())
    assert [said for _, said in found.results] == ["allow"] * 3


@pytest.mark.parametrize(
    ("mode", "refused_by"), [("block", True), ("redact", True), ("log_only", False)]
)
def test_what_cannot_be_looked_at_whole_is_only_noted_where_that_is_asked(
    mode: str, refused_by: bool
) -> None:
    """More that looks like personal data than anybody looks at is no way around the rule."""
    plan = compiled((PASSPORT, {"core:data:pii_mode": mode}))
    body = b"[%b1]" % (b"4111111111111112," * 10_001)

    found = evaluated(plan, asked("POST", body=body, content_type=b"application/json"))

    assert (found.refusal is not None) is refused_by
    assert [finding.found for finding in found.findings] == (
        [] if refused_by else [(("unexamined", 1),)]
    )


def test_what_is_declared_cannot_be_hidden() -> None:
    """A body with nothing to hide in it does not help where a declared fact holds the data."""
    plan = compiled((PASSPORT, {"core:data:pii_mode": "redact"}))
    facts = Facts(vendor="4111111111111111")

    for body in (b"[1]", b""):
        request = asked("POST", body=body, content_type=b"application/json")
        found = evaluated(plan, request, facts=facts)
        assert found.refusal is not None
        assert found.refusal.constraint == "core:data:pii_mode"
