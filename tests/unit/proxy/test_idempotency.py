"""A request that comes again under its key: forwarded as often, charged once, and on record."""

from pathlib import Path
from typing import Any

from tests.support.house import House, body_of, headers_of, inside

from passgate.ledger.fold import fold
from passgate.proxy.steps import Answer, Forward

ROUTES = [
    {"match": "POST /v1/pay", "action": "api:pay", "cost_cents": 50, "idempotent": True},
    {"match": "POST /v1/free", "action": "api:free", "idempotent": True},
    {"match": "POST /v1/once", "action": "api:once", "cost_cents": 50},
]
KEY = (("Idempotency-Key", "k-1"),)
BODY = b'{"to": "acme"}'
OWED = {
    "core:cost:max_cumulative": 120,
    "core:rate:max_per_minute": 9,
    "core:rate:max_total": 9,
    "core:rate:max_concurrent": 2,
}
RELAXED: dict[str, Any] = {
    "audit": {"durability": "relaxed"},
    "actions": {"routes": ROUTES},
    "constraints": OWED,
}


def used(house: House, kind: str) -> int:
    now = house.clock()
    return sum(
        counter.used_at(int(now.wall * 1000), now.wall)
        for name, counter in house.ledger._by_name.items()
        if name.startswith(kind)
    )


def owed_by_log(house: House, kind: str) -> int:
    """What the log's lines alone say is owed, as after a crash."""
    folded = fold(house.lines())
    at = int(folded.time.steady * 1000)
    return sum(
        counter.used_at(at, folded.time.wall)
        for name, counter in folded.counters.by_name.items()
        if name.startswith(kind)
    )


async def pay(house: House, body: bytes = BODY, **options: Any) -> Answer | Forward:
    passport = house.mint(agent="agent-7")
    options = {"headers": KEY, "target": "/v1/pay", **options}
    return await house.ask("POST", options.pop("target"), passport, body=body, **options)


async def forwarded(house: House, **options: Any) -> Forward:
    step = await pay(house, **options)
    assert isinstance(step, Forward), body_of(step)
    return step


def end(house: House, forward: Forward, *, sent: bool = True) -> None:
    house.enforcer.finished(forward, 200 if sent else 502, 0, "completed", sent=sent)


def test_a_repeat_is_forwarded_and_charged_once(tmp_path: Path) -> None:
    """With its key, by another passport of the same agent; its rate and its total count."""

    async def work(house: House) -> None:
        for _ in range(3):
            forward = await forwarded(house)
            assert b"Idempotency-Key: k-1\r\n" in forward.head
            assert forward.body == BODY
            end(house, forward)

    house = inside(tmp_path, work, **RELAXED)

    assert (used(house, "spend/"), used(house, "rate/"), used(house, "total/")) == (50, 3, 3)
    first, second, _ = house.lines("decision")
    assert "repeated" not in first["idempotency"]
    assert second["idempotency"] == {**first["idempotency"], "repeated": True}
    spend = [
        [c["amount"] for c in line["charges"] if c["counter"].startswith("spend/")]
        for line in (first, second)
    ]
    assert spend == [[50], [0]]
    assert [line.get("settled_cents") for line in house.lines("outcome")] == [50, None, None]
    for kind in ("spend/", "rate/", "total/"):
        assert owed_by_log(house, kind) == used(house, kind), kind


def test_without_the_key_or_the_route_s_word_each_is_charged(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        end(house, await forwarded(house, headers=()))
        end(house, await forwarded(house, target="/v1/once"))
        assert isinstance(await pay(house, target="/v1/once"), Answer)

    house = inside(tmp_path, work, **RELAXED)
    assert used(house, "spend/") == 100


def test_another_request_under_the_key_is_refused_and_charged_nothing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        end(house, await forwarded(house))
        for changed in ({"body": b"{}"}, {"target": "/v1/pay?x=1"}):
            answer = await pay(house, **changed)  # type: ignore[arg-type]
            assert isinstance(answer, Answer)
            assert (answer.status, body_of(answer)["code"]) == (422, "idempotency_conflict")
        end(house, await forwarded(house))  # the first goes on to be repeated

    house = inside(tmp_path, work, **RELAXED)
    assert (used(house, "spend/"), used(house, "rate/")) == (50, 2)
    assert house.tally.requests["block", "idempotency_conflict", "api:pay"] == 2


def test_a_repeat_that_a_rate_refuses_is_refused(tmp_path: Path) -> None:
    """And so is one too many at the same time: neither is paid for by the first."""

    async def work(house: House) -> None:
        first, second = await forwarded(house), await forwarded(house)
        answer = await pay(house)
        assert isinstance(answer, Answer)
        assert body_of(answer)["code"] == "concurrency_limited"
        end(house, first)
        end(house, second)
        for _ in range(7):
            end(house, await forwarded(house))
        answer = await pay(house)
        assert isinstance(answer, Answer)
        assert body_of(answer)["code"] == "rate_limited"

    house = inside(tmp_path, work, **RELAXED)
    assert used(house, "spend/") == 50


def test_a_repeat_needs_no_budget_and_is_told_what_is_left(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        end(house, await forwarded(house))
        end(house, await forwarded(house, headers=()))  # 20 cents are left
        assert isinstance(await pay(house, headers=()), Answer)
        again = await forwarded(house)
        assert headers_of(again)["passport-budget"].startswith("remaining_cents=20,")

    inside(tmp_path, work, **RELAXED)


def test_what_was_never_sent_leaves_the_key_free(tmp_path: Path) -> None:
    """Also for another request, and that one is charged."""

    async def work(house: House) -> None:
        end(house, await forwarded(house), sent=False)
        assert used(house, "spend/") == 0
        end(house, await forwarded(house, body=b"{}"))

    house = inside(tmp_path, work, **RELAXED)
    assert used(house, "spend/") == owed_by_log(house, "spend/") == 50
    assert not any("repeated" in line["idempotency"] for line in house.lines("decision"))


def test_a_repeat_in_flight_pays_where_the_first_was_never_sent(tmp_path: Path) -> None:
    """Else two requests that overlap would be one for nothing."""

    async def work(house: House) -> None:
        first, second = await forwarded(house), await forwarded(house)
        end(house, first, sent=False)
        end(house, second)

    house = inside(tmp_path, work, **RELAXED)
    assert used(house, "spend/") == owed_by_log(house, "spend/") == 50


def test_the_key_is_free_again_where_the_log_could_not_be_written(tmp_path: Path) -> None:
    """Strict: what is not on disk is not forwarded, so it is not the first of anything."""

    async def work(house: House) -> None:
        def full(_: int) -> None:
            raise OSError(28, "no space")

        house.sync = full
        answer = await pay(house)
        assert isinstance(answer, Answer)
        assert answer.status == 503
        assert used(house, "spend/") == 0

    inside(tmp_path, work, actions={"routes": ROUTES})


def test_a_request_that_costs_nothing_has_its_key_all_the_same(tmp_path: Path) -> None:
    """A conflict is one without any counter too."""

    async def work(house: House) -> None:
        passport = house.mint()
        for body, expected in ((b"a", Forward), (b"a", Forward), (b"b", Answer)):
            step = await house.ask("POST", "/v1/free", passport, body=body, headers=KEY)
            assert isinstance(step, expected)
            if isinstance(step, Forward):
                end(house, step)

    house = inside(tmp_path, work, **RELAXED)
    lines = house.lines("decision")
    assert [line["idempotency"].get("repeated", False) for line in lines] == [False, True, False]
    assert [line["decision"] for line in lines] == ["allow", "allow", "block"]
