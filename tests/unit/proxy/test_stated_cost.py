"""What an upstream says of a cost: digits, once, at most what was reserved; else nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.proxy.stated_cost import (
    APPLIED,
    CLAMPED,
    IGNORED,
    MALFORMED,
    also_stated,
    corrected,
)

GREATEST = 2**53 - 1


@pytest.mark.parametrize(
    ("stated", "cents", "note"),
    [
        (b"0", 0, APPLIED),
        (b"7", 7, APPLIED),
        (b"50", 50, APPLIED),
        (b"0007", 7, APPLIED),
        (b"0" * 5000 + b"7", 7, APPLIED),
        (b"51", 50, CLAMPED),
        (b"9" * 16, 50, CLAMPED),
        (b"9" * 5000, 50, CLAMPED),
        (b"-1", 50, MALFORMED),
        (b"+1", 50, MALFORMED),
        (b"1.0", 50, MALFORMED),
        (b"1e1", 50, MALFORMED),
        (b"0x10", 50, MALFORMED),
        (b"1_0", 50, MALFORMED),
        (b"1 0", 50, MALFORMED),
        (b"7,7", 50, MALFORMED),
        (b"7, 7", 50, MALFORMED),
        (b",", 50, MALFORMED),
        (b"\xb2", 50, MALFORMED),
        ("٣".encode(), 50, MALFORMED),
        (b"free", 50, MALFORMED),
    ],
)
def test_only_plain_digits_within_the_reservation_count(
    stated: bytes, cents: int, note: str
) -> None:
    assert corrected(50, stated, counts=True) == (cents, note)
    assert corrected(50, stated, counts=False) == (50, IGNORED)


@pytest.mark.parametrize("values", [[b"7", b"7"], [b"", b"7"], [b"7", b""], [b""]])
def test_what_is_said_twice_or_not_at_all_is_no_number(values: list[bytes]) -> None:
    """Also where both are equal: who would know which of two to believe?"""
    stated = b""
    for value in values:
        stated = also_stated(stated, value)
    assert corrected(50, stated, counts=True) == (50, MALFORMED)


@given(st.binary(max_size=40), st.integers(0, GREATEST))
def test_nothing_raises_a_cost_or_takes_it_below_zero(stated: bytes, reserved: int) -> None:
    cents, note = corrected(reserved, stated, counts=True)
    assert type(cents) is int
    assert 0 <= cents <= reserved
    assert (note == APPLIED) or cents == reserved


@pytest.mark.parametrize("reserved", [GREATEST, GREATEST - 1, 2**52 + 1])
def test_the_greatest_costs_are_exact(reserved: int) -> None:
    """As no float is from 2^53 on, and no sum of them before."""
    assert corrected(reserved, b"%d" % (reserved - 1), counts=True) == (reserved - 1, APPLIED)
    assert corrected(reserved, b"%d" % (reserved + 1), counts=True) == (reserved, CLAMPED)
