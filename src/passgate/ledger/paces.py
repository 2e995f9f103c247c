"""How fast subjects are and were: what the core's watches are answered from, in bounded memory."""

from typing import Final

from passgate.core.constraints.base import Watch
from passgate.core.generations import Generations
from passgate.core.instant import Instant
from passgate.ledger.sliding_window import GREATEST, SlidingWindow

MOST_PACES: Final = 100_000
"""Subjects whose paces are kept; of more, those that were used last."""


class Paces:
    """The paces of subjects, in this process alone: they begin anew when it does.

    Bounded by forgetting who was not looked at for longest. Who is forgotten begins anew, without a
    baseline; somebody who goes on is not forgotten, whoever else comes.
    """

    def __init__(self, most: int = MOST_PACES) -> None:
        self._paces: Generations[tuple[str, int, int], _Pace] = Generations(max(1, most // 2))

    def __len__(self) -> int:
        return len(self._paces)

    def exceeded(self, watch: Watch, now: Instant) -> bool:
        """Whether one more request now would be too many; counts nothing."""
        pace = self._paces.find((watch.subject, watch.window_s, watch.baseline_s))
        if pace is None:
            return False
        ms = int(now.boot * 1000)
        recent, before, over_s = pace.known(ms, watch)
        return watch.exceeded(recent + 1, before, over_s)

    def count(self, watch: Watch, now: Instant) -> None:
        """One request has passed."""
        key = (watch.subject, watch.window_s, watch.baseline_s)
        pace = self._paces.find(key)
        if pace is None:
            pace = _Pace(watch)
            self._paces.keep(key, pace)
        pace.count(int(now.boot * 1000))


class _Pace:
    """One subject's requests over the window, and over that together with the baseline."""

    __slots__ = ("all", "recent", "since_ms")

    def __init__(self, watch: Watch) -> None:
        self.recent = SlidingWindow(watch.window_s * 1000)
        self.all = SlidingWindow((watch.window_s + watch.baseline_s) * 1000)
        self.since_ms = 0

    def known(self, ms: int, watch: Watch) -> tuple[int, int, int]:
        """How many in the window, how many in the baseline, and over how many seconds of that."""
        recent = self.recent.used_at(ms, 0.0)
        before = self.all.used_at(ms, 0.0) - recent
        over_s = (ms - self.since_ms) // 1000 - watch.window_s
        return recent, before, max(1, min(over_s, watch.baseline_s))

    def count(self, ms: int) -> None:
        if not self.all.used_at(ms, 0.0):
            self.since_ms = ms
        self.all.take(ms, 0.0, 1, GREATEST)
        self.recent.take(ms, 0.0, 1, GREATEST)
