"""How often and how many at once: sliding windows, uses in all, requests in flight."""

from collections.abc import Callable
from typing import Final

from passgate.core.constraints.base import Charge, Constraint
from passgate.core.constraints.values import count


def _counter(kind: str, window: int | str, key: str) -> Callable[[int, str], tuple[Charge, ...]]:
    def charge(limit: int, subject: str) -> tuple[Charge, ...]:
        return (Charge(f"{kind}/{window}/{subject}", kind, window, 1, limit, key),)

    return charge


def _per(key: str, order: int, window_s: int, unit: str, example: int) -> Constraint:
    return Constraint(
        key=key,
        order=order,
        parse=count,
        merge=min,
        value="a whole number of requests; 0 lets none pass",
        refuses=f"this many requests have passed within the last {unit} (`rate_limited`)",
        merging="the least",
        example=example,
        note=(
            f"The window slides: in no {unit} at all, wherever it begins, are more requests passed."
            " A refused request does not count."
        ),
        charge=_counter("rate", window_s, key),
    )


MAX_TOTAL: Final = "core:rate:max_total"
MAX_CONCURRENT: Final = "core:rate:max_concurrent"

ROWS: Final = (
    _per("core:rate:max_per_minute", 30, 60, "minute", 60),
    _per("core:rate:max_per_hour", 31, 3600, "hour", 500),
    _per("core:rate:max_per_day", 32, 86400, "day", 5000),
    Constraint(
        key=MAX_TOTAL,
        order=33,
        parse=count,
        merge=min,
        value="a whole number of requests; 0 lets none pass",
        refuses="this many requests have passed in all (`rate_limited`)",
        merging="the least",
        example=1000,
        note=(
            "What is used up does not come back: `Retry-After` then says when the passport ends,"
            " and another one may follow it."
        ),
        charge=_counter("total", "total", MAX_TOTAL),
    ),
    Constraint(
        key=MAX_CONCURRENT,
        order=34,
        parse=count,
        merge=min,
        value="a whole number of requests; 0 lets none pass",
        refuses="this many requests are in flight (`concurrency_limited`)",
        merging="the least",
        example=4,
        note="An open stream or WebSocket is one request in flight until it ends.",
        charge=_counter("concurrent", "now", MAX_CONCURRENT),
    ),
)
"""The rows of this family."""
