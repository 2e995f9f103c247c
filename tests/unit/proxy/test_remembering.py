"""What only memory knows: paces and counterparties, from the request to the record."""

from pathlib import Path
from typing import Any

from tests.support.house import House, body_of, inside

from passgate.core.constraints.base import Charge, Recall
from passgate.core.decision import Plan
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.ledger.fold import fold
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.paces import Paces
from passgate.ledger.protocol import Reservation
from passgate.proxy.remembering import consult
from passgate.proxy.steps import Forward

ANOMALY = "core:safety:anomaly_suspend"
NEW = "core:approval:new_counterparty"
QUICK = {ANOMALY: {"factor": 3, "window": "10s", "baseline": "60s"}}
ROUTES = {
    "actions": {
        "routes": [
            {"match": "GET /v1/search", "action": "api:search"},
            {"match": "POST /v1/pay", "action": "shop:pay", "vendor": "header:X-Vendor"},
        ]
    },
    "audit": {"durability": "relaxed"},
}
NOW = Instant(1_800_000_000.0, 1000.0)


def test_an_agent_that_races_is_suspended_and_on_record(tmp_path: Path) -> None:
    """The hold names the constraint, the line says `hold`, and others go on."""

    async def work(house: House) -> None:
        passport = house.mint(constraints=QUICK)
        for _ in range(70):
            await house.forwarded("GET", "/v1/search", passport)
            house.clock.advance(1)
        fast = 0
        while isinstance(step := await house.ask("GET", "/v1/search", passport), Forward):
            fast += 1
        answer = step
        assert 15 <= fast <= 21  # ten were in the window, and thirty are three times as many

        assert (answer.status, body_of(answer)["constraint"]) == (403, ANOMALY)
        assert body_of(answer)["code"] == "approval_required"
        await house.forwarded("GET", "/v1/search", house.mint(constraints=QUICK))
        house.clock.advance(11)
        await house.forwarded("GET", "/v1/search", passport)

    house = inside(tmp_path, work, **ROUTES)

    results = [line["constraints"] for line in house.lines("decision")]
    assert results.count([[ANOMALY, "hold"]]) == 1
    assert results.count([[ANOMALY, "watch"]]) == len(results) - 1


def test_a_new_counterparty_is_held_and_leaves_no_trace(tmp_path: Path) -> None:
    """Asking ever so often makes nobody known, and silence is held too."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={NEW: True, "core:rate:max_per_minute": 100})
        for headers in ((("X-Vendor", "acme"),), (("X-Vendor", "acme"),), ()):
            answer = await house.answered("POST", "/v1/pay", passport, headers=headers)
            assert body_of(answer)["constraint"] == NEW
        await house.forwarded("GET", "/v1/search", passport)

        assert not any("counterparty" in name for name in house.ledger._by_name)

    inside(tmp_path, work, **ROUTES)


def test_who_was_dealt_with_is_known_to_the_agent_alone(tmp_path: Path) -> None:
    """Once charged, the mark lets the agent's other passports pass, and nobody else's."""

    async def work(house: House) -> None:
        constraints = {NEW: True}
        mark = f"total/total/counterparty|{house.issuer.id}|agent-7|vendor|acme"
        charge = Charge(mark, "total", "total", 1, 2**31, NEW)
        assert isinstance(house.ledger.reserve((charge,), house.clock()), Reservation)

        async def pay(agent: str, vendor: str) -> Any:
            passport = house.mint(agent=agent, constraints=constraints)
            return await house.ask("POST", "/v1/pay", passport, headers=(("X-Vendor", vendor),))

        assert not hasattr(await pay("agent-7", "acme"), "status")
        assert (await pay("agent-7", "bolt")).status == 403
        assert (await pay("agent-8", "acme")).status == 403

    house = inside(tmp_path, work, **ROUTES)

    assert house.lines("decision")[0]["constraints"] == [[NEW, "allow"]]


def test_an_approval_makes_a_counterparty_known(tmp_path: Path) -> None:
    """Held, approved, forwarded once; from then on it is no news, and the log's fold knows it."""
    vendor = (("X-Vendor", "acme"),)

    async def work(house: House) -> None:
        passport = house.mint(constraints={NEW: True})
        answer = await house.answered("POST", "/v1/pay", passport, headers=vendor)
        hold_id = body_of(answer)["hold"]["id"]
        assert (await house.answered("POST", "/v1/pay", passport, headers=vendor)).status == 403
        assert not any("counterparty" in name for name in house.ledger._by_name)
        await house.approvals.decide(hold_id, approve=True, approver="ann", reason="")

        await house.forwarded("POST", "/v1/pay", passport, headers=vendor)
        await house.forwarded("POST", "/v1/pay", passport, headers=vendor)
        other = house.mint(constraints={NEW: True})
        await house.forwarded("POST", "/v1/pay", other, headers=vendor)

    house = inside(tmp_path, work, **ROUTES)

    decided = [line for line in house.lines("decision") if line["decision"] == "allow"]
    assert [len(line.get("charges", ())) for line in decided] == [1, 0, 0]
    assert [line["constraints"] for line in decided] == [
        [[NEW, "hold"]],
        [[NEW, "allow"]],
        [[NEW, "allow"]],
    ]
    (mark,) = decided[0]["charges"]
    assert mark["counter"] in fold(house.lines()).counters.by_name


def test_what_is_new_is_charged_with_the_request_and_never_before() -> None:
    """Marks stand beside the charges until the request is allowed; then the fold knows them."""
    ledger = MemoryLedger()
    old, new = (
        Charge(f"total/total/counterparty|i|a|vendor|{name}", "total", "total", 1, 2**31, NEW)
        for name in ("old", "new")
    )
    ledger.reserve((old,), NOW)
    recall = Recall(NEW, "Who is this?", (old, new))
    plan = Plan(recalls=(recall, recall), evaluated=((NEW, "recall"), (NEW, "recall")))

    consult(plan, ledger, Paces(), NOW)

    assert plan.hold is not None
    assert plan.hold.constraint == NEW
    assert (plan.charges, plan.marks) == ((), (new,))
    assert plan.evaluated == ((NEW, "hold"), (NEW, "hold"))
    line = {
        "seq": 0,
        "kind": "decision",
        "decision": "allow",
        "decision_id": "att_1",
        "time": "2027-01-15T08:00:00.000Z",
        "charges": [{"counter": new.counter, "amount": 1}],
    }
    assert new.counter in fold([line]).counters.by_name


def test_a_refused_request_is_not_looked_up() -> None:
    """What is refused asks nobody."""
    plan = Plan(refusal=Refusal("permission_denied"), recalls=(Recall(NEW, "", ()),))

    consult(plan, MemoryLedger(), Paces(), NOW)

    assert plan.hold is None


def test_a_dry_run_is_told_what_memory_says(tmp_path: Path) -> None:
    """`POST /check` says `request_hold` where the request would be held."""

    async def work(house: House) -> None:
        passport = house.mint(constraints={NEW: True})
        body = b'{"action": "shop:pay", "vendor": "acme"}'
        prefix = "/.well-known/passgate/check"
        answer = await house.answered("POST", prefix, passport, body=body)

        assert body_of(answer)["decision"] == "request_hold"

    inside(tmp_path, work, **ROUTES)
