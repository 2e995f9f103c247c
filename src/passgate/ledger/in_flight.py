"""A count of what is going on right now; time does not change it."""


class InFlight:
    """What was taken and has not ended yet; a restart ends everything, so nothing is kept of it."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0

    def take(self, ms: int, wall: float, amount: int, limit: int) -> bool:
        """Takes `amount` if then no more than `limit` is used, else nothing."""
        used = self.used + amount
        if used > limit:
            return False
        self.used = used
        return True

    def put(self, ms: int, wall: float, amount: int) -> None:
        """Counts what has begun already, whatever the limit was."""
        self.used += amount

    def give_back(self, ms: int, wall: float, amount: int) -> None:
        """Ends `amount` of what is in flight."""
        self.used -= min(amount, self.used)

    def used_at(self, ms: int, wall: float) -> int:
        """What is in flight."""
        return self.used

    def wait_s(self, ms: int, wall: float, amount: int, limit: int) -> int | None:
        """1 where something may end at any moment; None where `amount` never fits."""
        if amount > limit:
            return None
        return 1 if self.used + amount > limit else 0

    def left(self, ms: int, wall: float, limit: int) -> tuple[int, int | None]:
        """What is left of `limit`; and None, for nobody knows when a request ends."""
        return max(0, limit - self.used), None

    def dead(self, ms: int, wall: float) -> bool:
        """Whether forgetting this counter changes nothing."""
        return not self.used

    def state(self) -> None:
        """None: nothing of it is to be kept."""
