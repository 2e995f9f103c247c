"""What the log asks of its volume: how full it is, and to make room again."""

import contextlib
import os
from pathlib import Path

from passgate.errors import DataError
from passgate.log.segments import list_segments
from passgate.log.settings import LogSettings


def used_percent(directory: Path) -> int:
    """How full the volume is for the gate, rounded up; 0 when the system does not say."""
    try:
        volume = os.statvfs(directory)
    except OSError:
        return 0
    used = volume.f_blocks - volume.f_bfree
    usable = used + volume.f_bavail
    return -(-100 * used // usable) if usable else 0


def remove_old(
    directory: Path, settings: LogSettings, wall: float, needed: int | None = None
) -> int:
    """Remove the segments that the settings no longer keep; returns the first leaf that is left.

    The newest segment always stays, and so does every one with a line from number `needed` on: the
    counters are not in a snapshot yet that far. A segment's age is that of its last write. What
    cannot be removed stays until the next time.
    """
    segments: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError, DataError):
        segments = list_segments(directory)
        sizes = [path.stat().st_size for _, path in segments]
        total = sum(sizes)
        while len(segments) > 1:
            path = segments[0][1]
            age = wall - path.stat().st_mtime
            too_old = settings.keep_age_s is not None and age > settings.keep_age_s
            too_much = settings.keep_bytes is not None and total > settings.keep_bytes
            if not (too_old or too_much) or (needed is not None and segments[1][0] > needed):
                break
            path.unlink()
            total -= sizes.pop(0)
            del segments[0]
    return segments[0][0] if segments else 0
