"""What a charge that does not fit is refused with, by its kind."""

from collections.abc import Callable

from passgate.core.constraints.base import Charge
from passgate.core.reasons import Refusal


def refusal_for(charge: Charge, retry_after_s: int | None) -> Refusal:
    """The refusal for a charge that does not fit, with when it could at the earliest."""
    return _SHORTFALLS[charge.kind](charge.constraint, retry_after_s)


def _rate_limited(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal("rate_limited", "Too many requests.", key, retry_after_s)


def _used_up(key: str, _retry_after_s: int | None) -> Refusal:
    return Refusal("rate_limited", "The requests that were allowed are used up.", key)


def _concurrency_limited(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal(
        "concurrency_limited", "Too many requests at the same time.", key, retry_after_s or 1
    )


def _budget_exhausted(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal("budget_exhausted", "The budget does not cover this.", key, retry_after_s)


def _replayed(_key: str, _retry_after_s: int | None) -> Refusal:
    return Refusal("proof_replayed")  # the same proof never passes, however long one waits


_SHORTFALLS: dict[str, Callable[[str, int | None], Refusal]] = {
    "rate": _rate_limited,
    "total": _used_up,
    "concurrent": _concurrency_limited,
    "spend": _budget_exhausted,
    "free": _rate_limited,  # only where there is no room to count it
    "replay": _replayed,
}
