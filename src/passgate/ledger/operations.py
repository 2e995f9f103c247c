"""Operations that were given an idempotency key, remembered for a time and within bounds."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from passgate.ledger.counters import is_unvouched

ONCE: Final = ("spend/", "free/")
"""How the names of counters begin that all requests of one operation take from together."""

_LOOKED_AT: Final = 4  # more than one, so that the old go faster than new ones come


@dataclass(frozen=True, slots=True)
class Remembering:
    """How long an operation is remembered, how many of one subject are, and how many in all."""

    keep_s: float = 86_400
    per_subject: int = 1_000
    most: int = 100_000


class Operation:
    """One operation: the requests that came under one key, and what all of them cost together.

    `spend` are the cents that it took, or a free call, as (counter, amount), at `ms` and `wall` of
    the ledger's time. `open` of its requests have not ended. `sent`: one of them may have reached
    the upstream, so nothing comes back any more.
    """

    __slots__ = ("digest", "ms", "name", "newer", "older", "open", "sent", "spend", "wall")

    def __init__(
        self, name: str, digest: str, ms: int, wall: float, spend: tuple[tuple[str, int], ...]
    ) -> None:
        self.name = name
        self.digest = digest
        self.ms = ms
        self.wall = wall
        self.spend = spend
        self.open = 0
        self.sent = False
        # Its neighbours among its subject's operations, by age.
        self.older: Operation | None = None
        self.newer: Operation | None = None

    def end(self, sent: bool, cents: int | None) -> tuple[tuple[str, int], ...]:
        """Ends one of its requests, and returns what is to be given back of `spend`.

        The first that reached the upstream (`sent`) settles it, at `cents` where that is less. If
        none did, all of it comes back with the last.
        """
        self.open -= 1
        if self.sent:
            return ()
        if sent:
            self.sent = True
            if cents is None:
                return ()
            rest = max(cents, 0)
            return tuple(
                [
                    (name, amount - rest)
                    for name, amount in self.spend
                    if amount > rest and not name.startswith("free/")
                ]
            )
        return () if self.open else self.spend


class _Age:
    """The operations of one subject: a chain from the oldest to the newest."""

    __slots__ = ("count", "newest", "oldest")

    def __init__(self, first: Operation) -> None:
        self.oldest = first
        self.newest = first
        self.count = 1


class Operations:
    """Operations by name, the oldest first.

    Beyond a bound the oldest goes, of its subject or of all: its repeat is then charged like any
    request, never passed for nothing. One that has an open request stays as long as that, however
    old, but not against a bound.
    """

    __slots__ = ("_by_name", "_keep_ms", "_most", "_per_subject", "_subjects")

    def __init__(self, remembering: Remembering) -> None:
        self._keep_ms = int(remembering.keep_s * 1000)
        self._per_subject = remembering.per_subject
        self._most = remembering.most
        self._by_name: OrderedDict[str, Operation] = OrderedDict()
        self._subjects: dict[str, _Age] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str, ms: int) -> Operation | None:
        """The operation of that name, unless it is too old."""
        found = self._by_name.get(name)
        if found is not None and self._over(found, ms):
            self.forget(found)
            return None
        return found

    def known(self, name: str) -> Operation | None:
        """The operation of that name, however old."""
        return self._by_name.get(name)

    def add(
        self, name: str, digest: str, ms: int, wall: float, spend: tuple[tuple[str, int], ...]
    ) -> Operation:
        """Remembers an operation, in the place of any of that name, and forgets what is too old.

        One of a subject that nobody vouches for is not remembered: anybody could invent so many
        that they push out the others.
        """
        before = self._by_name.get(name)
        if before is not None:
            self.forget(before)
        by_name = self._by_name
        for _ in range(_LOOKED_AT):
            oldest = self._oldest()
            if oldest is None or not (len(by_name) >= self._most or self._over(oldest, ms)):
                break
            self.forget(oldest)
        operation = Operation(name, digest, ms, wall, spend)
        subject = name.rpartition("/")[0]
        if is_unvouched(subject):
            return operation
        age = self._subjects.get(subject)
        if age is not None and age.count >= self._per_subject:
            self.forget(age.oldest)
            age = self._subjects.get(subject)
        if age is None:
            self._subjects[subject] = _Age(operation)
        else:
            newest = age.newest
            newest.newer = operation
            operation.older = newest
            age.newest = operation
            age.count += 1
        by_name[name] = operation
        return operation

    def forget(self, operation: Operation) -> None:
        """Forgets an operation; again does nothing."""
        name = operation.name
        if self._by_name.get(name) is not operation:
            return
        del self._by_name[name]
        subject = name.rpartition("/")[0]
        age = self._subjects[subject]
        older, newer = operation.older, operation.newer
        operation.older = operation.newer = None
        age.count -= 1
        if older is not None:
            older.newer = newer
        elif newer is not None:
            age.oldest = newer
        else:
            del self._subjects[subject]
        if newer is not None:
            newer.older = older
        elif older is not None:
            age.newest = older

    def all(self) -> list[Operation]:
        """Every operation, the oldest first."""
        return list(self._by_name.values())

    def _oldest(self) -> Operation | None:
        for operation in self._by_name.values():
            return operation
        return None

    def _over(self, operation: Operation, ms: int) -> bool:
        return not operation.open and ms - operation.ms >= self._keep_ms
