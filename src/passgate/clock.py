"""Where time enters the program; everything else is handed an `Instant` or a `Clock`."""

import time
from collections.abc import Callable
from typing import TypeAlias

from passgate.core.instant import Instant

Clock: TypeAlias = Callable[[], Instant]

# CLOCK_BOOTTIME also counts a suspended machine's sleep, so trust ages while a laptop is closed.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def system_clock() -> Instant:
    """The machine's own time, now."""
    return Instant(time.time(), time.clock_gettime(_BOOT_CLOCK))
