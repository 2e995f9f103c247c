"""Money from the request to the counters: exact to the last cent, and refused where it is not.

Floats are exact to 2^53 and their sums are not, so the greatest amounts tell them from integers.
"""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.house import House, body_of, inside

import passgate
from passgate.ledger.fold import fold

GREATEST = 2**53 - 1
RELAXED = {"audit": {"durability": "relaxed"}}
DECLARED: dict[str, Any] = {
    "match": "POST /v1/pay",
    "action": "shop:pay",
    "cost_cents": "body:/cents",
    "amount": "body:/amount",
    "currency": "body:/currency",
    "cost_from_upstream": True,
}
PAID = [{**DECLARED, "require": ["cost"]}]


def config(directory: Path, routes: list[dict[str, Any]], **terms: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"actions": {"routes": routes}, **RELAXED}
    if terms:
        keys = {f"core:{name.replace('__', ':')}": value for name, value in terms.items()}
        offered = {"permissions": [{"key": "shop:pay", "constraints": keys}]}
        (directory / "catalog.json").write_text(json.dumps(offered))
        found["catalog"] = {"file": str(directory / "catalog.json")}
    return found


def spent(counters: Any, wall: float) -> int:
    return sum(each.used_at(0, wall) for name, each in counters if name.startswith("spend/"))


@pytest.mark.parametrize("cents", [GREATEST, GREATEST - 1, 2**52 + 1])
def test_the_greatest_costs_are_counted_to_the_cent(tmp_path: Path, cents: int) -> None:
    """From the body to the counter, the log, the settlement, and the fold after a crash."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={"core:cost:max_cumulative": GREATEST})
        body = json.dumps({"cents": cents}).encode()
        forward = await house.forwarded("POST", "/v1/pay", passport, body=body)
        assert forward.record.cost_cents == cents
        over = json.dumps({"cents": GREATEST - cents + 1}).encode()
        answer = await house.answered("POST", "/v1/pay", passport, body=over)
        assert body_of(answer)["code"] == "budget_exhausted"
        forward.stated_cost = b"%d" % (cents - 1)
        house.enforcer.finished(forward, 200, 0, "completed", sent=True)
        assert spent(house.ledger._by_name.items(), house.clock().wall) == cents - 1
        rest = json.dumps({"cents": GREATEST - cents + 1}).encode()
        await house.forwarded("POST", "/v1/pay", passport, body=rest)
        assert spent(house.ledger._by_name.items(), house.clock().wall) == GREATEST

    terms = {"platform_fee__basis_points": 9999}
    house = inside(tmp_path, work, **config(tmp_path, PAID, **terms))

    decision = house.lines("decision")[0]
    (outcome,) = house.lines("outcome")
    assert decision["cost_cents"] == decision["charges"][0]["amount"] == cents
    assert decision["facts"]["platform_fee_cents"] == -(-cents * 9999 // 10000)
    assert outcome["settled_cents"] == cents - 1
    assert outcome["platform_fee_cents"] == -(-(cents - 1) * 9999 // 10000)
    assert house.tally.settled_cents == cents - 1
    found = fold(house.lines())
    assert spent(found.counters.by_name.items(), house.clock().wall) == GREATEST


BAD: list[tuple[str, str, int]] = [
    ('{"cents": -1}', "request_malformed", 400),
    ('{"cents": 1.5}', "request_malformed", 400),
    ('{"cents": 1.0}', "request_malformed", 400),
    ('{"cents": 1e3}', "request_malformed", 400),
    ('{"cents": 9007199254740992}', "request_malformed", 400),
    ('{"cents": 99999999999999999999}', "request_malformed", 400),
    ('{"cents": "1,000"}', "request_malformed", 400),
    ('{"cents": "+5"}', "request_malformed", 400),
    ('{"cents": true}', "request_malformed", 400),
    ('{"cents": [5]}', "request_malformed", 400),
    ('{"cents": 5, "cents": 1}', "request_malformed", 400),
    ('{"Cents": 5}', "request_malformed", 400),
    ('{"cents": NaN}', "request_malformed", 400),
    ('{"cents": 5, "currency": "EURO"}', "request_malformed", 400),
    ('{"cents": 5, "currency": "USD"}', "constraint_violated", 403),
    ('{"cents": 5, "amount": -1}', "request_malformed", 400),
    ('{"cents": 5, "amount": "1e9"}', "request_malformed", 400),
    ('{"cents": 5, "amount": 1234567890123456789}', "request_malformed", 400),
    ("{}", "request_malformed", 400),
    ('{"amount": 5}', "request_malformed", 400),
]


@pytest.mark.parametrize(("body", "code", "status"), BAD, ids=[row[0] for row in BAD])
def test_no_money_is_guessed(tmp_path: Path, body: str, code: str, status: int) -> None:
    """Refused with a reason, nothing charged: negative, fractional, huge, foreign, missing."""

    async def work(house: House) -> None:
        limits = {"core:cost:max_cumulative": 100, "core:rate:max_per_minute": 5}
        passport = house.mint(constraints=limits)
        answer = await house.answered("POST", "/v1/pay", passport, body=body.encode())
        assert (body_of(answer)["code"], answer.status) == (code, status)
        counters = house.ledger._by_name.values()
        assert not any(each.used_at(0, house.clock().wall) for each in counters)

    terms = {"pricing__currency": "EUR"}
    inside(tmp_path, work, **config(tmp_path, PAID, **terms))


def test_a_compulsory_cost_that_nobody_states_is_refused(tmp_path: Path) -> None:
    """There is nothing that the agent could add."""

    async def work(house: House) -> None:
        answer = await house.answered("POST", "/v1/pay", house.mint())
        assert (body_of(answer)["code"], answer.status) == ("constraint_violated", 403)

    routes = [{"match": "POST /v1/pay", "action": "shop:pay", "require": ["cost"]}]
    inside(tmp_path, work, **config(tmp_path, routes))


def test_free_calls_cost_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    """For an agent with any number of passports; a dry run knows whether there is one left."""

    async def work(house: House) -> None:
        limits = {"core:cost:max_cumulative": 6}
        for number in range(2):
            passport = house.mint(constraints=limits, passport_id=f"pass_{number}")
            forward = await house.forwarded("POST", "/v1/pay", passport)
            assert forward.record.cost_cents == 0
            forward.stated_cost, forward.correctable = b"5", True
            house.enforcer.finished(forward, 200, 0, "completed", sent=True)
        answer = await house.answered("POST", "/v1/pay", house.mint(constraints=limits))
        assert body_of(answer)["code"] == "budget_exhausted"
        paid = await house.forwarded("POST", "/v1/pay", house.mint())
        assert paid.record.cost_cents == 7
        other = await house.forwarded("POST", "/v1/pay", house.mint(agent="another"))
        assert other.record.cost_cents == 0
        asked = json.dumps({"action": "shop:pay"}).encode()
        check = "/.well-known/passgate/check"
        for agent, said in (("another", "allow"), ("agent_test", "block")):
            passport = house.mint(constraints=limits, agent=agent)
            found = body_of(await house.answered("POST", check, passport, body=asked))
            assert found["decision"] == said, found

    terms = {"pricing__per_call_cents": 7, "pricing__free_tier_calls": 2}
    routes = [{"match": "POST /v1/pay", "action": "shop:pay"}]
    house = inside(tmp_path, work, **config(tmp_path, routes, **terms))

    lines = house.lines("decision")
    assert [line["cost_cents"] for line in lines] == [0, 0, 7, 7, 0]
    first = house.lines("outcome")[0]
    assert (first["settled_cents"], first["cost_correction"]) == (0, "clamped")
    assert {charge["counter"] for charge in lines[0]["charges"] if charge["amount"]} == {
        f"free/total/catalog|{house.issuer.id}|agent_test|shop%3Apay"
    }
    assert house.tally.charges["free"] == 3
    (refused,) = [line for line in lines if line["decision"] == "block"]
    assert [charge["amount"] for charge in refused["charges"]] == [7]


PATH_OF_MONEY = (
    *("core/pricing.py", "core/free_tier.py", "core/metered.py", "core/declared.py"),
    *("core/constraints/cost.py", "core/constraints/base.py", "ledger/memory.py"),
    *("ledger/operations.py", "proxy/stated_cost.py", "proxy/settling.py", "proxy/priced.py"),
)


@pytest.mark.parametrize("name", PATH_OF_MONEY)
def test_no_float_stands_on_the_path_of_money(name: str) -> None:
    """No true division, no float constant, no call that makes or rounds one."""
    tree = ast.parse(Path(passgate.__file__).parent.joinpath(name).read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Div), name
        assert not (isinstance(node, ast.Constant) and type(node.value) is float), name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"float", "round", "pow"}, name
