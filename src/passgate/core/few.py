"""A memory of few things, of which mostly there is one."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Few(Generic[K, V]):
    """At most `most` values by key; the first takes no dictionary, which is larger than all of it.

    There is one with each passport, and most of those do the same thing all the time. The first
    value stays, and others make room for new ones together. Values are never None.
    """

    __slots__ = ("_key", "_others", "_value")

    def __init__(self) -> None:
        self._key: K | None = None
        self._value: V | None = None
        self._others: dict[K, V] | None = None

    def __len__(self) -> int:
        first = 0 if self._value is None else 1
        return first if self._others is None else first + len(self._others)

    def find(self, key: K) -> V | None:
        """What was kept under this key, if it still is."""
        if self._key == key:
            return self._value
        return None if self._others is None else self._others.get(key)

    def keep_again(self, key: K, value: V, most: int) -> None:
        """As `keep`, but the first time only takes note that it was called."""
        if self._key is None:
            self._key = key
        else:
            self.keep(key, value, most)

    def keep(self, key: K, value: V, most: int) -> None:
        """Keeps `value` under a key, in place of what was there."""
        if self._value is None or self._key == key:
            self._key = key
            self._value = value
            return
        others = self._others
        if others is None:
            self._others = others = {}
        elif len(others) >= most - 1 and key not in others:
            others.clear()
        others[key] = value
