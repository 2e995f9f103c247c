"""Terms: what a catalog asks, in whole cents and exactly, up to the greatest sum there is."""

from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.core.catalog import parse_catalog
from passgate.core.facts import NO_FACTS
from passgate.core.pricing import (
    GREATEST_CENTS,
    NO_TERMS,
    Terms,
    fee_cents,
    read_terms,
    started_minutes,
)

CENTS = st.integers(0, GREATEST_CENTS)


@pytest.mark.parametrize(
    ("values", "cost", "free", "minute"),
    [
        ({}, None, 0, 0),
        ({"per_call_cents": 0}, 0, 0, 0),
        ({"per_call_cents": 5}, 5, 0, 0),
        ({"per_minute_cents": 2}, 2, 0, 2),
        ({"per_minute_cents": 0}, None, 0, 0),
        ({"per_call_cents": 5, "per_minute_cents": 2}, 7, 0, 2),
        ({"per_call_cents": 5, "free_tier_calls": 3}, 5, 3, 0),
        ({"free_tier_calls": 3}, None, 0, 0),
        ({"per_call_cents": 0, "free_tier_calls": 3}, 0, 0, 0),
    ],
)
def test_a_price_is_the_call_and_its_first_minute(
    values: dict[str, int], cost: int | None, free: int, minute: int
) -> None:
    """Free calls are only free where a call costs anything."""
    terms = read_terms({f"core:pricing:{name}": value for name, value in values.items()})
    assert terms.cost_cents == cost
    assert terms.facts.cost_cents == (cost or 0)
    assert (terms.facts.free_calls, terms.facts.minute_cents) == (free, minute)


def test_no_terms_are_one_and_the_same() -> None:
    assert read_terms({"core:rate:max_per_minute": 3}) is NO_TERMS
    assert NO_TERMS.facts is NO_FACTS
    assert Terms(fee_recipient="x").facts is NO_FACTS


def test_the_currency_is_known_without_a_price() -> None:
    assert read_terms({"core:pricing:currency": "EUR"}).facts.currency == "EUR"


def test_a_price_that_no_counter_holds_is_not_offered() -> None:
    """The greatest sum is; one cent more is named as the problem of its entry."""

    def offered(call: int, minute: int) -> int:
        terms = {"core:pricing:per_call_cents": call, "core:pricing:per_minute_cents": minute}
        entry = {"key": "a:b", "constraints": terms}
        return parse_catalog({"permissions": [entry]}).entries["a:b"].terms.facts.cost_cents

    assert offered(GREATEST_CENTS - 1, 1) == GREATEST_CENTS
    with pytest.raises(ValueError, match=r"entry 1 of the catalog: .*together be at most"):
        offered(GREATEST_CENTS, 1)


@pytest.mark.parametrize(
    ("cost", "points", "fee"),
    [
        (0, 250, 0),
        (1, 1, 1),
        (10_000, 1, 1),
        (10_001, 1, 2),
        (50, 250, 2),
        (100, 10_000, 100),
        (100, 0, 0),
        (GREATEST_CENTS, 10_000, GREATEST_CENTS),
        (GREATEST_CENTS, 9_999, 9_006_298_534_815_517),
        (GREATEST_CENTS, 1, 900_719_925_475),
    ],
)
def test_a_fee_is_rounded_up(cost: int, points: int, fee: int) -> None:
    assert fee_cents(cost, points) == fee


@given(CENTS, st.integers(0, 10_000))
def test_a_fee_is_exact_and_never_more_than_the_cost(cost: int, points: int) -> None:
    """As decimals and fractions have it, which a float would miss from 2^53 / 10000 on."""
    fee = fee_cents(cost, points)
    exact = Decimal(cost) * points / 10_000
    assert type(fee) is int
    assert fee == int(exact.to_integral_value(ROUND_CEILING))
    assert 0 <= fee - Fraction(cost * points, 10_000) < 1
    assert fee <= cost


@pytest.mark.parametrize(
    ("ms", "minutes"),
    [(0, 1), (1, 1), (59_999, 1), (60_000, 1), (60_001, 2), (120_000, 2), (120_001, 3)],
)
def test_a_minute_counts_once_it_has_begun(ms: int, minutes: int) -> None:
    assert started_minutes(ms) == minutes
