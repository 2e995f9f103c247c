"""What differs between two catalogs, and what of it breaks what holders agreed to."""

from typing import Any

import pytest
from tests.support.published import PRICE

from passgate.catalog import changes_between
from passgate.core.catalog import parse_catalog


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    old, new = (parse_catalog({"permissions": each}).entries for each in (before, after))
    return [
        (each.type, each.permission_key, each.key, each.breaking)
        for each in changes_between(old, new)
    ]


def of(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The changes of one entry whose constraints were `before` and are `after`."""
    old, new = ([{"key": "a:b", "constraints": each}] for each in (before, after))
    return [(kind, breaking) for kind, _, _, breaking in changes(old, new)]


def test_what_came_and_what_went() -> None:
    """A permission that is removed breaks; one that is added does not."""
    assert changes([{"key": "a:b"}, {"key": "a:c"}], [{"key": "a:c"}, {"key": "a:d"}]) == [
        ("permission_removed", "a:b", "", True),
        ("permission_added", "a:d", "", False),
    ]


def test_order_and_spelling_are_no_change() -> None:
    """What means the same is the same: other order, defaults written out, 5.0 for 5."""
    before = [{"key": "a:b", "constraints": {PRICE: 5, "core:rate:max_per_hour": 2}}, {"key": "c"}]
    after = [
        {"key": "c", "min_trust_tier": "L0", "constraints": {}},
        {"constraints": {"core:rate:max_per_hour": 2, PRICE: 5}, "key": "a:b"},
    ]
    assert changes(before, after) == []


@pytest.mark.parametrize(
    "term",
    [PRICE, "core:pricing:per_minute_cents", "core:pricing:subscription_cents"],
)
def test_a_price_that_goes_up_breaks(term: str) -> None:
    """Also one that comes where there was none."""
    assert of({term: 5}, {term: 6}) == [("price_up", True)]
    assert of({term: 6}, {term: 5}) == [("price_down", False)]
    assert of({}, {term: 5}) == [("price_up", True)]
    assert of({term: 5}, {}) == [("price_down", False)]
    assert of({}, {term: 0}) == [("price_down", False)]


def test_fewer_calls_for_free_are_a_higher_price() -> None:
    """The free tier counts as the price that it takes away."""
    free = "core:pricing:free_tier_calls"
    assert of({free: 5}, {free: 4}) == [("price_up", True)]
    assert of({free: 5}, {}) == [("price_up", True)]
    assert of({}, {free: 4}) == [("price_down", False)]


def test_a_fee_that_goes_up_breaks() -> None:
    """Its recipient may change."""
    fee = "core:platform_fee:basis_points"
    assert of({}, {fee: 10}) == [("fee_up", True)]
    assert of({fee: 10}, {fee: 9}) == [("fee_down", False)]
    recipient = "core:platform_fee:recipient"
    assert of({recipient: "a"}, {recipient: "b"}) == [("terms_changed", False)]


@pytest.mark.parametrize(
    ("term", "better", "worse"),
    [
        ("core:sla:uptime_basis_points", 9990, 9900),
        ("core:sla:response_time_ms", 100, 200),
        ("core:sla:p99_response_ms", 100, 200),
        ("core:sla:guaranteed_response_ms", 100, 200),
    ],
)
def test_a_promise_that_is_less_breaks(term: str, better: int, worse: int) -> None:
    """A promise that is taken back is none at all."""
    assert of({term: better}, {term: worse}) == [("sla_down", True)]
    assert of({term: worse}, {term: better}) == [("sla_up", False)]
    assert of({term: better}, {}) == [("sla_down", True)]
    assert of({}, {term: worse}) == [("sla_up", False)]


@pytest.mark.parametrize(
    ("term", "before", "after"),
    [("core:pricing:currency", "EUR", "KWD"), ("core:pricing:model", "per_call", "flat")],
)
def test_what_cannot_be_compared_breaks(term: str, before: str, after: str) -> None:
    """A price in another currency may be any price."""
    assert of({term: before}, {term: after}) == [("terms_changed", True)]


def test_limits_and_words_are_told() -> None:
    """They hold for everybody at once, pinned or not, so they break no terms."""
    rate, hours = "core:rate:max_per_hour", "core:rate:max_per_day"
    assert of({rate: 5}, {rate: 4}) == [("constraint_changed", False)]
    assert of({rate: 5}, {hours: 4}) == [
        ("constraint_removed", False),
        ("constraint_added", False),
    ]
    before = [{"key": "a:b", "risk_level": "low", "min_trust_tier": "L1"}]
    after = [{"key": "a:b", "description": "New", "min_trust_tier": "L2"}]
    assert changes(before, after) == [
        ("member_changed", "a:b", "description", False),
        ("member_changed", "a:b", "risk_level", False),
        ("member_changed", "a:b", "min_trust_tier", False),
    ]


def test_a_change_is_told_with_what_was_and_what_is() -> None:
    """As the published document has it."""
    old, new = (
        parse_catalog({"permissions": [{"key": "a:b", "constraints": {PRICE: cents}}]}).entries
        for cents in (5, 8)
    )
    assert [change.as_json() for change in changes_between(old, new)] == [
        {
            "type": "price_up",
            "permission_key": "a:b",
            "breaking": True,
            "key": PRICE,
            "from": 5,
            "to": 8,
        }
    ]
    assert [change.as_json() for change in changes_between(old, {})] == [
        {"type": "permission_removed", "permission_key": "a:b", "breaking": True}
    ]
