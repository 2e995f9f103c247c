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


class UlidSource:
    """Makes a fresh `prefix` + ULID for a moment, again and again.

    Each of the 16 random digits is made of one byte of entropy. It is drawn in blocks, because a
    system call per request costs more than everything else here, and each byte is used once. A
    forked process must make a source of its own.
    """

    __slots__ = ("_at", "_block", "_entropy", "_head", "_last_ms", "_prefix")

    def __init__(self, prefix: str, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._prefix = prefix
        self._entropy = entropy
        self._block = ""
        self._at = 0
        self._last_ms = -1
        self._head = ""

    def next(self, wall: float) -> str:
        """The next one, for Unix time in seconds."""
        ms = int(wall * 1000)
        if ms != self._last_ms:
            self._last_ms = ms
            pairs = _PAIRS
            self._head = self._prefix + "".join(
                [pairs[(ms >> shift) & 1023] for shift in (40, 30, 20, 10, 0)]
            )
        at = self._at
        if at >= len(self._block):
            self._block = self._entropy(16 * _BLOCK).translate(_DIGITS).decode("ascii")
            at = 0
        self._at = at + 16
        return self._head + self._block[at : at + 16]
