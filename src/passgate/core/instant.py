"""One reading of both clocks, taken once per request and handed down."""

from dataclasses import dataclass


@dataclass(init=False, slots=True, unsafe_hash=True)
class Instant:
    """A moment, by the wall clock and by the clock that counts since boot.

    Both are seconds. `wall` is Unix time and may be set back by an operator or NTP; `boot` only
    moves forward, also while the machine sleeps. What ages is judged by the greater of the two.
    """

    wall: float
    boot: float

    def __init__(
        self,
        wall: float,
        boot: float,
    ) -> None:
        self.wall = wall
        self.boot = boot

    def age_of(self, earlier: "Instant") -> float:
        """Seconds since `earlier`, by whichever clock says more; never below zero."""
        # Speed: asked several times a request, and `max` of three takes twice as long.
        age = self.wall - earlier.wall
        by_boot = self.boot - earlier.boot
        if by_boot > age:
            age = by_boot
        return age if age > 0.0 else 0.0
