"""Paces: who is faster than before, in bounded memory."""

from passgate.core.constraints.base import Watch
from passgate.core.instant import Instant
from passgate.ledger.paces import Paces

WATCH = Watch("core:safety:anomaly_suspend", "agent|iss|bot", 3, 300, 1800)


def at(seconds: float) -> Instant:
    return Instant(1_800_000_000.0 + seconds, 1000.0 + seconds)


def kept_up(paces: Paces, start: int, end: int, every_s: int, watch: Watch = WATCH) -> bool:
    """Whether one request every so many seconds was never too fast."""
    good = True
    for second in range(start, end, every_s):
        good = good and not paces.exceeded(watch, at(second))
        paces.count(watch, at(second))
    return good


def test_who_goes_on_is_never_too_fast() -> None:
    """From the first request on, and for hours, a steady pace is a usual one."""
    assert kept_up(Paces(), 0, 4 * 3600, 10)


def test_a_burst_after_a_baseline_is_too_fast_and_calms_down() -> None:
    """Ten times as fast is soon held; once the window has passed it is not any more."""
    paces = Paces()
    assert kept_up(paces, 0, 3600, 60)

    assert not kept_up(paces, 3600, 3900, 6)
    assert paces.exceeded(WATCH, at(3900))
    assert not paces.exceeded(WATCH, at(3900 + 310))


def test_a_burst_without_a_baseline_is_not_judged() -> None:
    """Who was never seen, or not for long, has no pace to compare with."""
    paces = Paces()
    assert kept_up(paces, 0, 299, 1)
    later = 299 + 2200
    assert kept_up(paces, later, later + 299, 1)


def test_looking_counts_nothing() -> None:
    """A question leaves no trace, not even of who was asked about."""
    paces = Paces()
    for _ in range(50):
        assert not paces.exceeded(WATCH, at(0))

    assert len(paces) == 0


def test_subjects_and_windows_have_paces_of_their_own() -> None:
    """What one does is not another's, and another window starts anew."""
    paces = Paces()
    kept_up(paces, 0, 3600, 60)
    kept_up(paces, 3600, 3900, 6)
    other = Watch(WATCH.constraint, "agent|iss|other", 3, 300, 1800)
    shorter = Watch(WATCH.constraint, WATCH.subject, 3, 60, 1800)

    assert paces.exceeded(WATCH, at(3900))
    assert not paces.exceeded(other, at(3900))
    assert not paces.exceeded(shorter, at(3900))
    assert len(paces) == 1


def test_memory_is_bounded_and_who_goes_on_stays() -> None:
    """However many come, no more are kept, and those in use are."""
    paces = Paces(most=20)
    kept_up(paces, 0, 3600, 60)
    kept_up(paces, 3600, 3900, 6)
    for number in range(1000):
        paces.count(Watch(WATCH.constraint, f"address|{number}", 3, 300, 1800), at(3900))
        if number % 5 == 0:
            assert paces.exceeded(WATCH, at(3900))

    assert len(paces) <= 22
