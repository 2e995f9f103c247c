"""A memory of what came lately, within a fixed bound and without an order to keep."""

from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_NO_BOUND: Final = 1 << 62


class Generations(Generic[K, V]):
    """Values by key, in two generations of at most `entries` entries and about `size` each.

    When the young generation is full it becomes the old one, and the old one goes: a few with each
    that is kept, since to let go of thousands at once would hold up whoever comes next. What is
    found in the old one is young again, so what is in use stays. Somebody who sends ever new keys
    makes others slower, and nothing more. Values are never None.
    """

    __slots__ = ("_entries", "_going", "_most", "_old", "_size", "_young")

    def __init__(self, entries: int, size: int = _NO_BOUND) -> None:
        self._entries = entries
        self._most = size
        self._size = 0
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._going: dict[K, tuple[V, int]] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, key: K) -> V | None:
        """What was kept under exactly this key, if it still is."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is None:
                return None
            self.keep(key, *found)
        return found[0]

    def keep(self, key: K, value: V, size: int = 0) -> None:
        """Keeps `value`, which counts for `size`, under a key."""
        going = self._going
        # Two, so that they are gone before as many have come.
        for _ in range(min(2, len(going))):
            going.popitem()
        young = self._young
        if len(young) >= self._entries or self._size >= self._most:
            self._going = self._old
            self._old = young
            self._young = young = {}
            self._size = 0
        young[key] = value, size
        self._size += size
