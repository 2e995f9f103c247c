"""Sliding windows, one by one; together they are in the ledger contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.ledger.sliding_window import GREATEST, SlidingWindow

MINUTE = 60_000


def test_the_limit_fits_and_not_one_more() -> None:
    window = SlidingWindow(MINUTE)
    assert [window.take(1000, 0, 1, 3) for _ in range(4)] == [True, True, True, False]


def test_a_charge_counts_for_the_length_and_comes_back_one_bucket_later() -> None:
    window = SlidingWindow(MINUTE)
    window.take(10_500, 0, 3, 3)
    assert not window.take(10_500 + 59_999, 0, 1, 3)
    assert not window.take(70_999, 0, 1, 3)
    assert window.take(71_000, 0, 3, 3)


def test_the_wait_is_exactly_until_enough_has_left() -> None:
    """After `wait_s` it fits; one bucket before, it does not."""
    window = SlidingWindow(MINUTE)
    for second in (5, 20, 21, 40):
        window.take(second * 1000, 0, 2, 100)
    # 8 are used. For 5 more under a limit of 9 the first two buckets must leave: 20 + 61 s.
    assert window.wait_s(50_000, 0, 5, 9) == 31
    assert not window.take(80_999, 0, 5, 9)
    assert window.take(81_000, 0, 5, 9)


def test_a_wait_of_a_fraction_of_a_second_is_a_whole_one() -> None:
    window = SlidingWindow(1000)
    window.take(1000, 0, 1, 1)
    assert window.wait_s(1500, 0, 1, 1) == 1


def test_what_already_fits_waits_not_at_all() -> None:
    assert SlidingWindow(MINUTE).wait_s(0, 0, 1, 1) == 0


def test_waiting_does_not_help_more_than_the_limit() -> None:
    assert SlidingWindow(MINUTE).wait_s(0, 0, 2, 1) is None


def test_the_newest_bucket_is_waited_for_where_the_older_ones_do_not_do() -> None:
    window = SlidingWindow(MINUTE)
    window.take(0, 0, 1, 9)
    window.take(30_000, 0, 4, 9)
    assert window.wait_s(30_000, 0, 5, 5) == 61


def test_all_of_it_is_free_when_the_last_bucket_leaves() -> None:
    window = SlidingWindow(MINUTE)
    assert window.left(0, 0, 9) == (9, 0)
    window.take(1000, 0, 1, 9)
    window.take(2000, 0, 1, 9)
    assert window.left(2500, 0, 9) == (7, 61)  # at 63 s, rounded up
    window.give_back(2000, 0, 1)
    assert window.left(2500, 0, 1) == (0, 60)  # at 62 s


def test_what_is_given_back_goes_to_the_bucket_it_came_from() -> None:
    """Given back early, it must not make room for longer than it was taken for."""
    window = SlidingWindow(MINUTE)
    window.take(0, 0, 2, 4)
    window.take(30_000, 0, 2, 4)
    window.give_back(0, 0, 1)
    assert window.used == 3
    assert window.used_at(61_000, 0) == 2
    window.give_back(30_000, 0, 2)
    assert window.used == 0


def test_what_no_longer_counts_cannot_be_given_back() -> None:
    window = SlidingWindow(MINUTE)
    window.take(0, 0, 2, 4)
    window.take(100_000, 0, 2, 4)
    window.give_back(0, 0, 2)
    window.give_back(50_000, 0, 2)
    assert window.used == 2


def test_no_more_is_given_back_than_was_taken() -> None:
    window = SlidingWindow(MINUTE)
    window.take(0, 0, 2, 9)
    window.take(1000, 0, 1, 9)
    window.give_back(0, 0, 5)
    window.give_back(1000, 0, 5)
    assert window.used == 0
    assert window.take(1000, 0, 9, 9)
    assert not window.take(1000, 0, 1, 9)


def test_time_that_goes_back_counts_as_the_latest() -> None:
    window = SlidingWindow(MINUTE)
    window.take(100_000, 0, 1, 1)
    assert not window.take(1, 0, 1, 1)
    assert window.used_at(1, 0) == 1


def test_no_limit_lets_a_counter_pass_the_greatest_number_of_a_log_line() -> None:
    window = SlidingWindow(MINUTE)
    assert window.take(0, 0, GREATEST, 10**30)
    assert not window.take(0, 0, 1, 10**30)


@pytest.mark.parametrize("amount", [1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, GREATEST])
def test_every_size_of_amount_survives_its_bucket_and_a_restart(amount: int) -> None:
    window = SlidingWindow(MINUTE)
    window.take(0, 0, amount, GREATEST)
    assert window.used_at(30_000, 0) == amount
    again = SlidingWindow(MINUTE)
    again.restore(window.state())
    assert again.used_at(60_999, 0) == amount
    assert again.used_at(61_000, 0) == 0


def test_a_counter_is_dead_when_all_of_it_has_left_or_nothing_was_ever_in_it() -> None:
    window = SlidingWindow(MINUTE)
    assert window.dead(0, 0)
    window.take(0, 0, 1, 1)
    assert not window.dead(60_999, 0)
    assert window.dead(61_000, 0)


def test_a_full_counter_takes_two_bytes_a_bucket() -> None:
    window = SlidingWindow(3_600_000)
    for minute in range(100):
        window.take(minute * 60_000, 0, 9, 10_000)
    assert len(window.older) == 120


@given(
    length_s=st.sampled_from([1, 7, 60, 3600]),
    steps=st.lists(
        st.tuples(st.integers(0, 130), st.integers(1, 300), st.booleans()), max_size=150
    ),
)
def test_it_counts_what_61_buckets_hold(length_s: int, steps: list[tuple[int, int, bool]]) -> None:
    """Against a list of all charges: `used` is the sum of the 61 newest buckets, at every step."""
    window = SlidingWindow(length_s * 1000)
    held: list[tuple[int, int]] = []
    ms = 1_800_000_000_000
    for sixtieths, amount, back in steps:
        ms += sixtieths * length_s * 1000 // 60
        bucket = ms * 60 // (length_s * 1000)
        if back and held:
            at, most = held.pop(amount % len(held))
            window.give_back(at, 0, most)
        else:
            window.put(ms, 0, amount)
            held.append((ms, amount))
        live = [a for at, a in held if bucket - at * 60 // (length_s * 1000) <= 60]
        assert window.used_at(ms, 0) == sum(live)
