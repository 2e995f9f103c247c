"""What is left, told with an answer: the draft's `RateLimit` fields and the budget.

The draft is draft-ietf-httpapi-ratelimit-headers-10. Told is the tightest of each, so that exactly
what is told passes if nobody else takes from it.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.ledger.protocol import Shortfall

_FOREVER: Final = 1 << 62


def allowance_lines(balances: Iterable[tuple[Charge, int, int | None]]) -> bytes:
    """`RateLimit-Policy` and `RateLimit` of the tightest rate or total, and `Passport-Budget` of
    the tightest budget, as header lines.

    Tightest is where the least is left, and of those the one that takes the longest to come back.
    How many may run at once is told where nothing else limits how many there are: it says nothing
    about who waits for each answer.
    """
    rate = budget = running = None
    rate_left = budget_left = running_left = _FOREVER
    rate_reset = budget_reset = 0
    for balance in balances:
        charge, remaining, reset_s = balance
        kind = charge.kind
        reset = _FOREVER if reset_s is None else reset_s
        if kind == "spend":
            if remaining < budget_left or (remaining == budget_left and reset > budget_reset):
                budget, budget_left, budget_reset = balance, remaining, reset
        elif kind == "rate" or kind == "total":
            if remaining < rate_left or (remaining == rate_left and reset > rate_reset):
                rate, rate_left, rate_reset = balance, remaining, reset
        elif kind == "concurrent" and remaining < running_left:
            running, running_left = balance, remaining
    rate = rate or running
    lines = b""
    if rate is not None:
        charge, remaining, reset_s = rate
        lines = _rate_lines(charge, remaining, reset_s)
    if budget is not None:
        charge, remaining, reset_s = budget
        lines += _budget_line(charge, remaining, reset_s)
    return lines


def shortfall_lines(short: Shortfall, retry_after_s: int | None) -> bytes:
    """The same of the limit that a request does not fit into; it could after `retry_after_s`."""
    charge = short.charge
    if charge.kind == "spend":
        return _budget_line(charge, short.remaining, retry_after_s)
    return _rate_lines(charge, short.remaining, retry_after_s)


def _rate_lines(charge: Charge, remaining: int, reset_s: int | None) -> bytes:
    policy = _policy_line(charge.constraint, charge.limit, charge.kind, charge.window)
    if reset_s is None:
        return b"%b%d\r\n" % (policy, remaining)
    return b"%b%d;t=%d\r\n" % (policy, remaining, reset_s)


def _budget_line(charge: Charge, remaining: int, reset_s: int | None) -> bytes:
    line = b"Passport-Budget: remaining_cents=%d, window=%b" % (remaining, _window(charge.window))
    return line + (b"\r\n" if reset_s is None else b", reset=%d\r\n" % reset_s)


# Few limits are in force at a time, whoever they are for.
@lru_cache(maxsize=1024)
def _policy_line(constraint: str, limit: int, kind: str, window: int | str) -> bytes:
    name = constraint.rpartition(":")[2].encode()
    unit = b""
    if isinstance(window, int):
        unit = b";w=%d" % window
    elif kind == "concurrent":
        unit = b';qu="concurrent-requests"'
    return b'RateLimit-Policy: "%b";q=%d%b\r\nRateLimit: "%b";r=' % (name, limit, unit, name)


@lru_cache(maxsize=1024)
def _window(window: int | str) -> bytes:
    return (f"{window}s" if isinstance(window, int) else window).encode()
