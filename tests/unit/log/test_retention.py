"""Removing old segments, and what keeps them."""

from pathlib import Path

from passgate.log.retention import remove_old
from passgate.log.segments import list_segments, segment_path
from passgate.log.settings import LogSettings


def test_lines_that_counters_still_need_stay(tmp_path: Path) -> None:
    """However little is to be kept, no segment goes that a snapshot does not cover yet."""
    for first in (0, 10, 20, 30):
        segment_path(tmp_path, first).write_bytes(b"x" * 1000)
    settings = LogSettings(keep_bytes=0)

    assert remove_old(tmp_path, settings, 0.0, needed=15) == 10
    assert [first for first, _ in list_segments(tmp_path)] == [10, 20, 30]
    assert remove_old(tmp_path, settings, 0.0, needed=20) == 20
    assert remove_old(tmp_path, settings, 0.0) == 30
