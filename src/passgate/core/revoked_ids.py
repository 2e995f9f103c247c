"""Many ids, packed: nine bytes each, however long they are."""

from array import array
from bisect import bisect_left


class RevokedIds:
    """What a list revokes of one kind; `in` tells whether an id is among them.

    Kept is `hash(id)` alone, which every text carries once it was asked for, in order: on shelves
    by its first bits, of some eight each, so that a lookup costs the same however many there are,
    and little more where somebody fills one shelf. It is 64 bits of SipHash under a key that the
    process drew at its start: that an id which is not listed is taken for one of a million has a
    probability of 5e-14, no sender can choose one for which it is so, and such an id is refused,
    never let through. Who fixes PYTHONHASHSEED lets ids be chosen that are refused in others'
    stead, and nothing more.

    What was added since the list was packed stands beside it, in a set.
    """

    __slots__ = ("_begins", "_bits", "_hashes", "_many", "_more")

    def __init__(
        self,
        hashes: "array[int]",
        begins: "array[int]",
        bits: int,
        more: frozenset[int] = frozenset(),
    ) -> None:
        """Takes over what `passgate.core.revocation.packed` makes.

        `hashes` ascend, each there once. Those with one value of their first `bits` bits are a
        shelf; where each begins is in `begins`, the lowest first, and after the last the end.
        `more` are hashes as well.
        """
        self._hashes = hashes
        self._begins = begins
        self._bits = bits
        self._more = more
        self._many = len(hashes) + len(more)

    def with_more(self, hashes: frozenset[int]) -> "RevokedIds":
        """These ids and those with `hashes`; what is packed is shared, not copied."""
        new = frozenset([each for each in hashes if not self._packed(each)])
        if new <= self._more:
            return self
        return RevokedIds(self._hashes, self._begins, self._bits, self._more | new)

    def __contains__(self, id_: str) -> bool:
        # Most lists revoke no agent and no key, and each request asks for all three kinds.
        if not self._many:
            return False
        wanted = hash(id_)
        more = self._more
        if more and wanted in more:
            return True
        return self._packed(wanted)

    def _packed(self, wanted: int) -> bool:
        begins = self._begins
        shelf = (wanted >> (64 - self._bits)) + (1 << (self._bits - 1))  # half of them are negative
        end = begins[shelf + 1]
        at = bisect_left(self._hashes, wanted, begins[shelf], end)
        return at < end and self._hashes[at] == wanted

    def __len__(self) -> int:
        return self._many

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RevokedIds):
            return NotImplemented
        return self._hashes == other._hashes and self._more == other._more
