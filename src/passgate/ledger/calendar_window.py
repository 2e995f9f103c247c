"""A calendar window: what was taken since the day, week or month began, in UTC, or ever."""

from functools import lru_cache
from math import inf
from typing import Final

from passgate.ledger.sliding_window import GREATEST

DAY_S: Final = 86_400
UNITS: Final = ("daily", "weekly", "monthly", "total")


class CalendarWindow:
    """What was taken in the current window of `unit`; it begins anew when that has ended."""

    __slots__ = ("unit", "used", "window")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.window: tuple[float, float] = (-inf, -inf)  # start, end; shared by all of one unit
        self.used = 0

    def take(self, ms: int, wall: float, amount: int, limit: int) -> bool:
        """Takes `amount` if then no more than `limit` is used, else nothing."""
        if wall >= self.window[1]:
            self._move_to(wall)
        used = self.used + amount
        if used > limit or used > GREATEST:
            return False
        self.used = used
        return True

    def put(self, ms: int, wall: float, amount: int) -> None:
        """Counts what has been taken already, whatever the limit was."""
        self._move_to(wall)
        self.used += amount

    def give_back(self, ms: int, wall: float, amount: int) -> None:
        """Gives back what was taken at `wall`, if that was in the current window."""
        if wall >= self.window[0]:
            self.used -= min(amount, self.used)

    def used_at(self, ms: int, wall: float) -> int:
        """What counts at that moment."""
        self._move_to(wall)
        return self.used

    def wait_s(self, ms: int, wall: float, amount: int, limit: int) -> int | None:
        """Whole seconds until `amount` fits if nobody takes more; None if it never will."""
        if amount > limit:
            return None
        if self.used_at(ms, wall) + amount <= limit:
            return 0
        return self._ends_in_s(wall)

    def left(self, ms: int, wall: float, limit: int) -> tuple[int, int | None]:
        """What is left of `limit`, and whole seconds until the next window, None without one."""
        if wall >= self.window[1]:
            self._move_to(wall)
        used = self.used
        end = self.window[1]
        reset_s = None if end == inf else int(-((wall - end) // 1))
        return (limit - used if limit > used else 0), reset_s

    def dead(self, ms: int, wall: float) -> bool:
        """Whether forgetting this counter changes nothing."""
        return not self.used or wall >= self.window[1]

    def state(self) -> tuple[int, int, bytes]:
        """Everything that `restore` needs."""
        start = self.window[0]
        return 0 if start == -inf else int(start), self.used, b""

    def restore(self, state: tuple[int, int, bytes]) -> None:
        """Takes up where `state` left off."""
        start, self.used, _ = state
        self.window = window_of(self.unit, start // DAY_S)

    def _ends_in_s(self, wall: float) -> int | None:
        end = self.window[1]
        return None if end == inf else int(-((wall - end) // 1))

    def _move_to(self, wall: float) -> None:
        if wall >= self.window[1]:
            self.window = window_of(self.unit, int(wall // DAY_S))
            self.used = 0


@lru_cache(maxsize=64)
def window_of(unit: str, day: int) -> tuple[float, float]:
    """Start and end, in Unix seconds, of the window that day number `day` since 1970 lies in.

    Weeks begin on Monday. The memo makes every counter of one window share one tuple.
    """
    if unit == "total":
        return (-inf, inf)
    if unit == "daily":
        first, after = day, day + 1
    elif unit == "weekly":
        first = day - (day + 3) % 7  # day 0 was a Thursday
        after = first + 7
    else:
        year, month = _month_of(day)
        first = _first_day(year, month)
        after = _first_day(year + month // 12, month % 12 + 1)
    return (float(first * DAY_S), float(after * DAY_S))


# Civil dates by day number, without datetime's last year 9999, which a broken clock may pass.
# Years begin on 1 March inside, so that the leap day is the last of them; eras are 400 years.


def _month_of(day: int) -> tuple[int, int]:
    era, of_era = divmod(day + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    march_based = (5 * of_year + 2) // 153
    month = march_based + 3 if march_based < 10 else march_based - 9
    return era * 400 + year + (month <= 2), month


def _first_day(year: int, month: int) -> int:
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
