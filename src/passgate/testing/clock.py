"""A clock that tests drive."""

import asyncio

from passgate.core.instant import Instant


class ManualClock:
    """A clock that stands still until `advance`; it is a `passgate.clock.Clock`.

    `wait` is to be injected where the program would sleep: it returns once time has moved that far.
    """

    def __init__(self, wall: float = 1_800_000_000.0, boot: float = 10_000.0) -> None:
        self.wall = wall
        self.boot = boot
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> Instant:
        return Instant(self.wall, self.boot)

    def advance(self, seconds: float) -> None:
        """Moves both clocks forward and wakes whoever waited for no longer than that."""
        self.wall += seconds
        self.boot += seconds
        due = [entry for entry in self._sleepers if entry[0] <= self.boot]
        self._sleepers = [entry for entry in self._sleepers if entry[0] > self.boot]
        for _, sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)

    def set_wall(self, wall: float) -> None:
        """Sets the wall clock as an operator would; the time since boot stays."""
        self.wall = wall

    async def wait(self, seconds: float) -> None:
        """Returns once `advance` has moved the clock by `seconds` from now."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.boot + seconds, sleeper))
        await sleeper
