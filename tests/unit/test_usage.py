"""What an agent has used: every counter that its requests are charged to, and nobody else's."""

import re
from pathlib import Path
from typing import Any

from tests.support.house import House, inside

from passgate.client.delegating import delegate
from passgate.client.holder import Holder
from passgate.usage import Known, known_of, on_record, usage_of

LIMITS = {"core:rate:max_per_minute": 5, "core:cost:max_cumulative": 500}
ENTRY = {"permission_key": "api:*", "constraints": {"core:rate:max_total": 9}}
CATALOG = (
    '{"permissions": [{"key": "api:search", "constraints": {"core:rate:max_per_hour": 7}},'
    ' {"key": "api:export"}]}'
)
RELAXED = {"audit": {"durability": "relaxed"}}


def used(house: House, agent: str, known: list[Known]) -> dict[str, Any]:
    """The usage of an agent, by the name of the counter."""
    issuer = house.keeper.trust.issuers[house.issuer.id]
    policy = house.enforcer.world.policy
    found = usage_of(agent, issuer, known, policy, house.ledger, house.clock())
    assert found["issuer"] == issuer.id
    return {row["counter"]: row for row in found["counters"]}


def test_every_counter_that_was_charged_is_there(tmp_path: Path) -> None:
    """Those of the agent, of the catalog, of each passport and of each entry; exactly."""
    (tmp_path / "catalog.json").write_text(CATALOG)

    async def work(house: House) -> None:
        options: dict[str, Any] = {"agent": "a", "permissions": [ENTRY]}
        first = house.mint(passport_id="p1", constraints=LIMITS, **options)
        second = house.mint(passport_id="p2", constraints=LIMITS, **options)
        other = house.mint(passport_id="p3", agent="b", permissions=["*"], constraints=LIMITS)
        charged: dict[str, int] = {}
        for token in (first, second, first, other):
            for method, target in (("GET", "/v1/search"), ("POST", "/v1/export")):
                step = await house.forwarded(method, target, token)
                if token is not other:
                    for charge in step.record.charges:
                        charged[charge.counter] = charged.get(charge.counter, 0) + charge.amount
        known = [known_of(each) for each in house.enforcer.cache.of_agent("a")]
        assert sorted(each.id for each in known) == ["p1", "p2"]
        rows = used(house, "a", known)
        assert {name: row["used"] for name, row in rows.items()} == charged
        budget = rows[f"spend/daily/passport|{house.issuer.id}|p1"]
        assert (budget["used"], budget["remaining"], budget["limit"]) == (100, 400, 500)
        assert 0 < budget["reset_s"] <= 86_400
        assert used(house, "nobody", known[:0]).keys() == {
            re.sub(r"\|a(\||$)", r"|nobody\1", name) for name in rows if "|p" not in name
        }

    gate = {"core:rate:max_per_day": 100}
    inside(tmp_path, work, constraints=gate, catalog={"file": "catalog.json"}, **RELAXED)


def test_passports_are_found_on_record(tmp_path: Path) -> None:
    """After a restart the gate has none at hand: the log has their claims."""

    async def work(house: House) -> None:
        token = house.mint(passport_id="p1", agent="a", permissions=[ENTRY], constraints=LIMITS)
        await house.forwarded("GET", "/v1/search", token)
        await house.forwarded("GET", "/v1/search", house.mint(agent="b"))

    house = inside(tmp_path, work, **RELAXED)
    found, complete = on_record(tmp_path / "log", "a")
    assert complete
    assert [(each.issuer, each.id) for each in found] == [(house.issuer.id, "p1")]
    assert dict(found[0].constraints.values)["core:rate:max_per_minute"] == 5
    assert [pattern for pattern, _ in found[0].permissions] == ["api:*"]
    rows = used(house, "a", found)
    assert rows[f"rate/60/passport|{house.issuer.id}|p1"]["used"] == 1
    assert on_record(tmp_path / "log", "nobody") == ([], True)


def test_a_limit_that_was_lowered_is_overdrawn(tmp_path: Path) -> None:
    """`used` is what was used, and nothing remains."""

    async def work(house: House) -> None:
        token = house.mint(passport_id="p1", agent="a", constraints={"core:rate:max_total": 5})
        for _ in range(4):
            await house.forwarded("GET", "/v1/search", token)
        lower = house.mint(passport_id="p1", agent="a", constraints={"core:rate:max_total": 2})
        await house.answered("GET", "/v1/search", lower)
        known = [known_of(house.enforcer.cache.of_agent("a")[-1])]
        (row,) = used(house, "a", known).values()
        assert (row["limit"], row["used"], row["remaining"]) == (2, 4, 0)

    inside(tmp_path, work, **RELAXED)


def test_a_delegates_own_limits_are_found_too(tmp_path: Path) -> None:
    """By the path of its ids, from the passport at hand and from the record."""
    holder = Holder.generate()
    seen: list[str] = []

    async def work(house: House) -> None:
        root = house.mint(
            agent="a",
            passport_id="root",
            claims={"cnf": {"jwk": holder.jwk}, "may_delegate": True},
        )
        permissions = [{"permission_key": "api:*", "constraints": {"core:rate:max_total": 9}}]
        token = delegate(
            root,
            holder,
            name="x",
            permissions=permissions,
            constraints=LIMITS,
            now=house.clock.wall,
        )
        step = await house.forwarded("GET", "/v1/search", token)
        charged = {charge.counter for charge in step.record.charges}
        known = [known_of(each) for each in house.enforcer.cache.of_agent("a/x")]
        rows = used(house, "a/x", known)
        assert rows.keys() == charged
        assert {row["used"] for row in rows.values() if row["kind"] != "spend"} == {1}
        assert all("/delegated|iss_test|root%2F" in name for name in charged)
        seen.extend(rows)

    house = inside(tmp_path, work, **RELAXED)
    found, _ = on_record(tmp_path / "log", "a/x")
    assert list(used(house, "a/x", found)) == seen
