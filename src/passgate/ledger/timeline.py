"""The ledger's own time: it never stands still for a clock set back, and never goes back itself."""

from math import inf

from passgate.core.instant import Instant


class Timeline:
    """The latest moment seen, on the two scales that counters are kept by, in Unix seconds.

    `wall` is the latest wall time seen; calendar windows go by it, so setting the clock back
    neither reopens one nor moves midnight for longer than the clock was wrong. `steady` is never
    behind `wall` and goes on by the boot clock where the wall clock was set back, so that sliding
    windows, which go by it, keep sliding.
    """

    __slots__ = ("_lead", "steady", "wall")

    def __init__(self) -> None:
        self.wall = 0.0
        self.steady = 0.0
        self._lead = -inf  # what to add to the boot clock; known once that clock has been read

    def see(self, now: Instant) -> int:
        """Moves on to `now` where that is later, and returns `steady` in whole milliseconds."""
        wall = now.wall
        boot = now.boot
        steady = boot + self._lead
        if wall > steady:
            steady = max(wall, self.steady)
            self._lead = steady - boot
        if steady > self.steady:
            self.steady = steady
        else:
            steady = self.steady
        if wall > self.wall:
            self.wall = wall
        return int(steady * 1000)

    def restore(self, wall: float, steady: float) -> None:
        """Takes up where a timeline with these two left off."""
        self.wall = max(self.wall, wall)
        self.steady = max(self.steady, self.wall, steady)

    def see_written(self, wall: float) -> int:
        """Moves on to a time read from the log, of which only the wall clock is known."""
        if wall > self.wall:
            self.wall = wall
            if wall > self.steady:
                self.steady = wall
        return int(self.steady * 1000)
