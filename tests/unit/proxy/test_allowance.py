"""What is left, as header lines: the tightest rate, and the tightest budget."""

import pytest

from passgate.core.constraints.base import Charge
from passgate.ledger.protocol import Balance
from passgate.proxy.allowance import allowance_lines


def balance(
    constraint: str,
    kind: str,
    window: int | str,
    remaining: int,
    limit: int,
    reset_s: int | None = 30,
) -> Balance:
    return Balance(Charge("c", kind, window, 1, limit, constraint), remaining, reset_s)


def test_nothing_is_told_where_nothing_is_limited() -> None:
    """No header without a rate or a budget; totals and concurrency are neither."""
    assert allowance_lines(()) == b""
    assert (
        allowance_lines(
            (
                balance("core:rate:max_total", "total", "total", 1, 5, None),
                balance("core:rate:max_concurrent", "concurrent", "now", 1, 5, None),
            )
        )
        == b""
    )


def test_the_tightest_rate_is_that_with_the_least_share_left() -> None:
    """Not that with the least number left."""
    lines = allowance_lines(
        (
            balance("core:rate:max_per_minute", "rate", 60, 9, 10, 41),
            balance("core:rate:max_per_hour", "rate", 3600, 50, 1000, 1800),
        )
    )

    assert lines == (
        b'RateLimit-Policy: "max_per_hour";q=1000;w=3600\r\n'
        b'RateLimit: "max_per_hour";r=50;t=1800\r\n'
    )


@pytest.mark.parametrize(
    ("window", "shown"), [("daily", b"daily"), ("total", b"total"), (5400, b"5400s")]
)
def test_a_budget_names_its_window(window: int | str, shown: bytes) -> None:
    """A calendar window by its name, a rolling one by its seconds."""
    lines = allowance_lines((balance("core:cost:max_cumulative", "spend", window, 450, 500, 60),))

    assert lines == b"Passport-Budget: remaining_cents=450, window=%b, reset=60\r\n" % shown


def test_rate_and_budget_stand_beside_each_other() -> None:
    """Of several budgets the tightest, too."""
    lines = allowance_lines(
        (
            balance("core:cost:max_cumulative", "spend", "daily", 400, 500),
            balance("core:cost:max_cumulative", "spend", "monthly", 10, 5000, None),
            balance("anonymous:rate_limit_per_minute", "rate", 60, 0, 5),
        )
    ).decode()

    assert '"rate_limit_per_minute";r=0;t=30' in lines
    assert "Passport-Budget: remaining_cents=10, window=monthly, reset=0" in lines
    assert lines.count("\r\n") == 3


def test_of_two_that_are_as_tight_the_first_is_told() -> None:
    """In the order in which they are owed."""
    lines = allowance_lines(
        (
            balance("core:rate:max_per_minute", "rate", 60, 1, 2),
            balance("core:rate:max_per_hour", "rate", 3600, 2, 4),
        )
    )

    assert b"max_per_minute" in lines


def test_a_limit_of_nothing_is_used_up() -> None:
    """And no reason to divide by it."""
    assert b"r=0" in allowance_lines((balance("core:rate:max_per_minute", "rate", 60, 0, 0),))
