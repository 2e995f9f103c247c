"""The memory ledger: all or none, ended once, and what it says about what is left."""

import pytest

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Balance, Conflict, Reservation, Shortfall

NOW = Instant(1_800_000_000.0, 1_000.0)  # 08:00 on a Friday


def charge(kind: str, window: int | str, amount: int, limit: int, subject: str = "s") -> Charge:
    return Charge(f"{kind}/{window}/{subject}", kind, window, amount, limit, "k")


def later(seconds: float) -> Instant:
    return Instant(NOW.wall + seconds, NOW.boot + seconds)


def test_nothing_is_taken_where_one_charge_does_not_fit() -> None:
    ledger = MemoryLedger()
    small, large = charge("rate", 60, 1, 9), charge("spend", "daily", 11, 10)
    assert ledger.reserve((small, large, small), NOW) == Shortfall(large, 10, None)
    assert [b.remaining for b in ledger.balances((small, large), NOW)] == [9, 10]


def test_charges_that_name_one_counter_are_added_up() -> None:
    ledger = MemoryLedger()
    one = charge("spend", "daily", 6, 10)
    assert ledger.reserve((one, one), NOW) == Shortfall(one, 10, None)
    assert isinstance(ledger.reserve((one,), NOW), Reservation)


def test_each_of_them_has_its_own_limit() -> None:
    ledger = MemoryLedger()
    wide, narrow = charge("rate", 60, 1, 9), charge("rate", 60, 1, 1)
    assert ledger.reserve((wide, narrow), NOW) == Shortfall(narrow, 1, None)


def test_a_shortfall_says_what_is_left_and_when_it_could_fit() -> None:
    ledger = MemoryLedger()
    day = charge("spend", "daily", 60, 100)
    ledger.reserve((day,), NOW)
    assert ledger.reserve((day,), later(1.5)) == Shortfall(day, 40, 16 * 3600 - 1)


def test_a_shortfall_waits_for_all_that_does_not_fit() -> None:
    """Whoever came back when the first fits would meet the next one; or never fits, for one."""
    ledger = MemoryLedger()
    minute, hour = charge("rate", 60, 1, 1), charge("rate", 3600, 1, 1)
    ledger.reserve((minute, hour), NOW)
    assert ledger.reserve((minute, hour), later(1)) == Shortfall(minute, 0, 3659)
    unused = charge("spend", "daily", 5, 9, "other")
    assert ledger.reserve((minute, unused, hour), later(2)) == Shortfall(minute, 0, 3658)
    assert ledger.reserve((minute, hour), later(61)) == Shortfall(hour, 0, 3599)
    for never in (charge("total", "total", 1, 0), charge("spend", "daily", 10, 9, "other")):
        short = ledger.reserve((hour, never), later(62))
        assert short == Shortfall(hour, 0, None)


def test_a_limit_of_nothing_lets_nothing_pass_and_waiting_does_not_help() -> None:
    ledger = MemoryLedger()
    for kind, window in (("rate", 60), ("total", "total"), ("concurrent", "now")):
        none = charge(kind, window, 1, 0)
        assert ledger.reserve((none,), NOW) == Shortfall(none, 0, None)


def test_what_is_in_flight_may_end_at_any_moment() -> None:
    ledger = MemoryLedger()
    one = charge("concurrent", "now", 1, 1)
    taken = ledger.reserve((one,), NOW)
    assert isinstance(taken, Reservation)
    assert ledger.reserve((one,), NOW) == Shortfall(one, 0, 1)
    ledger.settle(taken, None, NOW)
    assert isinstance(ledger.reserve((one,), NOW), Reservation)


@pytest.mark.parametrize(
    ("spent", "left"), [(None, 40), (0, 100), (25, 75), (60, 40), (99, 40), (-1, 100)]
)
def test_settling_lowers_spend_alone_and_never_raises_it(spent: int | None, left: int) -> None:
    ledger = MemoryLedger()
    charges = (charge("rate", 60, 1, 9), charge("spend", "daily", 60, 100))
    taken = ledger.reserve(charges, NOW)
    assert isinstance(taken, Reservation)
    ledger.settle(taken, spent, NOW)
    assert [b.remaining for b in ledger.balances(charges, NOW)] == [8, left]


def test_a_reservation_ends_once() -> None:
    """Attack: what is given back twice is somebody else's."""
    ledger = MemoryLedger()
    charges = (charge("concurrent", "now", 1, 9), charge("spend", "daily", 10, 100))
    first, _second = ledger.reserve(charges, NOW), ledger.reserve(charges, NOW)
    assert isinstance(first, Reservation)
    ledger.release(first, NOW)
    before = ledger.balances(charges, NOW)
    ledger.release(first, NOW)
    ledger.settle(first, 0, NOW)
    assert ledger.balances(charges, NOW) == before


def test_what_is_released_goes_back_to_when_it_was_taken_by_the_ledgers_time() -> None:
    """Taken by a clock set back behind midnight, it counts today; released, it is free today."""
    ledger = MemoryLedger()
    day = charge("spend", "daily", 60, 100)
    midnight = NOW.wall + 16 * 3600
    ledger.reserve((day,), Instant(midnight, 1.0))
    back = ledger.reserve((charge("spend", "daily", 40, 100),), Instant(midnight - 60, 2.0))
    assert isinstance(back, Reservation)
    ledger.release(back, Instant(midnight - 59, 3.0))
    assert ledger.balances((day,), Instant(midnight + 1, 63.0))[0].remaining == 40


def test_balances_say_what_is_left_and_make_no_counter() -> None:
    ledger = MemoryLedger()
    charges = (
        charge("rate", 60, 1, 9),
        charge("spend", "daily", 1, 100),
        charge("total", "total", 1, 5),
        charge("concurrent", "now", 1, 3),
    )
    assert ledger.balances(charges, NOW) == (
        Balance(charges[0], 9, 0),
        Balance(charges[1], 100, 16 * 3600),
        Balance(charges[2], 5, None),
        Balance(charges[3], 3, None),
    )
    assert not ledger._by_name
    ledger.reserve(charges, NOW)
    assert [(b.remaining, b.reset_s) for b in ledger.balances(charges, later(1))] == [
        (8, 60),
        (99, 16 * 3600 - 1),
        (4, None),
        (2, None),
    ]


def test_a_limit_that_was_lowered_leaves_nothing_and_lets_nothing_pass() -> None:
    ledger = MemoryLedger()
    ledger.reserve((charge("spend", "daily", 60, 100),), NOW)
    lowered = charge("spend", "daily", 0, 50)
    assert ledger.balances((lowered,), NOW)[0].remaining == 0
    assert isinstance(ledger.reserve((lowered,), NOW), Shortfall)


def test_a_charge_of_nothing_makes_no_counter() -> None:
    ledger = MemoryLedger()
    taken = ledger.reserve((charge("spend", "daily", 0, 50),), NOW)
    assert isinstance(taken, Reservation)
    assert not ledger._by_name
    ledger.release(taken, NOW)
    assert isinstance(ledger.reserve((), NOW), Reservation)


def test_a_negative_amount_is_an_error_and_takes_nothing() -> None:
    """Attack: a cost below zero would be credit."""
    ledger = MemoryLedger()
    one, credit = charge("rate", 60, 1, 9), charge("spend", "daily", -5, 50)
    with pytest.raises(ValueError, match="-5"):
        ledger.reserve((one, credit), NOW)
    assert ledger.balances((one, credit), NOW)[0].remaining == 9


def test_a_sum_that_no_log_line_could_carry_does_not_fit() -> None:
    ledger = MemoryLedger()
    huge = charge("spend", "total", 2**52, 10**30)
    ledger.reserve((huge,), NOW)
    assert ledger.reserve((huge,), NOW) == Shortfall(huge, 2**52 - 1, None)


SPENT = charge("spend", "daily", 50, 100)
RATED = charge("rate", 60, 1, 10)
KEY = Once("agent|i|a/k", "d")


def left(ledger: MemoryLedger, one: Charge, now: Instant = NOW) -> int:
    return ledger.balances((one,), now)[0].remaining


def taken(ledger: MemoryLedger, *charges: Charge, now: Instant = NOW) -> Reservation:
    found = ledger.reserve(charges, now, KEY)
    assert isinstance(found, Reservation)
    return found


def test_a_repeat_is_charged_no_spend_and_all_else() -> None:
    ledger = MemoryLedger()
    first, second = taken(ledger, RATED, SPENT), taken(ledger, RATED, SPENT)
    assert (first.repeated, second.repeated) == (False, True)
    assert second.charges == (RATED, charge("spend", "daily", 0, 100))
    assert (left(ledger, RATED), left(ledger, SPENT)) == (8, 50)


def test_another_request_under_the_same_key_takes_nothing() -> None:
    ledger = MemoryLedger()
    taken(ledger, RATED, SPENT)
    other = Once(KEY.name, "e")
    assert ledger.reserve((RATED, SPENT), NOW, other) == Conflict(other)
    assert (left(ledger, RATED), left(ledger, SPENT)) == (9, 50)


def test_a_refused_request_leaves_its_key_free() -> None:
    ledger = MemoryLedger()
    assert isinstance(ledger.reserve((charge("spend", "daily", 101, 100),), NOW, KEY), Shortfall)
    assert not taken(ledger, SPENT).repeated


def test_a_repeat_in_flight_bears_what_its_first_gives_up() -> None:
    ledger = MemoryLedger()
    first, second = taken(ledger, SPENT), taken(ledger, SPENT)
    ledger.release(first, NOW)
    assert left(ledger, SPENT) == 50, "the repeat may yet be sent"
    ledger.settle(second, None, NOW)
    assert left(ledger, SPENT) == 50


def test_a_key_whose_requests_were_all_not_sent_is_free_again() -> None:
    ledger = MemoryLedger()
    first, second = taken(ledger, RATED, SPENT), taken(ledger, RATED, SPENT)
    ledger.release(second, NOW)
    ledger.release(first, NOW)
    assert (left(ledger, RATED), left(ledger, SPENT)) == (10, 100)
    assert not taken(ledger, SPENT).repeated
    assert left(ledger, SPENT) == 50


def test_only_the_first_that_was_sent_settles() -> None:
    ledger = MemoryLedger()
    first, second = taken(ledger, SPENT), taken(ledger, SPENT)
    ledger.settle(second, 30, NOW)
    assert left(ledger, SPENT) == 70
    ledger.settle(first, 0, NOW)
    ledger.settle(taken(ledger, SPENT), 0, NOW)
    assert left(ledger, SPENT) == 70


def test_a_reservation_of_a_live_exchange_never_expires() -> None:
    """However long an answer streams, what it may spend stays taken."""
    ledger = MemoryLedger()
    total, day = charge("spend", "total", 50, 100), charge("concurrent", "now", 1, 1)
    open_ = ledger.reserve((total, day), NOW)
    assert isinstance(open_, Reservation)
    assert left(ledger, total, later(10**9)) == 50
    assert left(ledger, day, later(10**9)) == 0
    ledger.settle(open_, 20, later(10**9))
    assert left(ledger, total, later(10**9)) == 80
