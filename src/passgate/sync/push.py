"""Follows what an issuer pushes: each delta counts at once, and what is missed is read whole.

Nothing that comes is believed before its signature fits; whatever else comes ends the connection,
changes nothing, is told in `error`, and is tried again ever later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Literal

from passgate.errors import SourceError
from passgate.sync.follower import Rhythm
from passgate.sync.learning import ListFollower

if TYPE_CHECKING:
    from passgate.sync.event_source import EventSource

EVENT: Final = "delta"
"""The name of the one kind of event there is."""

_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0


class PushFollower:
    """One issuer's stream of deltas, which are added to the list that `listed` follows.

    `connected` is True while what comes is good, from the first event on; `taken` counts deltas
    that added something. They count at once, and are put on disk beside that: `kept` says that all
    are there.
    """

    kind: Literal["push"] = "push"

    def __init__(
        self,
        issuer: str,
        source: "EventSource",
        listed: ListFollower,
        rhythm: Rhythm,
        keep: "Callable[[ListFollower], Awaitable[None]]",
    ) -> None:
        self.issuer = issuer
        self.source = source
        self.listed = listed
        self.connected = False
        self.error = ""
        self.failures = 0
        self.failures_total = 0
        self.taken = 0
        self.kept = True
        self._keep_error = ""
        self._unkept = asyncio.Event()
        self._rhythm = rhythm
        self._keep = keep

    async def run(self) -> None:
        """Listens for ever, tries again whenever it ends, and keeps what comes."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._listen_on())
            both.create_task(self._keep_on())

    async def _listen_on(self) -> None:
        while True:
            try:
                await self._listen()
            except (SourceError, ValueError) as error:
                self.fail(str(error))
            # What was missed meanwhile is on the list, and the connection may be long in coming.
            self.listed.hasten()
            delay = min(_FIRST_RETRY_S * 2.0 ** min(self.failures - 1, 16), _LONGEST_RETRY_S)
            await self._rhythm.wait(delay * (1 - 0.5 * self._rhythm.jitter()))

    async def _keep_on(self) -> None:
        """Keeps what has come since the last time: a disk that is slow delays no revocation."""
        while True:
            await self._unkept.wait()
            self._unkept.clear()
            try:
                await self._keep(self.listed)
            except SourceError as error:
                self._keep_error = str(error)
                self.failures_total += 1
                self._unkept.set()
                await self._rhythm.wait(_FIRST_RETRY_S)
            else:
                self._keep_error = ""
                self.kept = not self._unkept.is_set()

    def fail(self, error: str) -> None:
        """Notes that the stream has ended, and why."""
        self.connected = False
        self.error = error
        self.failures += 1
        self.failures_total += 1

    def status(self) -> dict[str, Any]:
        """How the stream stands, as readiness, the admin API and metrics show it."""
        return {
            "source": self.source.name,
            "connected": self.connected,
            "error": self.error or self._keep_error,
            "kept": self.kept,
            "failures_total": self.failures_total,
            "deltas": self.taken,
        }

    async def _listen(self) -> None:
        await self.listed.attempted.wait()
        number = self.listed.number
        if number is None:
            raise SourceError(f"{self.source.name}: there is no signed list yet to add to")
        async with aclosing(self.source.events(str(number))) as events:
            async for event in events:
                if event.name != EVENT:
                    raise SourceError(f"{self.source.name} sent an event that is no delta")
                self._take(event.data)
                self.connected = True
                self.error = ""
                self.failures = 0
        raise SourceError(f"{self.source.name} ended the stream")

    def _take(self, raw: bytes) -> None:
        listed = self.listed
        taken = listed.take_delta(raw, self._rhythm.clock())
        if taken.wants_list:
            listed.hasten()
        if taken.added:
            self.taken += 1
            self.kept = False
            self._unkept.set()
