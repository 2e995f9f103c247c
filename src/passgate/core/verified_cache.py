"""The bounded memory of passports that were verified lately."""

from collections import OrderedDict
from typing import Final

from passgate.core.passport import Passport

_GRANT: Final = 48
"""What a grant counts for beyond its text: read, it takes three times as much as other claims."""


class VerifiedCache:
    """Passports verified lately, so that the same credential is not verified twice.

    Bounded by entries and by the bytes of their payloads, those of their ancestors among them, of
    which each takes up to 17 once it is read; the least lately used goes first. An
    entry counts only for the key set it was verified under, and saves checks 4 and 6 alone.
    `hits` and `misses` only grow. One thread.
    """

    __slots__ = (
        "_bytes",
        "_entries",
        "_max_bytes",
        "_max_entries",
        "hits",
        "misses",
    )

    def __init__(self, max_entries: int = 65_536, max_bytes: int = 32 << 20) -> None:
        # An OrderedDict, since taking the oldest from a plain dict walks over its deleted slots.
        self._entries: OrderedDict[str, Passport] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, digest: str) -> Passport | None:
        """The passport whose credential has this hex SHA-256, if it is kept."""
        passport = self._entries.get(digest)
        if passport is not None:
            self._entries.move_to_end(digest)
        return passport

    def of_agent(self, agent: str) -> list[Passport]:
        """The passports of this agent that are kept, whoever issued them."""
        return [passport for passport in self._entries.values() if passport.agent == agent]

    def keep(self, passport: Passport) -> None:
        """Remember `passport` by its digest."""
        entries = self._entries
        old = entries.pop(passport.digest, None)
        if old is not None:
            self._bytes -= _weight(old)
        entries[passport.digest] = passport
        self._bytes += _weight(passport)
        while len(entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= _weight(entries.popitem(last=False)[1])


def _weight(passport: Passport) -> int:
    weight = len(passport.payload) + _GRANT * len(passport.grants)
    for parent in passport.chain:
        weight += len(parent.payload) + _GRANT * len(parent.grants)
    return weight
