"""Waiting for conditions instead of for time."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Returns as soon as `condition()` is true; fails the test if that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        await asyncio.sleep(0.001)


async def settled(rounds: int = 50) -> None:
    """Lets everything that is ready to run do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)
