"""How a counter's name says where and for how long the server keeps what was taken of it."""

from functools import lru_cache
from math import inf
from typing import Final

from passgate.ledger.calendar_window import DAY_S, UNITS, window_of

SLIDING: Final = 0
CALENDAR: Final = 1
CONCURRENT: Final = 2

_USES: Final = frozenset({"total", "free"})

HEARTBEAT_S: Final = 1.0
GONE_MS: Final = 15_000
"""An owner unseen for so long has nothing in flight any more."""


class Shape:
    """What one kind of counter is: SLIDING with its length, CALENDAR with its unit, or CONCURRENT.

    `spends` says that what was taken is money or a use that never comes back, so that the rules for
    spending apply to it; `cents` that its leases are of money.
    """

    __slots__ = ("cents", "length_ms", "spends", "type", "unit")

    def __init__(self, type: int, length_ms: int, unit: str, spends: bool, cents: bool) -> None:  # noqa: A002 - the name of the field
        self.type = type
        self.length_ms = length_ms
        self.unit = unit
        self.spends = spends
        self.cents = cents


def shape_of(counter: str) -> Shape:
    """The shape of a counter called `<kind>/<window>/<subject>`; ValueError for no such name."""
    kind, _, rest = counter.partition("/")
    return _shape(kind, rest.partition("/")[0])


@lru_cache(maxsize=1024)
def _shape(kind: str, window: str) -> Shape:
    cents = kind == "spend"
    if kind == "concurrent" and window == "now":
        return Shape(CONCURRENT, GONE_MS, "", False, False)
    if (
        kind in {"rate", "spend", "replay"}
        and window.isascii()
        and window.isdigit()
        and int(window)
    ):
        return Shape(SLIDING, int(window) * 1000, "", cents, cents)
    if (kind == "spend" and window in UNITS) or (kind in _USES and window == "total"):
        return Shape(CALENDAR, 0, window, True, cents)
    raise ValueError(f"no counter is called {kind}/{window}/…")


def is_shared(counter: str) -> bool:
    """Whether the server counts it: all but questions to the gate itself, which are its own."""
    return "/checks|" not in counter


def period(unit: str, server_ms: float) -> tuple[int, int]:
    """Start and end of the calendar window of a moment, in the server's milliseconds; 0: none."""
    start, end = window_of(unit, int(server_ms / 1000 // DAY_S))
    if end == inf:
        return 0, 0
    return int(start) * 1000, int(end) * 1000


def key_of(name: str, counter: str, start_ms: int) -> str:
    """The server's key of a counter, whose hash tag is the deployment's name."""
    return f"{{{name}}}:c:{counter}@{start_ms}" if start_ms else f"{{{name}}}:c:{counter}"
