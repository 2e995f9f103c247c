"""All counters by name; those that no longer matter are forgotten, a few whenever one is made."""

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, TypeAlias

from passgate.core.constraints.subjects import root_of
from passgate.ledger.calendar_window import UNITS, CalendarWindow
from passgate.ledger.in_flight import InFlight
from passgate.ledger.sliding_window import SlidingWindow

Window: TypeAlias = SlidingWindow | CalendarWindow
Counter: TypeAlias = Window | InFlight

MOST_UNVOUCHED: Final = 100_000
MOST_DELEGATED: Final = 100_000
"""The most counters that passports below one root have at a time of their own."""

MOST_PROOFS: Final = 400_000
"""The most proofs of possession that are remembered at a time, some 270 bytes each."""

REPLAY: Final = "replay"
_SLIDING: Final = frozenset({"rate", "spend", REPLAY})
_INSPECTED: Final = 4  # more than one, so that the dead go faster than the new come
_INSPECTED_WHEN_FULL: Final = 16

_OF_PROOFS: Final = REPLAY + "/"

# What counts client addresses: constraints, the anonymous tier, and dry runs.
_ADDRESSES: Final = frozenset({"address", "anonymous", "checks"})


class Counters:
    """Counters by name, `<kind>/<window>/<subject>`.

    Memory follows what is live: each new counter pays for looking at a few others, and those whose
    window has passed, or of which nothing is used, go. Subjects that anybody can invent without an
    issuer's word (client addresses, self-issued passports) share at most `most_unvouched` counters,
    and proofs of possession, of which each makes one, at most `most_proofs`; so do passports that
    were delegated below one root, which its holder invents, `most_delegated`. A live one never
    makes room for a new one.
    """

    __slots__ = ("_most_delegated", "_of_root", "_proofs", "_unvouched", "_vouched", "by_name")

    def __init__(
        self,
        most_unvouched: int = MOST_UNVOUCHED,
        most_proofs: int = MOST_PROOFS,
        most_delegated: int = MOST_DELEGATED,
    ) -> None:
        self.by_name: dict[str, Counter] = {}
        self._of_root: dict[str, int] = {}
        self._most_delegated = most_delegated
        self._vouched = _Roster()
        self._unvouched = _Roster(most_unvouched)
        self._proofs = _Roster(most_proofs)

    def admit(self, name: str, ms: int, wall: float) -> Counter | None:
        """Makes the counter `name`; None where it belongs to the bounded ones and they are full."""
        roster = self._roster_of(name)
        self._sweep(roster, _INSPECTED, ms, wall)
        if self._is_full(roster, name):
            self._sweep(roster, _INSPECTED_WHEN_FULL, ms, wall)
            if self._is_full(roster, name):
                return None
        return self._make(name, roster)

    def any(self, name: str, ms: int, wall: float) -> Counter:
        """The counter `name`, made where it is missing, full or not: what was taken must count."""
        counter = self.by_name.get(name)
        if counter is None:
            roster = self._roster_of(name)
            self._sweep(roster, _INSPECTED, ms, wall)
            counter = self._make(name, roster)
        return counter

    def window(self, name: str, ms: int, wall: float) -> Window:
        """The window `name`, made where it is missing, full or not: what was taken must count.

        Raises ValueError where the name is no window's.
        """
        counter = self.any(name, ms, wall)
        if isinstance(counter, InFlight):
            raise ValueError(f"{name!r} is no window")  # noqa: TRY004 the name is wrong, no type
        return counter

    def restore(self, name: str, state: tuple[int, int, bytes]) -> None:
        """Makes the window `name` what it was when it gave `state`."""
        counter = self.by_name.get(name) or self._make(name, self._roster_of(name))
        if isinstance(counter, InFlight):
            raise ValueError(f"{name!r} is no window")  # noqa: TRY004 the name is wrong, no type
        counter.restore(state)

    def unused(self, name: str) -> Counter:
        """What the counter `name` is before it is used; it is not kept."""
        kind, _, rest = name.partition("/")
        return _maker(kind, rest.partition("/")[0])()

    def rosters(self) -> tuple[list[str], ...]:
        """The names of all counters. While `freeze` holds, a place in these lists never changes."""
        return self._vouched.names, self._unvouched.names, self._proofs.names

    def freeze(self, *, frozen: bool) -> None:
        """Whether names keep their places: then those of forgotten counters stay for the time."""
        for roster in (self._vouched, self._unvouched, self._proofs):
            roster.frozen = frozen

    def _roster_of(self, name: str) -> "_Roster":
        if name.startswith(_OF_PROOFS):
            return self._proofs
        parts = name.split("/", 2)
        unvouched = len(parts) == 3 and is_unvouched(parts[2])
        return self._unvouched if unvouched else self._vouched

    def _is_full(self, roster: "_Roster", name: str) -> bool:
        root = root_of(_subject_of(name))
        return roster.live >= roster.most or (
            root != "" and self._of_root.get(root, 0) >= self._most_delegated
        )

    def _sweep(self, roster: "_Roster", most: int, ms: int, wall: float) -> None:
        for name in roster.sweep(self.by_name, most, ms, wall):
            self._count(name, -1)

    def _make(self, name: str, roster: "_Roster") -> Counter:
        counter = self.by_name[name] = self.unused(name)
        roster.names.append(name)
        roster.live += 1
        self._count(name, 1)
        return counter

    def _count(self, name: str, change: int) -> None:
        root = root_of(_subject_of(name))
        if root:
            count = self._of_root.get(root, 0) + change
            if count:
                self._of_root[root] = count
            else:
                del self._of_root[root]


class _Roster:
    """Names of counters in no order, and how far the search for dead ones has come."""

    __slots__ = ("cursor", "frozen", "live", "most", "names")

    def __init__(self, most: int = sys.maxsize) -> None:
        self.names: list[str] = []
        self.most = most
        self.live = 0
        self.cursor = 0
        self.frozen = False

    def sweep(self, by_name: dict[str, Counter], most: int, ms: int, wall: float) -> list[str]:
        """Looks at the next `most` counters and forgets the dead ones, whose names it returns."""
        names = self.names
        forgotten: list[str] = []
        for _ in range(min(most, len(names))):
            if self.cursor >= len(names):
                self.cursor = 0
            name = names[self.cursor]
            counter = by_name.get(name)
            if counter is not None:
                if not counter.dead(ms, wall):
                    self.cursor += 1
                    continue
                del by_name[name]
                self.live -= 1
                forgotten.append(name)
            if self.frozen:
                self.cursor += 1
            else:
                names[self.cursor] = names[-1]
                names.pop()
        return forgotten


def _subject_of(name: str) -> str:
    """What follows kind and window in a counter's name; no subject holds a slash."""
    return name.rpartition("/")[2]


def is_unvouched(subject: str) -> bool:
    """Whether anybody can invent this subject, going by how `core.constraints.subjects` names."""
    what, _, rest = subject.partition("|")
    return what in _ADDRESSES or rest.startswith(("did%3A", "self%3A"))


@lru_cache(maxsize=1024)
def _maker(kind: str, window: str) -> Callable[[], Counter]:
    """What makes a counter; remembered, so that all of one length share one number."""
    if kind == "concurrent" and window == "now":
        return InFlight
    if kind in _SLIDING and window.isascii() and window.isdigit() and int(window):
        return partial(SlidingWindow, int(window) * 1000)
    if (kind == "spend" and window in UNITS) or (kind in {"total", "free"} and window == "total"):
        return partial(CalendarWindow, window)
    raise ValueError(f"no counter is called {kind}/{window}/…")
