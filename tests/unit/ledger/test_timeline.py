"""The ledger's time."""

from passgate.core.instant import Instant
from passgate.ledger.timeline import Timeline


def test_both_scales_follow_a_clock_that_runs_right() -> None:
    time = Timeline()
    assert time.see(Instant(1000.25, 5.0)) == 1_000_250
    assert time.see(Instant(1001.5, 6.25)) == 1_001_500
    assert time.wall == 1001.5


def test_an_earlier_moment_counts_as_the_latest_seen() -> None:
    time = Timeline()
    time.see(Instant(1000.0, 5.0))
    assert time.see(Instant(999.0, 4.0)) == 1_000_000
    assert time.wall == 1000.0


def test_sliding_windows_go_on_by_the_boot_clock_when_the_wall_clock_is_set_back() -> None:
    time = Timeline()
    time.see(Instant(10_000.0, 5.0))
    assert time.see(Instant(6_400.0, 65.0)) == 10_060_000
    assert time.wall == 10_000.0


def test_midnight_is_right_again_once_the_wall_clock_has_caught_up() -> None:
    time = Timeline()
    time.see(Instant(10_000.0, 5.0))
    time.see(Instant(6_400.0, 65.0))
    time.see(Instant(10_500.0, 4_165.0))
    assert time.wall == 10_500.0


def test_a_restart_goes_on_from_what_was_seen_before_it() -> None:
    """Also when the clock was set back meanwhile: then at the boot clock's pace, not at a stand."""
    time = Timeline()
    time.restore(9_000.0, 10_000.0)
    assert time.see(Instant(8_000.0, 1.0)) == 10_000_000
    assert time.see(Instant(8_060.0, 61.0)) == 10_060_000
    assert time.wall == 9_000.0


def test_times_of_the_log_only_move_it_forward() -> None:
    time = Timeline()
    assert time.see_written(100.0) == 100_000
    assert time.see_written(90.0) == 100_000
    time.restore(0.0, 500.0)
    assert time.see_written(200.0) == 500_000
    assert time.wall == 200.0
