"""The bounded memory of passports that were verified lately."""

from collections import OrderedDict

from passgate.core.passport import Passport


class VerifiedCache:
    """Passports verified lately, so that the same credential is not verified twice.

    Bounded by entries and by the bytes of their credentials; the least lately used goes first. An
    entry counts only for the key set it was verified under, and saves checks 4 and 6 alone.
    `hits` and `misses` only grow. One thread.
    """

    __slots__ = ("_bytes", "_entries", "_max_bytes", "_max_entries", "hits", "misses")

    def __init__(self, max_entries: int = 65_536, max_bytes: int = 64 << 20) -> None:
        # An OrderedDict, since taking the oldest from a plain dict walks over its deleted slots.
        self._entries: OrderedDict[bytes, tuple[Passport, str, int]] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, digest: bytes) -> tuple[Passport, str, int] | None:
        """(passport, key set version, size) of the credential with this SHA-256, if it is kept."""
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
        return entry

    def keep(self, digest: bytes, passport: Passport, version: str, size: int) -> None:
        """Remember `passport`, verified under this key set from a credential of `size` bytes."""
        entries = self._entries
        old = entries.pop(digest, None)
        if old is not None:
            self._bytes -= old[2]
        entries[digest] = (passport, version, size)
        self._bytes += size
        while len(entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= entries.popitem(last=False)[1][2]
