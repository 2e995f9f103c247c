"""Calendar windows: where they begin and end, and that a new one begins empty."""

from datetime import UTC, date, datetime
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.ledger.calendar_window import CalendarWindow, window_of
from passgate.ledger.sliding_window import GREATEST

DAY = 86_400


def wall(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("unit", "at", "start", "end"),
    [
        ("daily", "2026-03-01T00:00", "2026-03-01", "2026-03-02"),
        ("daily", "2026-02-28T23:59:59.999", "2026-02-28", "2026-03-01"),
        ("daily", "2028-02-28T12:00", "2028-02-28", "2028-02-29"),
        ("weekly", "2026-06-14T23:59:59", "2026-06-08", "2026-06-15"),  # a Sunday
        ("weekly", "2026-06-15T00:00", "2026-06-15", "2026-06-22"),  # a Monday
        ("weekly", "2026-12-31T00:00", "2026-12-28", "2027-01-04"),
        ("monthly", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("monthly", "2027-01-01T00:00", "2027-01-01", "2027-02-01"),
        ("monthly", "2028-02-29T10:00", "2028-02-01", "2028-03-01"),
        ("monthly", "2100-02-28T10:00", "2100-02-01", "2100-03-01"),  # no leap year
        ("monthly", "2000-02-29T10:00", "2000-02-01", "2000-03-01"),  # a leap year
    ],
)
def test_a_window_is_the_day_the_week_from_monday_or_the_month_in_utc(
    unit: str, at: str, start: str, end: str
) -> None:
    assert window_of(unit, int(wall(at) // DAY)) == (wall(start), wall(end))


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(9998, 12, 31)))
def test_months_and_weeks_are_those_of_the_gregorian_calendar(day: date) -> None:
    number = day.toordinal() - date(1970, 1, 1).toordinal()
    first = day.replace(day=1)
    after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    assert window_of("monthly", number) == (
        (first.toordinal() - 719_163) * DAY,
        (after.toordinal() - 719_163) * DAY,
    )
    start, end = window_of("weekly", number)
    assert date.fromordinal(int(start) // DAY + 719_163).weekday() == 0
    assert start <= number * DAY < end == start + 7 * DAY


def test_a_clock_beyond_the_year_9999_breaks_nothing() -> None:
    start, end = window_of("monthly", 10**9)
    assert start <= 10**9 * DAY < end


def test_a_new_window_begins_empty_and_the_old_one_was_full() -> None:
    window = CalendarWindow("daily")
    assert window.take(0, 3 * DAY - 0.001, 5, 5)
    assert not window.take(0, 3 * DAY - 0.001, 1, 5)
    assert window.take(0, 3.0 * DAY, 5, 5)


def test_a_window_does_not_reopen_for_a_clock_set_back() -> None:
    window = CalendarWindow("daily")
    window.take(0, 3.0 * DAY, 5, 5)
    assert not window.take(0, 2.5 * DAY, 1, 5)
    assert window.used_at(0, 2.5 * DAY) == 5


def test_total_never_begins_anew() -> None:
    window = CalendarWindow("total")
    assert window.take(0, 0.0, 5, 5)
    assert not window.take(0, 1e15, 1, 5)
    assert window.window == (-inf, inf)
    assert window.wait_s(0, 0.0, 1, 5) is None
    assert window.left(0, 0.0, 4) == (0, None)
    assert not window.dead(0, 1e15)


def test_the_wait_ends_with_the_window() -> None:
    window = CalendarWindow("daily")
    window.take(0, DAY + 0.5, 5, 5)
    assert window.wait_s(0, DAY + 0.5, 1, 5) == DAY  # rounded up
    assert window.wait_s(0, DAY + 1.0, 1, 5) == DAY - 1
    assert window.wait_s(0, DAY + 1.0, 6, 5) is None
    assert window.wait_s(0, DAY + 1.0, 0, 5) == 0


def test_what_was_taken_in_a_past_window_is_not_given_back_to_this_one() -> None:
    window = CalendarWindow("daily")
    window.take(0, 1.5 * DAY, 5, 9)
    window.take(0, 2.5 * DAY, 5, 9)
    window.give_back(0, 1.5 * DAY, 5)
    assert window.used == 5
    window.give_back(0, 2.5 * DAY, 3)
    assert window.used == 2
    window.give_back(0, 2.5 * DAY, 3)
    assert window.used == 0


def test_no_limit_lets_a_counter_pass_the_greatest_number_of_a_log_line() -> None:
    window = CalendarWindow("total")
    assert window.take(0, 0.0, GREATEST, 10**30)
    assert not window.take(0, 0.0, 1, 10**30)


@pytest.mark.parametrize("unit", ["daily", "weekly", "monthly", "total"])
def test_a_window_goes_on_where_its_state_left_off(unit: str) -> None:
    window = CalendarWindow(unit)
    window.put(0, 1.8e9, 7)
    again = CalendarWindow(unit)
    again.restore(window.state())
    assert (again.window, again.used) == (window.window, 7)


def test_a_counter_is_dead_when_its_window_has_passed() -> None:
    window = CalendarWindow("daily")
    assert window.dead(0, 0.0)
    window.take(0, 1.5 * DAY, 1, 1)
    assert not window.dead(0, 1.9 * DAY)
    assert window.dead(0, 2.0 * DAY)
