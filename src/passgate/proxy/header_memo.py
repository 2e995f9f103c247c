"""Header blocks that came lately, by their exact bytes, within a fixed bound.

Agents send the same headers with every request, the passport among them, and reading them is most
of the work of reading a request. What is kept was read strictly once; other bytes, were it one bit,
are another entry.
"""

from typing import Final

from passgate.core.headers import HeaderBlock

MAX_ENTRIES: Final = 6_000
MAX_BYTES: Final = 6 << 20
MAX_BLOCK_BYTES: Final = 4_096
MAX_BLOCK_HEADERS: Final = 32


class HeaderMemo:
    """Header blocks of plain HTTP/1.1 requests, shared by all connections of a data plane.

    Two generations, each of at most 6,000 blocks and 6 MiB: when the young one is full it becomes
    the old one, and the old one goes. A block that is used again from the old generation is young
    again, so what is in use stays, at the price of a look-up and without an order to keep. Somebody
    who sends ever new headers makes others slower, and nothing more.
    """

    __slots__ = ("_bytes", "_old", "_young")

    def __init__(self) -> None:
        self._young: dict[bytes, HeaderBlock] = {}
        self._old: dict[bytes, HeaderBlock] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, block: bytes) -> HeaderBlock | None:
        """What was kept for exactly these bytes."""
        found = self._young.get(block)
        if found is None:
            found = self._old.get(block)
            if found is not None:
                self._add(block, found)
        return found

    def keep(self, block: bytes, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Keeps `headers` as the reading of `block`, unless too large; returns what to go on with.

        The caller has found that nothing of how they frame the request differs from a plain one.
        """
        if len(block) > MAX_BLOCK_BYTES or len(headers) > MAX_BLOCK_HEADERS:
            return headers
        kept = HeaderBlock(headers)
        self._add(block, kept)
        return kept

    def _add(self, block: bytes, headers: HeaderBlock) -> None:
        young = self._young
        if len(young) >= MAX_ENTRIES or self._bytes >= MAX_BYTES:
            self._old = young
            self._young = young = {}
            self._bytes = 0
        young[block] = headers
        self._bytes += len(block)
