"""Every hold in memory: by its id, by what it is bound to, and how many wait of each passport.

What waits of a delegated passport waits of every passport above it, too: whoever delegates makes
children without end, and they get no more room than their parent.
"""

from typing import Final

from passgate.approvals.held import APPROVED, DENIED, PENDING, Held
from passgate.core.instant import Instant

MOST_OF_A_PASSPORT: Final = 20
MOST_PENDING: Final = 1000

_COUNTS: Final = frozenset({PENDING, APPROVED, DENIED})


class Roster:
    """The holds. Of one digest at most one counts: it waits, has a grant, or was denied."""

    def __init__(self) -> None:
        self._by_id: dict[str, Held] = {}
        self._by_digest: dict[str, Held] = {}
        self._pending: dict[tuple[str, str], int] = {}
        self._all_pending = 0

    def __contains__(self, hold_id: str) -> bool:
        return hold_id in self._by_id

    def get(self, hold_id: str) -> Held | None:
        """The hold of that id."""
        return self._by_id.get(hold_id)

    def of(self, digest: str) -> Held | None:
        """The hold that counts for what `digest` binds."""
        return self._by_digest.get(digest)

    def all(self) -> list[Held]:
        """Every hold."""
        return list(self._by_id.values())

    def has_room(self, issuer: str, passport_id: str) -> bool:
        """Whether another hold of this passport may wait."""
        return self._all_pending < MOST_PENDING and all(
            self._pending.get((issuer, each), 0) < MOST_OF_A_PASSPORT
            for each in _lineage(passport_id)
        )

    def add(self, held: Held) -> None:
        """Takes in a hold."""
        self._by_id[held.id] = held
        if held.state in _COUNTS:
            self._by_digest[held.digest] = held
        if held.state == PENDING:
            self._count(held, 1)

    def change(self, held: Held, state: str, since: Instant, lasts_s: float) -> None:
        """Gives a hold another state."""
        if held.state == PENDING:
            self._count(held, -1)
        held.become(state, since, lasts_s)
        if state not in _COUNTS and self._by_digest.get(held.digest) is held:
            del self._by_digest[held.digest]

    def forget(self, held: Held) -> None:
        """Lets go of a hold."""
        if held.state == PENDING:
            self._count(held, -1)
        del self._by_id[held.id]
        if self._by_digest.get(held.digest) is held:
            del self._by_digest[held.digest]

    def counts(self) -> dict[str, int]:
        """How many wait, have a grant that was not used yet, and are denied."""
        found = dict.fromkeys((PENDING, APPROVED, DENIED), 0)
        for held in self._by_digest.values():
            found[held.state] += 1
        return found

    def _count(self, held: Held, change: int) -> None:
        self._all_pending += change
        for each in _lineage(held.passport_id):
            key = (held.issuer, each)
            count = self._pending.get(key, 0) + change
            if count:
                self._pending[key] = count
            else:
                self._pending.pop(key, None)


def _lineage(passport_id: str) -> list[str]:
    """A passport's id and those of the passports above it: its id is the path from its root."""
    parts = passport_id.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
