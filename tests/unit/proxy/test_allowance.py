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
    """No header without a limit."""
    assert allowance_lines(()) == b""


def test_a_total_has_no_window_and_no_reset() -> None:
    """Time gives nothing of it back."""
    lines = allowance_lines((balance("core:rate:max_total", "total", "total", 1, 5, None),))

    assert lines == b'RateLimit-Policy: "max_total";q=5\r\nRateLimit: "max_total";r=1\r\n'


def test_how_many_may_run_at_once_is_told_where_nothing_else_is() -> None:
    """Whoever waits for each answer must not take the slot that it has for the last one."""
    running = balance("core:rate:max_concurrent", "concurrent", "now", 0, 1, None)

    assert allowance_lines((running,)) == (
        b'RateLimit-Policy: "max_concurrent";q=1;qu="concurrent-requests"\r\n'
        b'RateLimit: "max_concurrent";r=0\r\n'
    )
    rate = balance("core:rate:max_per_minute", "rate", 60, 3, 9)
    assert allowance_lines((running, rate)) == allowance_lines((rate,))


def test_the_tightest_rate_is_that_with_the_least_left() -> None:
    """Not that with the least share: as many as told must pass."""
    lines = allowance_lines(
        (
            balance("core:rate:max_per_hour", "rate", 3600, 50, 1000, 1800),
            balance("core:rate:max_per_minute", "rate", 60, 9, 10, 41),
        )
    )

    assert lines == (
        b'RateLimit-Policy: "max_per_minute";q=10;w=60\r\nRateLimit: "max_per_minute";r=9;t=41\r\n'
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
    assert "Passport-Budget: remaining_cents=10, window=monthly\r\n" in lines
    assert lines.count("\r\n") == 3


def test_of_two_that_are_as_tight_the_longer_is_told() -> None:
    """What is used up comes back with the last of them; what never comes back is the longest."""
    rates = (
        balance("core:rate:max_per_minute", "rate", 60, 0, 2, 60),
        balance("core:rate:max_per_hour", "rate", 3600, 0, 4, 3600),
    )
    total = balance("core:rate:max_total", "total", "total", 0, 4, None)

    assert b"max_per_hour" in allowance_lines(rates)
    assert b"max_per_hour" in allowance_lines(reversed(rates))
    assert b"max_total" in allowance_lines((*rates, total))
    budgets = (
        balance("core:cost:max_cumulative", "spend", "daily", 7, 9, 60),
        balance("core:cost:max_cumulative", "spend", "weekly", 7, 9, 600),
    )
    assert b"weekly" in allowance_lines(budgets)


def test_of_two_that_are_the_same_the_first_is_told() -> None:
    """In the order in which they are owed."""
    lines = allowance_lines(
        (
            balance("core:rate:max_per_minute", "rate", 60, 1, 2),
            balance("core:rate:max_per_hour", "rate", 3600, 1, 4),
        )
    )

    assert b"max_per_minute" in lines


def test_a_limit_of_nothing_is_used_up() -> None:
    """And no reason to divide by it."""
    assert b"r=0" in allowance_lines((balance("core:rate:max_per_minute", "rate", 60, 0, 0),))
