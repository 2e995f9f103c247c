"""The bounded memory of passports that were verified lately."""

from collections import OrderedDict, deque

from passgate.core.passport import Passport


class VerifiedCache:
    """Passports verified lately, so that the same credential is not verified twice.

    Bounded by entries and by the bytes of their payloads; the least lately used goes first. An
    entry counts only for the key set it was verified under, and saves checks 4 and 6 alone.
    `hits` and `misses` only grow. One thread.

    What was worked out for a passport takes as much room again. It is let go once `max_fresh`
    others have been verified, since many make a request or two; who comes again after that has it
    worked out once more, and then it stays.
    """

    __slots__ = (
        "_bytes",
        "_entries",
        "_fresh",
        "_max_bytes",
        "_max_entries",
        "_max_fresh",
        "hits",
        "misses",
    )

    def __init__(
        self, max_entries: int = 65_536, max_bytes: int = 64 << 20, max_fresh: int = 16_384
    ) -> None:
        # An OrderedDict, since taking the oldest from a plain dict walks over its deleted slots.
        self._entries: OrderedDict[str, Passport] = OrderedDict()
        self._fresh: deque[Passport] = deque()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_fresh = max_fresh
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

    def keep(self, passport: Passport) -> None:
        """Remember `passport` by its digest."""
        entries = self._entries
        old = entries.pop(passport.digest, None)
        if old is not None:
            self._bytes -= len(old.payload)
        entries[passport.digest] = passport
        self._bytes += len(passport.payload)
        fresh = self._fresh
        fresh.append(passport)
        if len(fresh) > self._max_fresh:
            fresh.popleft().memo.clear()
        while len(entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= len(entries.popitem(last=False)[1].payload)
