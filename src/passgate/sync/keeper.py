"""Keeps one Trust current: a task per source in the background, one reference that is swapped.

Requests read `trust` and never wait; one source that fails blocks no other.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict

from passgate.clock import Clock, system_clock
from passgate.core.kills import NO_KILLS, Kills
from passgate.core.trust import NO_TRUST, Trust
from passgate.errors import SourceError
from passgate.sync.follower import Follower, Rhythm, Wait
from passgate.sync.learning import KeysFollower, ListFollower
from passgate.sync.push import PushFollower
from passgate.sync.settings import IssuerSettings, Location
from passgate.sync.sources import Kind, open_source
from passgate.sync.store import TrustStore

_UNKNOWN_KIDS: Final = 1024
_Runner: TypeAlias = "Follower[Any] | PushFollower"


class SourceStatus(TypedDict):
    """How one source of one issuer stands, as readiness, the admin API and metrics show it.

    `age_s` is None until it was read once; `error` is "" or one line; `failures` counts since the
    last success, `failures_total` and `unknown_kids` since the start; `expires_at` is Unix time.
    `push` is how the stream stands by which the issuer adds to its list, None without one.
    """

    issuer: str
    kind: Kind
    source: str
    loaded: bool
    age_s: int | None
    error: str
    failures: int
    failures_total: int
    next_attempt_s: float
    unknown_kids: int
    expires_at: float | None
    push: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TrustChange:
    """Something other than an age differs: `what` is `keys` or `revocations` of `issuer`.

    A reload is `what` = `issuers`, and a turn of the kill switch `kills`, both with `issuer` "".
    """

    issuer: str
    what: str
    before: Trust
    after: Trust


@dataclass(slots=True)
class _Followed:
    """One issuer's settings and followers; `unknown` says until when a kid need not be asked for.

    Kids are kept as their hashes, so that an attacker's long ones take no room.
    """

    settings: IssuerSettings
    keys: KeysFollower
    revocations: ListFollower | None
    unknown: dict[int, float] = field(default_factory=dict)
    unknown_total: int = 0
    push: PushFollower | None = None

    @property
    def runners(self) -> "tuple[_Runner, ...]":
        """All that runs by itself: the followers, and what follows the stream."""
        return self.followers if self.push is None else (*self.followers, self.push)

    @property
    def followers(self) -> "tuple[Follower[Any], ...]":
        return (self.keys,) if self.revocations is None else (self.keys, self.revocations)


class Keeper:
    """Learns from the sources of `issuers`, and keeps `trust`.

    `kills` are part of it from the beginning, and nothing that is learnt changes them.
    `store` holds the last good copies (or names their directory); None keeps none. `clock`, `wait`
    and `jitter` are where time and chance enter. Raises `SourceError` for what is no source.
    """

    def __init__(
        self,
        issuers: Iterable[IssuerSettings],
        store: TrustStore | Path | None,
        *,
        clock: Clock = system_clock,
        wait: Wait = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        kills: Kills = NO_KILLS,
    ) -> None:
        self.trust: Trust = replace(NO_TRUST, kills=kills)
        self._store = TrustStore(store) if isinstance(store, Path) else store
        self._rhythm = Rhythm(clock, wait, jitter)
        self._callbacks: list[Callable[[TrustChange], None]] = []
        self._tasks: dict[_Runner, asyncio.Task[None]] = {}
        self._reconfiguring = asyncio.Lock()
        self._followed: dict[str, _Followed] = {}
        self._followed = self._open(issuers)
        self._compose()

    async def start(self) -> None:
        """Takes up the last good copies, reads what is local, and follows everything from then on.

        Waits for no network: sources beyond this machine are read in the background. Raises
        `DataError` for a damaged copy; then nothing runs.
        """
        await self._prepare(self._followed.values())
        self._compose()
        for followed in self._followed.values():
            self._follow(followed)

    async def read_once(self) -> None:
        """Reads every source once, also beyond this machine, and follows none; for commands.

        What went wrong is in `status`.
        """
        for followed in self._followed.values():
            for follower in followed.followers:
                await follower.attempt()
        await self.close()

    async def reconfigure(self, issuers: Iterable[IssuerSettings]) -> None:
        """Follows `issuers` instead, keeping what is unchanged; `trust` changes in one step.

        What was learnt from a source that stays is kept. Raises `SourceError` or `DataError`; then
        everything is as it was.
        """
        async with self._reconfiguring:
            followed = self._open(issuers)
            fresh = [entry for entry in followed.values() if entry.keys not in self._tasks]
            try:
                await self._prepare(fresh)
            except BaseException:
                await _close(runner for entry in fresh for runner in entry.runners)
                raise
            before, self._followed = self.trust, followed
            self._compose()
            self._tell(TrustChange("", "issuers", before, self.trust))
            kept = {runner for entry in followed.values() for runner in entry.runners}
            await self._stop(set(self._tasks) - kept)
            for entry in fresh:
                self._follow(entry)

    async def close(self) -> None:
        """Ends every task and connection; `trust` stays as it is."""
        running = set(self._tasks)
        await self._stop(running)
        every = [each for entry in self._followed.values() for each in entry.runners]
        await _close(each for each in every if each not in running)

    def adopt_kills(self, kills: Kills) -> None:
        """Has `kills` in force from here on, and tells about it."""
        before = self.trust
        self.trust = replace(before, version=before.version + 1, kills=kills)
        self._tell(TrustChange("", "kills", before, self.trust))

    def on_change(self, callback: Callable[[TrustChange], None]) -> None:
        """Has `callback` called, on the event loop, after each change of more than an age."""
        self._callbacks.append(callback)

    def note_unknown_kid(self, issuer: str, kid: str) -> None:
        """Asks for the issuer's keys to be read again soon, because a passport names key `kid`.

        Cheap and immediate. However many kids are named, keys are read at most once in
        `ASK_INTERVAL_S`, and one kid asks at most once per refresh.
        """
        followed = self._followed.get(issuer)
        if followed is None:
            return
        followed.unknown_total += 1
        unknown, token, now = followed.unknown, hash(kid), self._rhythm.clock().boot
        if unknown.get(token, now) > now or not followed.keys.ask():
            return
        unknown.pop(token, None)
        if len(unknown) >= _UNKNOWN_KIDS:
            del unknown[next(iter(unknown))]
        unknown[token] = now + followed.settings.refresh_s

    def status(self) -> list[SourceStatus]:
        """How every source stands now, in the order of the configuration."""
        now = self._rhythm.clock()
        rows: list[SourceStatus] = []
        for issuer, followed in self._followed.items():
            for follower in followed.followers:
                value = follower.value
                rows.append(
                    {
                        "issuer": issuer,
                        "kind": follower.kind,
                        "source": follower.source.name,
                        "loaded": value is not None,
                        "age_s": None if value is None else int(now.age_of(value.read_at)),
                        "error": follower.error,
                        "failures": follower.failures,
                        "failures_total": follower.failures_total,
                        "next_attempt_s": round(follower.next_attempt_s(now), 1),
                        "unknown_kids": followed.unknown_total if follower.kind == "keys" else 0,
                        "expires_at": getattr(value, "expires_at", None),
                        "push": followed.push.status()
                        if follower is followed.revocations and followed.push is not None
                        else None,
                    }
                )
        return rows

    def _open(self, issuers: Iterable[IssuerSettings]) -> dict[str, _Followed]:
        """Followers for `issuers`: those that run already where their sources are the same."""
        opened: dict[str, _Followed] = {}
        for settings in issuers:
            name = settings.issuer.id
            if name in opened:
                raise SourceError(f"issuer {name!r} is configured twice")
            old = self._followed.get(name)
            if old is not None and _same_sources(old.settings, settings):
                opened[name] = replace(old, settings=settings)
                continue
            keys = KeysFollower(*self._arguments(settings, "keys", settings.keys))
            revocations = None
            if settings.revocations is not None:
                revocations = ListFollower(
                    *self._arguments(settings, "revocations", settings.revocations)
                )
                revocations.signers = keys
                revocations.uri = _address_of(settings.revocations)
            opened[name] = _Followed(settings, keys, revocations)
            if revocations is not None and settings.revocations_push is not None:
                opened[name].push = self._pushing(settings, revocations)
            if old is not None:
                opened[name].unknown_total = old.unknown_total
                keys.inherit(old.keys.value, old.keys.memory)
                if revocations is not None and old.revocations is not None:
                    revocations.inherit(old.revocations.value, old.revocations.memory)
                    revocations.deltas = old.revocations.deltas
        return opened

    def _arguments(self, settings: IssuerSettings, kind: Kind, location: Location) -> Any:
        source = open_source(
            location,
            kind,
            insecure_http=settings.insecure_http,
            keys_origin=settings.keys_origin,
        )
        name, refresh_s = settings.issuer.id, settings.refresh_s
        return name, source, refresh_s, self._rhythm, self._store, self._learnt

    def _pushing(self, settings: IssuerSettings, revocations: ListFollower) -> PushFollower:
        # Imported here, so that a gate without it stays small.
        from passgate.sync.event_source import EventSource

        assert settings.revocations_push is not None
        source = EventSource(settings.revocations_push, insecure_http=settings.insecure_http)
        name = settings.issuer.id
        return PushFollower(name, source, revocations, self._rhythm, self._keep_deltas)

    async def _keep_deltas(self, revocations: ListFollower) -> None:
        """Puts what was pushed on disk, so that a restart does not forget it."""
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.save_deltas, revocations.issuer, revocations.deltas)
        except OSError as error:
            raise SourceError(
                f"what {revocations.issuer} pushed counts, but no copy could be kept:"
                f" {error.strerror}; see to gate.data_dir"
            ) from None

    async def _prepare(self, fresh: Iterable[_Followed]) -> None:
        """Lets each follower know what it can know without the network."""
        for followed in fresh:
            for follower in followed.followers:
                await follower.restore()
        for followed in fresh:
            keys, revocations = followed.keys, followed.revocations
            if keys.source.local:
                await keys.attempt()
            # A list waits for the first keys; those of another machine come after the start.
            judged = keys.value is not None or keys.attempted.is_set()
            if revocations is not None and revocations.source.local and judged:
                await revocations.attempt()

    def _follow(self, followed: _Followed) -> None:
        for follower in followed.runners:
            self._run(follower)

    def _run(self, follower: _Runner) -> None:
        task = asyncio.get_running_loop().create_task(
            follower.run(), name=f"follow {follower.kind} of {follower.issuer}"
        )
        self._tasks[follower] = task
        task.add_done_callback(partial(self._ended, follower))

    def _ended(self, follower: _Runner, task: asyncio.Task[None]) -> None:
        """Starts a follower anew that ended by an error that nobody foresaw, and tells about it."""
        if task.cancelled() or self._tasks.get(follower) is not task:
            return
        error = task.exception()
        follower.fail(f"reading {follower.source.name} failed: {type(error).__name__}")
        task.get_loop().call_exception_handler(
            {"message": f"{task.get_name()} ended and was started anew", "exception": error}
        )
        self._run(follower)

    async def _stop(self, followers: "set[_Runner]") -> None:
        tasks = [self._tasks.pop(follower) for follower in followers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _close(followers)

    def _learnt(self, follower: Follower[Any], changed: bool) -> None:
        followed = self._followed.get(follower.issuer)
        if followed is None or follower not in followed.followers:
            return  # not in force yet, or no longer
        before = self.trust
        self._compose(version=before.version + changed)
        if not changed:
            return
        if follower is followed.keys:
            followed.unknown.clear()
            if followed.revocations is not None:
                followed.revocations.hasten()
        self._tell(TrustChange(follower.issuer, follower.kind, before, self.trust))

    def _compose(self, version: int | None = None) -> None:
        """Puts together what is configured and what was learnt."""
        self.trust = Trust(
            {
                name: replace(
                    followed.settings.issuer,
                    keys=followed.keys.value,
                    revocations=None
                    if followed.revocations is None
                    else followed.revocations.value,
                )
                for name, followed in self._followed.items()
            },
            self.trust.version + 1 if version is None else version,
            self.trust.kills,
        )

    def _tell(self, change: TrustChange) -> None:
        for callback in self._callbacks:
            callback(change)


def _address_of(location: Location) -> str | None:
    """The URL of a source, None for a file's."""
    found = isinstance(location, str) and location.lower().startswith(("http://", "https://"))
    return str(location) if found else None


def _same_sources(old: IssuerSettings, new: IssuerSettings) -> bool:
    return replace(old, issuer=new.issuer) == new


async def _close(runners: "Iterable[_Runner]") -> None:
    for runner in runners:
        if not isinstance(runner, PushFollower):  # what it opens ends with its task
            await runner.source.close()
