"""Further minutes: judged as if the request had cost all of it from the start."""

from tests.support.decisions import Scene, catalog

from passgate.core.constraints.base import Charge
from passgate.core.decision import derive
from passgate.core.metered import Judge, judge_cost, minute_charges
from passgate.core.pricing import GREATEST_CENTS

PRICED = catalog(
    "api:search", search={"core:pricing:per_call_cents": 5, "core:pricing:per_minute_cents": 2}
)


def judge(**constraints: object) -> Judge:
    limits = {f"core:{key.replace('__', ':')}": value for key, value in constraints.items()}
    scene = Scene(catalog=PRICED).but(claims={"constraints": limits})
    plan = scene.decide()
    assert plan.facts.cost_cents == 7
    assert plan.passport is not None
    assert plan.issuer is not None
    compiled = derive(plan.passport, plan.issuer, plan.action, scene.policy(), "127.0.0.1").compiled
    assert compiled is not None
    return judge_cost(compiled, scene.good_request(), plan.action, plan.facts, scene.now)


def test_a_minute_takes_from_every_budget_and_nothing_else() -> None:
    rate = Charge("rate/60/agent|i|a", "rate", 60, 1, 5, "core:rate:max_per_minute")
    spend = Charge("spend/daily/agent|i|a", "spend", "daily", 7, 100, "core:cost:max_cumulative")
    total = Charge("spend/total/agent|i|b", "spend", "total", 7, 50, "core:cost:max_cumulative")
    assert minute_charges((rate, spend, total), 2) == (
        Charge("spend/daily/agent|i|a", "spend", "daily", 2, 100, "core:cost:max_cumulative"),
        Charge("spend/total/agent|i|b", "spend", "total", 2, 50, "core:cost:max_cumulative"),
    )


def test_no_stream_costs_more_than_one_action_may() -> None:
    """However slowly it gets there."""
    judged = judge(cost__max_per_action=9)
    assert judged(9) is None
    refusal = judged(11)
    assert refusal is not None
    assert (refusal.code, refusal.constraint) == ("budget_exhausted", "core:cost:max_per_action")


def test_a_stream_that_becomes_dear_needs_a_person() -> None:
    """Who was asked already is not asked again."""
    judged = judge(cost__approval_threshold=9)
    assert judged(9) is None
    refusal = judged(11)
    assert refusal is not None
    assert refusal.code == "approval_required"
    assert refusal.constraint == "core:cost:approval_threshold"
    assert judge(cost__approval_threshold=5)(11) is None
    assert judge(approval__required=True)(11) is None


def test_nothing_costs_more_than_a_line_can_tell() -> None:
    judged = judge()
    assert judged(GREATEST_CENTS) is None
    refusal = judged(GREATEST_CENTS + 1)
    assert refusal is not None
    assert refusal.code == "budget_exhausted"
