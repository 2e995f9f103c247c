"""Identifiers that sort by time: ULIDs, and the decision ids made of them."""

import os
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]  # ten bits at a time
_BLOCK: Final = 512
# A random byte as a random digit: each of the 32 stands for eight of the 256.
_DIGITS: Final = (_ALPHABET * 8).encode()


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

    Each of the 16 random digits is made of one byte of entropy. It is drawn in blocks, because a
    system call per request costs more than everything else here, and each byte is used once. A
    forked process must make a source of its own.
    """
    pairs = _PAIRS
    block = ""
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
            block = entropy(16 * _BLOCK).translate(_DIGITS).decode("ascii")
            at = 0
        at += 16
        return head + block[at - 16 : at]

    return next_id
