"""Identifiers sort by time, are never drawn twice from the same entropy, and say nothing else."""

from passgate.ulid import encode_ulid, ulid_source

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_time_in_front() -> None:
    """The first ten characters are the milliseconds, as in every ULID."""
    next_id = ulid_source("att_", bytes)

    assert (
        next_id(1_469_918_176.385)[:14] == "att_" + encode_ulid(1_469_918_176_385, bytes(10))[:10]
    )
    assert next_id(2.0) > next_id(1.0)


def test_every_digit_is_as_likely() -> None:
    """Of the 256 values of a byte eight make each digit, so no digit is worth guessing."""
    next_id = ulid_source("", lambda size: bytes(n % 256 for n in range(size)))
    drawn = "".join(next_id(0.0)[10:] for _ in range(512))

    assert {digit: drawn.count(digit) for digit in drawn} == dict.fromkeys(ALPHABET, 256)


def test_no_entropy_is_used_twice() -> None:
    """Every sixteen digits come from sixteen bytes of their own, over the end of a block too."""
    sizes: list[int] = []

    def entropy(size: int) -> bytes:
        sizes.append(size)
        start = sum(sizes) // 16
        return b"".join(
            bytes((number >> (5 * place)) & 31 for place in range(16))
            for number in range(start, start + size // 16)
        )

    next_id = ulid_source("x", entropy)
    drawn = [next_id(0.0) for _ in range(2_000)]

    assert len(set(drawn)) == 2_000
    assert all(len(each) == 27 for each in drawn)
    assert sum(sizes) >= 16 * 2_000
