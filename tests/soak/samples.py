"""Memory, descriptors and threads of a process, second by second, and whether memory is flat."""

import math
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.peers import resident_mb

SHORT_S = 290
"""A run below this says nothing about memory."""

FLAT_SHARE = 0.03
"""The most that memory may rise from the third quarter to the last, as a share of what it is."""


@dataclass
class Samples:
    """What was seen of one process; lists of equal length."""

    pid: int
    second: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def take(self) -> None:
        """One more look."""
        process = Path(f"/proc/{self.pid}")
        self.second.append(round(time.monotonic() - self.began, 2))
        self.rss_mb.append(round(resident_mb(self.pid), 2))
        self.descriptors.append(len(os.listdir(process / "fd")))  # noqa: PTH208 - only how many
        self.threads.append(len(os.listdir(process / "task")))  # noqa: PTH208 - only how many

    def rise_mb(self) -> float:
        """The highest that memory was in the last quarter, over the highest in the one before.

        Peaks, since what is remembered within bounds comes and goes in waves of a minute.
        """
        half, last = len(self.rss_mb) // 2, len(self.rss_mb) * 3 // 4
        return max(self.rss_mb[last:]) - max(self.rss_mb[half : last + 1])

    def bound_mb(self) -> float:
        """What `rise_mb` may be at most; anything in a run too short for caches to fill."""
        if self.second[-1] < SHORT_S:
            return math.inf
        return FLAT_SHARE * statistics.median(self.rss_mb)
