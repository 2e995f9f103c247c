"""Who comes for the first time, told from who came before, within a fixed bound."""

from collections.abc import Hashable
from typing import Final

_MOST: Final = 16_384  # in each of two generations, of about 60 bytes each


class Newcomers:
    """Remembers the hashes of what came lately, so that memories keep only what comes again.

    To keep what came once takes far more room and time than to work it out a second time, and where
    everything is new nothing else would be done. Two that share a hash are taken for one: then the
    second is kept at once, and nothing is wrong.
    """

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._young: set[int] = set()
        self._old: set[int] = set()

    def came(self, key: Hashable) -> bool:
        """Whether `key` came lately; from now on it did."""
        number = hash(key)
        young = self._young
        if number in young:
            return True
        if len(young) >= self._most:
            self._old = young
            self._young = young = set()
        young.add(number)
        return number in self._old
