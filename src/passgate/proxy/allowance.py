"""What is left, told with every allowed answer: the draft `RateLimit` fields and the budget."""

from collections.abc import Iterable
from functools import lru_cache

from passgate.core.constraints.base import Charge


def allowance_lines(balances: Iterable[tuple[Charge, int, int | None]]) -> bytes:
    """`RateLimit`, `RateLimit-Policy` for the tightest rate, and `Passport-Budget` for the tightest
    budget, as header lines (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4).

    Tightest is what has the smallest share of its limit left.
    """
    rate = budget = None
    rate_share = budget_share = 2.0
    for balance in balances:
        charge, remaining, _ = balance
        limit = charge.limit
        share = remaining / limit if limit else 0.0
        if charge.kind == "spend":
            if share < budget_share:
                budget, budget_share = balance, share
        elif charge.kind == "rate" and share < rate_share:
            rate, rate_share = balance, share
    lines = b""
    if rate is not None:
        charge, remaining, reset_s = rate
        policy = _policy_line(charge.constraint, charge.limit, charge.window)
        lines = b"%b%d;t=%d\r\n" % (policy, remaining, reset_s or 0)
    if budget is not None:
        charge, remaining, reset_s = budget
        lines += b"Passport-Budget: remaining_cents=%d, window=%b, reset=%d\r\n" % (
            remaining,
            _window(charge.window),
            reset_s or 0,
        )
    return lines


# Few limits are in force at a time, whoever they are for.
@lru_cache(maxsize=1024)
def _policy_line(constraint: str, limit: int, window: int | str) -> bytes:
    name = constraint.rpartition(":")[2].encode()
    return b'RateLimit-Policy: "%b";q=%d;w=%d\r\nRateLimit: "%b";r=' % (
        name,
        limit,
        int(window),
        name,
    )


@lru_cache(maxsize=1024)
def _window(window: int | str) -> bytes:
    return (f"{window}s" if isinstance(window, int) else window).encode()
