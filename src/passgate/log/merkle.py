"""The Merkle tree of RFC 6962 section 2.1: hashes, roots, and proofs that one leaf is in it.

A leaf is the exact bytes of one log line without its newline.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 || leaf), so that no node can pose as one."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """All that must be remembered of a tree to append to it: its perfect subtrees, largest first.

    At most one hash for each bit of `size`. Appending costs one node hash on average.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError("a frontier has one hash for each bit that is set in its size")

    def append(self, hashed: bytes) -> None:
        """Add the next leaf, by its hash."""
        stack = self.hashes
        size = self.size
        self.size = size + 1
        # Each low bit that is set is a perfect subtree of that height which the new leaf completes.
        while size & 1:
            hashed = sha256(b"\x01" + stack.pop() + hashed).digest()
            size >>= 1
        stack.append(hashed)

    def extend(self, hashes: Iterable[bytes]) -> None:
        """Add leaves in order, by their hashes."""
        stack = self.hashes
        total = self.size
        for leaf in hashes:
            hashed = leaf
            size = total
            while size & 1:
                hashed = sha256(b"\x01" + stack.pop() + hashed).digest()
                size >>= 1
            stack.append(hashed)
            total += 1
        self.size = total

    def root(self) -> bytes:
        """The root hash of the whole tree; of the empty one, SHA-256 of nothing."""
        stack = self.hashes
        if not stack:
            return EMPTY_ROOT
        root = stack[-1]
        for left in stack[-2::-1]:
            root = sha256(b"\x01" + left + root).digest()
        return root

    def copy(self) -> "Frontier":
        """Another frontier of the same tree, to be grown on its own."""
        return Frontier(self.size, self.hashes)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def inclusion_proof(
    leaves: Sequence[bytes], index: int, before: Frontier | None = None
) -> list[bytes]:
    """The audit path of the leaf at `index`, from the leaf upwards.

    The tree is what `before` remembers, nothing by default, and then these leaf hashes; `index`
    counts from the tree's first leaf. RFC 6962 section 2.1.1. Raises `IndexError` when there is no
    such leaf among `leaves`.
    """
    base = Frontier() if before is None else before
    if not base.size <= index < base.size + len(leaves):
        raise IndexError("no such leaf")
    path: list[bytes] = []
    low, high = 0, base.size + len(leaves)
    while high - low > 1:
        split = low + (1 << ((high - low - 1).bit_length() - 1))
        if index < split:
            path.append(_root_between(base, leaves, split, high))
            high = split
        else:
            path.append(_root_between(base, leaves, low, split))
            low = split
    path.reverse()
    return path


def _root_between(base: Frontier, leaves: Sequence[bytes], low: int, high: int) -> bytes:
    """The root over the leaves from `low` to `high`, as they are siblings on a path to one that
    `base` does not remember: then its perfect subtrees begin and end where these do."""
    if low >= base.size:
        return root_of(leaves[low - base.size : high - base.size])
    begins, within = 0, Frontier()
    for height in range(base.size.bit_length() - 1, -1, -1):
        if base.size >> height & 1:
            if low <= begins < high:
                within.hashes.append(base.hashes[(base.size >> height).bit_count() - 1])
                within.size += 1 << height
            begins += 1 << height
    within.extend(leaves[: max(0, high - base.size)])
    return within.root()


def verify_inclusion(
    hashed: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether `path` proves that the leaf is at `index` of the tree with this size and root.

    RFC 9162 section 2.1.3.2, which fails a path that is too long or too short.
    """
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            hashed = node_hash(sibling, hashed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            hashed = node_hash(hashed, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and hashed == root
