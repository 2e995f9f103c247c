"""Identifiers that sort by time: ULIDs, and the decision ids made of them."""

import os
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]  # ten bits at a time
_BLOCK: Final = 512


def encode_ulid(milliseconds: int, randomness: bytes) -> str:
    """The 26 characters of the ULID of 48 bits of Unix time and exactly 10 random bytes."""
    pairs = _PAIRS
    tail = int.from_bytes(randomness, "big")
    # 48 bits of time in ten characters leave two zero bits in front.
    head = "".join([pairs[(milliseconds >> shift) & 1023] for shift in (40, 30, 20, 10, 0)])
    return head + "".join(
        [pairs[(tail >> shift) & 1023] for shift in (70, 60, 50, 40, 30, 20, 10, 0)]
    )


def ulid_source(
    prefix: str, entropy: Callable[[int], bytes] = os.urandom
) -> Callable[[float], str]:
    """A function from Unix time in seconds to a fresh `prefix` + ULID.

    Entropy is drawn in blocks and each ten bytes are used once, because a system call per request
    costs more than everything else here. A forked process must make a source of its own.
    """
    pairs = _PAIRS
    block = b""
    at = 0
    last_ms = -1
    head = ""

    def next_id(wall: float) -> str:
        nonlocal block, at, last_ms, head
        ms = int(wall * 1000)
        if ms != last_ms:
            last_ms = ms
            head = prefix + "".join([pairs[(ms >> s) & 1023] for s in (40, 30, 20, 10, 0)])
        if at >= len(block):
            block = entropy(10 * _BLOCK)
            at = 0
        n = int.from_bytes(block[at : at + 10], "big")
        at += 10
        # Written out, since a loop over eight shifts takes twice as long.
        return (
            head
            + pairs[n >> 70]
            + pairs[(n >> 60) & 1023]
            + pairs[(n >> 50) & 1023]
            + pairs[(n >> 40) & 1023]
            + pairs[(n >> 30) & 1023]
            + pairs[(n >> 20) & 1023]
            + pairs[(n >> 10) & 1023]
            + pairs[n & 1023]
        )

    return next_id
