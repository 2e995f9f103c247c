"""Requests that stay at the gate until a person decides about them, within a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

MOST_WAITING: Final = 100
MOST_OF_A_PASSPORT: Final = 20


class WaitingRoom:
    """Who waits for which hold. `count` is how many do."""

    def __init__(self, wait: Callable[[float], Awaitable[None]]) -> None:
        self.count = 0
        self._wait = wait
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._of_passport: dict[tuple[str, str], int] = {}
        self._closed = False

    async def stay(
        self,
        hold_id: str,
        passport: tuple[str, str],
        seconds: float,
        parked: asyncio.Future[None],
    ) -> bool:
        """Waits until `wake`, until `parked` is done otherwise, or for that long.

        `passport` is the issuer and the id of the one at the root of whoever waits. False at once
        where a hundred wait already, or twenty of this passport; True at once where the gate is
        stopping.
        """
        if self._closed:
            return True
        of_passport = self._of_passport.get(passport, 0)
        if self.count >= MOST_WAITING or of_passport >= MOST_OF_A_PASSPORT:
            return False
        self._of_passport[passport] = of_passport + 1
        waiters = self._waiters.setdefault(hold_id, set())
        waiters.add(parked)
        self.count += 1
        sleeping = asyncio.ensure_future(self._wait(seconds))
        try:
            await asyncio.wait((parked, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            self.count -= 1
            self._of_passport[passport] -= 1
            if not self._of_passport[passport]:
                del self._of_passport[passport]
            waiters.discard(parked)
            if not waiters:
                self._waiters.pop(hold_id, None)
        await asyncio.gather(sleeping, return_exceptions=True)
        return True

    def wake(self, hold_id: str) -> None:
        """Something has become of a hold: whoever waits for it goes on."""
        for parked in self._waiters.get(hold_id, ()):
            if not parked.done():
                parked.set_result(None)

    def close(self) -> None:
        """Everybody goes on now, and nobody waits any more."""
        self._closed = True
        for hold_id in list(self._waiters):
            self.wake(hold_id)
