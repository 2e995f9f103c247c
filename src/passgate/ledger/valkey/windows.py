"""How a counter's name says where and for how long the server keeps what was taken of it."""

from functools import lru_cache
from math import inf
from typing import Final

from passgate.ledger.calendar_window import DAY_S, UNITS, window_of

SLIDING: Final = 0
CALENDAR: Final = 1
CONCURRENT: Final = 2

_SLIDING: Final = frozenset({"rate", "spend", "replay"})
_USES: Final = frozenset({"total", "free"})

HEARTBEAT_S: Final = 1.0
GONE_MS: Final = 15_000
"""An owner unseen for so long has nothing in flight any more."""


class Shape:
    """What one kind of counter is: SLIDING with its length, CALENDAR with its unit, or CONCURRENT.

    `loss` says which rule of `OnLoss` it is under; uses that never come back are under that for
    spending. `cents` says that its leases are of money.
    """

    __slots__ = ("cents", "length_ms", "loss", "type", "unit")

    def __init__(self, type: int, length_ms: int, unit: str, loss: str) -> None:  # noqa: A002 - the name of the field
        self.type = type
        self.length_ms = length_ms
        self.unit = unit
        self.loss = loss
        self.cents = False


def shape_of(counter: str) -> Shape:
    """The shape of a counter called `<kind>/<window>/<subject>`; ValueError for no such name."""
    kind, _, rest = counter.partition("/")
    return _shape(kind, rest.partition("/")[0])


@lru_cache(maxsize=1024)
def _shape(kind: str, window: str) -> Shape:
    shape: Shape | None = None
    if kind == "concurrent" and window == "now":
        shape = Shape(CONCURRENT, GONE_MS, "", "rate")
    elif kind in _SLIDING and window.isascii() and window.isdigit() and int(window):
        shape = Shape(SLIDING, int(window) * 1000, "", kind)
    elif (kind == "spend" and window in UNITS) or (kind in _USES and window == "total"):
        shape = Shape(CALENDAR, 0, window, "spend")
    if shape is not None:
        shape.cents = kind == "spend"
        return shape
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
