"""The kill switch of a running gate: an order is in force at once, then on disk, then confirmed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from passgate.clock import Clock
from passgate.core.kills import MAX_KILLS, Kill, check_order, kills_of
from passgate.errors import OrderError
from passgate.sync.keeper import Keeper
from passgate.sync.kill_store import KillStore
from passgate.ulid import UlidSource

Note: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Puts on record what was ordered, before it returns; done once that is on disk, or cannot be."""

ALL: Final = "all"


class KillSwitch:
    """Changes the kills of `keeper`, one order at a time.

    `note` is called as soon as an order is in force, so that the record tells of it before whatever
    is refused by it.
    """

    def __init__(self, keeper: Keeper, store: KillStore, clock: Clock, note: Note) -> None:
        self._keeper = keeper
        self._store = store
        self._clock = clock
        self._note = note
        self._ids = UlidSource("kill_")
        self._saving = asyncio.Lock()
        self._saved = self.kills

    @property
    def kills(self) -> tuple[Kill, ...]:
        """What is stopped now, in the order in which it was."""
        return self._keeper.trust.kills.entries

    async def stop(
        self, kind: str, target: str, issuer: str, reason: str, by: str
    ) -> tuple[Kill, bool]:
        """Stops something: the kill, and whether it is a new one; stopping twice changes nothing.

        It is in force before anything is awaited, and on disk when this returns. Raises
        `ValueError` for an order that makes no sense, and `OrderError` where there are too many, or
        where the disk refuses: then it is in force until the gate ends.
        """
        check_order(kind, target, issuer, reason)
        for kill in self.kills:
            if kill.stops == (kind, target, issuer):
                await self._save_all()
                return kill, False
        if kind != ALL and len(self.kills) >= MAX_KILLS:
            raise OrderError(f"{MAX_KILLS} kills are in force; lift some, or stop everything")
        now = self._clock()
        kill = Kill(self._ids.next(now.wall), kind, target, issuer, reason, by, int(now.wall))
        self._keeper.adopt_kills(kills_of((*self.kills, kill)))
        await asyncio.gather(self._noted("kill", kill, by), self._save_all())
        return kill, True

    async def lift(self, name: str, by: str) -> Kill:
        """Lifts the kill of this id, or the one that stops what is called so; `all` is called all.

        It stands until that is on disk. Raises `LookupError` where there is none, `ValueError`
        where several stop something of this name, and `OrderError` where the disk refuses.
        """
        async with self._saving:
            kill = self._called(name)
            left = tuple(each for each in self.kills if each is not kill)
            await self._save(left, f"{kill.id} is not lifted")
            # Others may have been ordered meanwhile; whoever ordered them saves them next.
            left = tuple(each for each in self.kills if each is not kill)
            self._keeper.adopt_kills(kills_of(left))
        await self._noted("unkill", kill, by)
        return kill

    def _called(self, name: str) -> Kill:
        found = [kill for kill in self.kills if kill.id == name]
        if not found:
            found = [kill for kill in self.kills if (kill.target or ALL) == name]
        if len(found) > 1:
            raise ValueError(f"name one of {', '.join(kill.id for kill in found)}")
        if not found:
            raise LookupError("no such kill is in force")
        return found[0]

    async def _save_all(self) -> None:
        """Puts on disk what is in force, unless it is there."""
        async with self._saving:
            entries = self.kills
            if entries is not self._saved:
                await self._save(entries, "the kill is in force until the gate ends")

    async def _save(self, entries: tuple[Kill, ...], otherwise: str) -> None:
        try:
            await asyncio.to_thread(self._store.save, entries)
        except OSError as error:
            raise OrderError(
                f"{otherwise}: {self._store.path} cannot be written ({error.strerror});"
                " make room and order it again"
            ) from None
        self._saved = entries

    def _noted(self, what: str, kill: Kill, by: str) -> Awaitable[bool]:
        told = asdict(kill)
        fields: dict[str, Any] = {
            "what": what,
            "by": by,
            "version": self._keeper.trust.version,
            "kill": told.pop("id"),
            "stops": {name: told[name] for name in ("kind", "target", "issuer") if told[name]},
        }
        if kill.reason:
            fields["reason"] = kill.reason
        return self._note(fields)
