"""A sliding window: in no interval of its length is more taken than the limit."""

from collections.abc import Iterator
from typing import Final

GREATEST: Final = (
    2**53 - 1
)  # cents or counts that any counter holds; also a log line's greatest integer
_LIVE: Final = 61  # buckets that count: the one of the moment and the 60 before it


class SlidingWindow:
    """What was taken within the last `length_ms`, in 60 sub-buckets, rounded against the agent.

    Counted are the bucket of the moment and the 60 before it: 61 sixtieths of the length, so
    whatever interval of that length ends now lies within them whole. A charge therefore comes back
    between one length and one sixtieth more after it was taken.

    Only buckets that hold something take room: `older` is a run of entries, oldest first, of one
    byte (the bucket's number modulo 64; in the two upper bits the size of what follows: 1, 2, 4 or
    8 bytes) and the amount, little-endian. 61 live buckets never share a number modulo 64.
    """

    __slots__ = ("bucket", "length_ms", "newest", "older", "used")

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.bucket = 0  # number of the newest bucket
        self.newest = 0  # amount in it
        self.older = b""
        self.used = 0  # sum of all buckets

    def take(self, ms: int, wall: float, amount: int, limit: int) -> bool:
        """Takes `amount` if then no more than `limit` is used, else nothing."""
        bucket = ms * 60 // self.length_ms
        if bucket > self.bucket:
            self._move_to(bucket)
        used = self.used + amount
        if used > limit or used > GREATEST:
            return False
        self.used = used
        self.newest += amount
        return True

    def put(self, ms: int, wall: float, amount: int) -> None:
        """Counts what has been taken already, whatever the limit was."""
        self._move_to(ms * 60 // self.length_ms)
        self.used += amount
        self.newest += amount

    def give_back(self, ms: int, wall: float, amount: int) -> None:
        """Gives back what was taken at `ms`, to the bucket it went into, if that still counts."""
        bucket = ms * 60 // self.length_ms
        if bucket == self.bucket:
            amount = min(amount, self.newest)
            self.newest -= amount
            self.used -= amount
            return
        older = b""
        for number, held in self._entries():
            if number == bucket:
                amount = min(amount, held)
                self.used -= amount
                older += _entry(number, held - amount)
            else:
                older += _entry(number, held)
        self.older = older

    def amounts(self) -> list[tuple[int, int]]:
        """(bucket number, amount) of every bucket, oldest first."""
        return [*self._entries(), (self.bucket, self.newest)]

    def used_at(self, ms: int, wall: float) -> int:
        """What counts at that moment."""
        self._move_to(ms * 60 // self.length_ms)
        return self.used

    def wait_s(self, ms: int, wall: float, amount: int, limit: int) -> int | None:
        """Whole seconds until `amount` fits if nobody takes more; None if it never will."""
        if amount > limit:
            return None
        excess = self.used_at(ms, wall) + amount - limit
        if excess <= 0:
            return 0
        for bucket, held in self._entries():
            excess -= held
            if excess <= 0:
                return self._leaves_in_s(bucket, ms)
        return self._leaves_in_s(self.bucket, ms)

    def left(self, ms: int, wall: float, limit: int) -> tuple[int, int | None]:
        """What is left of `limit`, and whole seconds until all of it is free again."""
        # Speed: asked for every answer that a rate applies to, so this repeats `used_at`.
        bucket = ms * 60 // self.length_ms
        if bucket > self.bucket:
            self._move_to(bucket)
        used = self.used
        if not used:
            return limit, 0
        last = self.bucket
        if not self.newest:
            last = max(number for number, held in self._entries() if held)
        leaves_ms = -(-(last + _LIVE) * self.length_ms // 60)
        wait_s = -(-(leaves_ms - ms) // 1000)
        return (limit - used if limit > used else 0), (wait_s if wait_s > 1 else 1)

    def dead(self, ms: int, wall: float) -> bool:
        """Whether forgetting this counter changes nothing."""
        return not self.used or ms * 60 // self.length_ms - self.bucket >= _LIVE

    def state(self) -> tuple[int, int, bytes]:
        """Everything that `restore` needs."""
        return self.bucket, self.newest, self.older

    def restore(self, state: tuple[int, int, bytes]) -> None:
        """Takes up where `state` left off."""
        self.bucket, self.newest, self.older = state
        self.used = self.newest + sum(held for _, held in self._entries())

    def _move_to(self, bucket: int) -> None:
        """Makes `bucket` the newest one, unless it is past, and forgets what no longer counts."""
        gap = bucket - self.bucket
        if gap <= 0:
            return
        if gap >= _LIVE:
            self.older = b""
            self.newest = self.used = 0
            self.bucket = bucket
            return
        older = self.older
        start = 0
        while start < len(older):
            head = older[start]
            # Told by the old newest bucket: from the new one, ages could exceed what 64 can tell.
            if ((self.bucket - head) & 63) + gap < _LIVE:
                break
            end = start + 1 + (1 << (head >> 6))
            self.used -= int.from_bytes(older[start + 1 : end], "little")
            start = end
        if start:
            older = older[start:]
        if self.newest:
            older += _entry(self.bucket, self.newest)
            self.newest = 0
        self.older = older
        self.bucket = bucket

    def _entries(self) -> Iterator[tuple[int, int]]:
        """(bucket number, amount) of every bucket in `older`, oldest first."""
        older = self.older
        start = 0
        while start < len(older):
            head = older[start]
            end = start + 1 + (1 << (head >> 6))
            yield (
                self.bucket - ((self.bucket - head) & 63),
                int.from_bytes(older[start + 1 : end], "little"),
            )
            start = end

    def _leaves_in_s(self, bucket: int, ms: int) -> int:
        """Whole seconds until `bucket` no longer counts; at least 1."""
        leaves_ms = -(-(bucket + _LIVE) * self.length_ms // 60)
        return max(1, -(-(leaves_ms - ms) // 1000))


def _entry(bucket: int, amount: int) -> bytes:
    size = 0
    while amount >> (8 << size):
        size += 1
    return bytes((bucket & 63 | size << 6,)) + amount.to_bytes(1 << size, "little")
