"""Header blocks that came twice lately, by their exact bytes, within a fixed bound.

Agents send the same headers with every request, the passport among them, and reading them is most
of the work of reading a request. What is kept was read strictly; other bytes, were it one bit, are
another entry.
"""

from typing import Final

from passgate.core.generations import Generations
from passgate.core.headers import HeaderBlock
from passgate.core.newcomers import Newcomers

MAX_ENTRIES: Final = 6_000
MAX_BYTES: Final = 20 << 20
MAX_BLOCK_BYTES: Final = 4_096
MAX_BLOCK_HEADERS: Final = 32
# What an entry takes, as measured: the block, its values and what is forwarded, and objects.
_COPIES: Final = 3
_HEADER_BYTES: Final = 200
_ENTRY_BYTES: Final = 500


class HeaderMemo:
    """Header blocks of plain HTTP/1.1 requests, shared by all connections of a data plane.

    Two `Generations`, each of at most 6,000 blocks and about 20 MiB. `find(block)` gives what was
    kept for exactly these bytes, or None.
    """

    __slots__ = ("_blocks", "_newcomers", "find")

    def __init__(self) -> None:
        self._blocks: Generations[bytes, HeaderBlock] = Generations(MAX_ENTRIES, MAX_BYTES)
        self._newcomers = Newcomers()
        self.find = self._blocks.find

    def __len__(self) -> int:
        return len(self._blocks)

    def keep(self, block: bytes, headers: list[tuple[bytes, bytes]]) -> HeaderBlock | None:
        """Keeps `headers` as the reading of `block`, if it came before and is not too large.

        Returns what was kept. The caller has found that nothing of how they frame the request
        differs from a plain one.
        """
        if len(block) > MAX_BLOCK_BYTES or len(headers) > MAX_BLOCK_HEADERS:
            return None
        if not self._newcomers.came(block):
            return None
        kept = HeaderBlock(headers)
        size = _ENTRY_BYTES + _COPIES * len(block) + _HEADER_BYTES * len(headers)
        self._blocks.keep(block, kept, size)
        return kept
