"""Follows one source: reads it when it is due, keeps what was learnt, and never gives up.

What is learnt from a body is the business of `learning`; here are the schedule, the failures and
the last good copy.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from passgate.clock import Clock
from passgate.core.instant import Instant
from passgate.core.trust import KeySet, Passports, Revocations
from passgate.errors import DataError, SourceError
from passgate.sync.sources import Kind, NotModified, Source
from passgate.sync.store import Copy, TrustStore

Wait = Callable[[float], Awaitable[None]]

WATCH_S: Final = 1.0
"""How often a file's status is looked at."""

ASK_INTERVAL_S: Final = 10.0
"""The shortest time between two readings that unknown keys ask for."""

_NOTE_EVERY_S: Final = 10.0  # a confirmation less on disk only makes a copy look older
_STEP_S: Final = 5.0  # asyncio's sleep stands still while the machine sleeps; due times do not
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 300.0

_LARGE: Final = 64 * 1024
"""Bodies above this are read in a thread, so that requests do not wait for it."""

Learnt = TypeVar("Learnt", KeySet, Passports, Revocations)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How time passes for followers: `jitter` gives numbers from 0 to 1, `wait` sleeps seconds."""

    clock: Clock
    wait: Wait
    jitter: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Memory:
    """What of the accepted content is needed to judge the next; see `store.Copy`.

    `ttl_s` is after how long the content itself wants to be read again.
    """

    source: str = ""
    digest: str = ""
    etag: str | None = None
    highest_iat: int | None = None
    signed_by: tuple[str, str] | None = None
    ttl_s: float | None = None


class Follower(ABC, Generic[Learnt]):
    """One source of one issuer. `value` is what it taught last, None until it taught anything.

    `changed` is called after `value` was replaced, with True where more than its age differs.
    """

    kind: Kind

    def __init__(
        self,
        issuer: str,
        source: Source,
        refresh_s: float,
        rhythm: Rhythm,
        store: TrustStore | None,
        changed: "Callable[[Follower[Learnt], bool], None]",
    ) -> None:
        self.issuer = issuer
        self.source = source
        self.value: Learnt | None = None
        self.memory = Memory()
        self.error = ""
        self.failures = 0
        self.failures_total = 0
        self.attempted = asyncio.Event()
        self._refresh_s = refresh_s
        self._rhythm = rhythm
        self._store = store
        self._changed: Callable[[Follower[Learnt], bool], None] = changed
        self._saved = False
        self._noted_boot = float("-inf")
        self._wake = asyncio.Event()
        self._asked = False
        self._hastened = False
        self._last_boot = float("-inf")
        self._due_boot = rhythm.clock().boot

    @abstractmethod
    async def learn(self, body: bytes, read_at: Instant) -> tuple[Learnt, Memory]:
        """What `body` teaches, and what to remember of it; `ValueError` for what is refused."""

    @abstractmethod
    def check_confirmed(self) -> None:
        """Raises `ValueError` where the accepted content would not be accepted again."""

    @abstractmethod
    def recall(self, copy: Copy) -> Learnt | None:
        """What the last good `copy` teaches; None if it does not count, `ValueError` if damaged."""

    @abstractmethod
    def reread(self, copy: Copy) -> Learnt:
        """What `copy` teaches, which somebody has accepted; `ValueError` if it is damaged."""

    def outruns(self, copy: Copy, now: Instant) -> bool:
        """Whether `copy` is newer than what is in force.

        Raises `ValueError` where it is, and may not follow all the same.
        """
        return self.value is None or now.age_of(copy.read_at) < now.age_of(self.value.read_at)

    def take(self, value: Learnt, copy: Copy) -> None:
        """Has `value` in force, which a trust bundle teaches; nobody is told.

        It is not kept as a last good copy: the bundle is, and counts as long as its signer does.
        """
        known = self.memory
        highest = [iat for iat in (known.highest_iat, copy.highest_iat) if iat is not None]
        self.value = value
        self.memory = Memory(
            copy.source, _digest(copy.body), None, max(highest, default=None), copy.signed_by
        )
        self._saved = False
        self.attempted.set()

    async def restore(self) -> None:
        """Takes up the last good copy. Raises `DataError` for one that is damaged."""
        if self._store is None or self.value is not None:
            return
        store, now = self._store, self._rhythm.clock()
        copy = await asyncio.to_thread(store.load, self.issuer, self.kind, now)
        if copy is None:
            return
        try:
            value = self.recall(copy)
        except ValueError as error:
            raise DataError(
                f"{store.path_of(self.issuer, self.kind)}: {error}; restore it from a backup, or"
                " remove it to start without a copy"
            ) from None
        if value is None:
            return
        self.value = value
        self.memory = Memory(
            copy.source, _digest(copy.body), copy.etag, copy.highest_iat, copy.signed_by
        )
        self._saved = True

    def inherit(self, value: Learnt | None, memory: Memory) -> None:
        """Takes over what another follower of the same issuer and kind has learnt."""
        self.value, self.memory = value, memory

    async def attempt(self) -> None:
        """Reads the source once; what is wrong with it ends up in `error`, and `value` stays."""
        started = self._rhythm.clock()
        self._last_boot = started.boot
        self._asked = self._hastened = False
        try:
            await self._read(started)
        except (SourceError, ValueError) as error:
            self.fail(str(error))
        else:
            self.error = ""
            self.failures = 0
            # Earlier by up to a tenth, so that many gates do not ask at the same moment.
            self._due_boot = started.boot + self._period_s() * (1 - 0.1 * self._rhythm.jitter())
        finally:
            self.attempted.set()
        if self._hastened:
            self._due_boot = started.boot

    def _period_s(self) -> float:
        ttl_s = self.memory.ttl_s
        return self._refresh_s if ttl_s is None else min(self._refresh_s, ttl_s)

    async def run(self) -> None:
        """Attempts for ever, each when it is due."""
        while True:
            await self._until_due()
            await self.attempt()

    def fail(self, error: str) -> None:
        """Notes that an attempt failed, and plans the next: soon at first, then ever later."""
        self.error = error
        self.failures += 1
        self.failures_total += 1
        delay = _FIRST_RETRY_S * 2.0 ** min(self.failures - 1, 16)
        delay = min(delay, self._refresh_s, _LONGEST_RETRY_S)
        self._due_boot = self._rhythm.clock().boot + delay * (1 - 0.5 * self._rhythm.jitter())

    def ask(self) -> bool:
        """Asks for a reading before it is due; False where the source has failed and is retried."""
        if self.failures:
            return False
        if not self._asked:
            self._asked = True
            self._wake.set()
        return True

    def hasten(self) -> None:
        """Makes a reading due now, or where one is under way, another right after it."""
        self._hastened = True
        self._due_boot = self._rhythm.clock().boot
        self._wake.set()

    def next_attempt_s(self, now: Instant) -> float:
        """Seconds until the next reading is due, 0 while it is under way."""
        due = self._due_boot
        if self._asked:
            due = min(due, self._last_boot + ASK_INTERVAL_S)
        return max(0.0, due - now.boot)

    async def _until_due(self) -> None:
        wait, clock = self._rhythm.wait, self._rhythm.clock
        while (remaining := self.next_attempt_s(clock())) > 0 and not self.source.changed():
            self._wake.clear()
            step = min(remaining, WATCH_S if self.source.local else _STEP_S)
            pauses = [
                asyncio.ensure_future(wait(step)),
                asyncio.ensure_future(self._wake.wait()),
            ]
            try:
                await asyncio.wait(pauses, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pause in pauses:
                    pause.cancel()

    async def _read(self, started: Instant) -> None:
        known = self.memory
        same_source = known.source == self.source.name
        # What could not be saved is wanted again whole.
        kept = self._saved or self._store is None
        answer = await self.source.read(known.etag if same_source and kept else None)
        if isinstance(answer, NotModified):
            self._confirm(started)
            await self._keep(None, started)
            return
        body = answer.body
        digest = await in_time(body, lambda: _digest(body))
        if same_source and digest == known.digest:
            self._confirm(started)
            self.memory = replace(self.memory, etag=answer.etag)
        else:
            value, memory = await self.learn(body, started)
            self.memory = replace(memory, source=self.source.name, digest=digest, etag=answer.etag)
            self._saved = False
            self.value = value
            self._changed(self, True)
        await self._keep(body, started)

    def _confirm(self, started: Instant) -> None:
        assert self.value is not None
        self.check_confirmed()
        self.value = replace(self.value, read_at=started)
        self._changed(self, False)

    async def _keep(self, body: bytes | None, read_at: Instant) -> None:
        """Puts `body` on disk, or where that was done already, when it was confirmed."""
        store, memory = self._store, self.memory
        if store is None:
            return
        try:
            if self._saved:
                if read_at.boot - self._noted_boot < _NOTE_EVERY_S:
                    return
                self._noted_boot = read_at.boot
                await asyncio.to_thread(
                    store.confirm, self.issuer, self.kind, memory.digest, read_at
                )
                return
            assert body is not None
            copy = Copy(
                self.issuer,
                self.kind,
                memory.source,
                body,
                memory.etag,
                read_at,
                memory.highest_iat,
                memory.signed_by,
            )
            await asyncio.to_thread(store.save, copy)
        except OSError as error:
            raise SourceError(
                f"{self.source.name} was read, but no copy could be kept: {error.strerror};"
                " see to gate.data_dir"
            ) from None
        self._saved = True
        self._noted_boot = read_at.boot


async def in_time(body: bytes, work: Callable[[], T]) -> T:
    """What `work` on `body` gives; in a thread where it may take long."""
    return await asyncio.to_thread(work) if len(body) > _LARGE else work()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
