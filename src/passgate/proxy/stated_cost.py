"""What an upstream says that a request has cost: `X-Passport-Cost-Cents`, in its answer, once.

The header never goes any further, in either direction. It counts on routes that say so
(`cost_from_upstream`), in a whole answer below 500, and never above what was reserved: an answer
that failed, or that nobody waited for, keeps its full price, or spending would be free.
"""

from typing import Final

COST: Final = b"x-passport-cost-cents"
"""The name of the header or trailer, in lower case."""

# What became of a statement, as the outcome tells it.
APPLIED: Final = "applied"
CLAMPED: Final = "clamped"
MALFORMED: Final = "malformed"
IGNORED: Final = "ignored"

_MOST_DIGITS: Final = 16  # as many as the greatest cost has


def also_stated(before: bytes, value: bytes) -> bytes:
    """All that was said so far, as one text: digits alone only if they were said once."""
    return b"%b,%b" % (before, value) if before else value or b","


def corrected(reserved_cents: int, stated: bytes, *, counts: bool) -> tuple[int, str]:
    """What a request costs after all, in cents, and what became of what was `stated`.

    Digits alone, at most what was reserved; anything else keeps the full reservation. `counts`:
    the answer is one in which a statement counts.
    """
    if not counts:
        return reserved_cents, IGNORED
    if not stated.isdigit():
        return reserved_cents, MALFORMED
    digits = stated.lstrip(b"0")
    # Python refuses to read numbers of thousands of digits, and there is no need to.
    cents = int(digits or b"0") if len(digits) <= _MOST_DIGITS else reserved_cents + 1
    return (reserved_cents, CLAMPED) if cents > reserved_cents else (cents, APPLIED)
