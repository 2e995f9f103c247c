"""Identifiers: unique, of one alphabet, and sorted by time."""

import os
from datetime import UTC, datetime

import pytest

from passgate.ulid import UlidSource, encode_ulid

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALPHABET = set(DIGITS)


@pytest.mark.parametrize(
    ("milliseconds", "randomness", "text"),
    [
        (0, bytes(10), "0" * 26),
        (1, bytes(9) + b"\x01", "00000000010000000000000001"),
        (31, b"\xff" * 10, "000000000Z" + "Z" * 16),
        (2**48 - 1, b"\xff" * 10, "7" + "Z" * 25),
        # The example of the specification: its time, and its randomness.
        (1469918176385, bytes.fromhex("d6764c61efb99302bd5b"), "01ARYZ6S41TSV4RRFFQ69G5FAV"),
    ],
)
def test_an_encoding_is_that_of_the_specification(
    milliseconds: int, randomness: bytes, text: str
) -> None:
    """Crockford's base 32, 48 bits of time before 80 of chance."""
    assert encode_ulid(milliseconds, randomness) == text


def test_a_source_puts_time_before_chance() -> None:
    """Each random digit is made of one byte, of which each value is as likely as any other."""
    stream = bytes(number * 7 % 256 for number in range(16 * 512))
    fresh = UlidSource("att_", lambda size: stream[:size]).next

    for number in range(512):
        wall = 1_800_000_000.123 + number
        digits = "".join(DIGITS[byte % 32] for byte in stream[16 * number : 16 * number + 16])
        assert fresh(wall) == "att_" + encode_ulid(int(wall * 1000), bytes(10))[:10] + digits


def test_every_identifier_is_another_one() -> None:
    """Also within a millisecond, and over many blocks of randomness."""
    fresh = UlidSource("att_").next
    made = [fresh(1_800_000_000.0) for _ in range(5000)]

    assert len(set(made)) == len(made)
    assert all(len(each) == 30 and set(each[4:]) <= ALPHABET for each in made)


def test_sorting_them_sorts_by_time() -> None:
    """As text, from one millisecond to the next; a clock that was set back goes back."""
    fresh = UlidSource("").next
    times = [1_700_000_000.0, 1_700_000_000.001, 1_700_000_000.5, 1_800_000_000.0, 2_500_000_000.0]
    made = [fresh(wall) for wall in times]

    assert made == sorted(made)
    assert fresh(times[0])[:10] == made[0][:10]


def test_randomness_is_drawn_in_blocks_and_used_once() -> None:
    """One call for every 512 identifiers, of sixteen bytes each."""
    drawn: list[int] = []

    def entropy(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    fresh = UlidSource("x", entropy).next
    assert drawn == []
    tails = {fresh(1.0)[-16:] for _ in range(1025)}

    assert drawn == [8192, 8192, 8192]
    assert len(tails) == 1025


def test_the_time_can_be_read_back() -> None:
    """By anybody who knows the alphabet."""
    moment = datetime(2026, 11, 23, 14, 0, tzinfo=UTC).timestamp()
    text = UlidSource("").next(moment)

    milliseconds = 0
    for character in text[:10]:
        milliseconds = milliseconds * 32 + DIGITS.index(character)
    assert milliseconds == int(moment * 1000)
