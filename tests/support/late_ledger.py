"""Counters behind a round trip, or that break: a real ledger inside one that is not it."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger import MemoryLedger
from passgate.ledger.protocol import Taken


class LateLedger:
    """Answers every reservation in another turn of the loop, as shared counters may."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = MemoryLedger() if inner is None else inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def reserve(
        self, charges: tuple[Charge, ...], now: Instant, once: Once | None = None
    ) -> Awaitable[Taken]:
        """What the ledger inside says, a turn later."""
        return self._later(charges, now, once)

    async def _later(self, charges: tuple[Charge, ...], now: Instant, once: Once | None) -> Taken:
        await asyncio.sleep(0)
        taken: Taken = self.inner.reserve(charges, now, once)
        return taken


class BreakingLedger:
    """Fails at the next reservation, and is whole again after that."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def reserve(self, *arguments: Any) -> Any:
        """A defect, once."""
        if self.broken:
            self.broken = False
            raise RuntimeError("a defect")
        return self.inner.reserve(*arguments)
