"""Keeps one Trust current: a task per source in the background, one reference that is swapped.

Requests read `trust` and never wait; one source that fails blocks no other.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict

from passgate.clock import Clock, system_clock
from passgate.core.kills import NO_KILLS, Kills
from passgate.core.trust import NO_TRUST, Issuer, Trust
from passgate.errors import SourceError
from passgate.sync.bundle import Imported, Part, read_bundle
from passgate.sync.follower import Follower, Rhythm, Wait
from passgate.sync.learning import KeysFollower, ListFollower, PassportsFollower
from passgate.sync.push import PushFollower
from passgate.sync.settings import IssuerSettings, Location
from passgate.sync.sources import BUNDLE, KINDS, NOT_IN_A_BUNDLE, BundleSource, Kind, open_source
from passgate.sync.store import Copy, TrustStore

_UNKNOWN_KIDS: Final = 1024
_Runner: TypeAlias = "Follower[Any] | PushFollower"


class SourceStatus(TypedDict):
    """How one source of one issuer stands, as readiness, the admin API and metrics show it.

    `age_s` is None until it was read once; `error` is "" or one line; `failures` counts since the
    last success, `failures_total` and `unknown_kids` since the start; `expires_at` is Unix time.
    `push` is how the stream stands by which the issuer adds to its list, None without one.
    `from_bundle` says that what is in force came in a trust bundle; older than `max_age_s`, which
    the bundle set, it no longer counts.
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
    from_bundle: bool
    max_age_s: int | None


@dataclass(frozen=True, slots=True)
class TrustChange:
    """Something other than an age differs: `what` of `issuer`, a kind of source.

    A reload is `what` = `issuers`, a turn of the kill switch `kills`, and a trust bundle `bundle`,
    all with `issuer` "".
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
    passports: PassportsFollower | None = None
    unknown: dict[int, float] = field(default_factory=dict)
    unknown_total: int = 0
    push: PushFollower | None = None

    @property
    def runners(self) -> "tuple[_Runner, ...]":
        """All that runs by itself: the followers, and what follows the stream."""
        return self.followers if self.push is None else (*self.followers, self.push)

    @property
    def followers(self) -> "tuple[Follower[Any], ...]":
        every = (self.keys, self.revocations, self.passports)
        return tuple(follower for follower in every if follower is not None)


@dataclass(frozen=True, slots=True)
class _Offered:
    """One part of a trust bundle, what it teaches, and whom."""

    part: Part
    copy: Copy
    value: Any
    follower: Follower[Any]


class Keeper:
    """Learns from the sources of `issuers`, and keeps `trust`.

    `kills` are part of it from the beginning, and nothing that is learnt changes them, nor what is
    allowed to `self_issued` passports.
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
        self_issued: Issuer | None = None,
    ) -> None:
        self.trust: Trust = replace(NO_TRUST, kills=kills)
        self._self_issued = self_issued
        self._store = TrustStore(store) if isinstance(store, Path) else store
        self._rhythm = Rhythm(clock, wait, jitter)
        self._callbacks: list[Callable[[TrustChange], None]] = []
        self._tasks: dict[_Runner, asyncio.Task[None]] = {}
        self._reconfiguring = asyncio.Lock()
        self._followed: dict[str, _Followed] = {}
        self._bundle: Imported | None = None
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
                await follower.restore()
                await follower.attempt()
        await self.close()

    async def recall(self) -> None:
        """Takes up the last good copies alone, for commands; `DataError` for a damaged one."""
        for followed in self._followed.values():
            for follower in followed.followers:
                await follower.restore()

    async def adopt(self, imported: Imported) -> list[Part]:
        """Takes whatever a trust bundle has that is newer, in one step, and says what that is.

        Parts about issuers or kinds that are not followed here are not looked at. Raises
        `SourceError` where a part is damaged or may not follow, or the bundle is older than the one
        in force; then everything is as it was.
        """
        async with self._reconfiguring:
            in_force = self._bundle
            if in_force is not None and imported.bundle.version < in_force.bundle.version:
                raise SourceError(
                    f"the bundle is of version {imported.bundle.version}, which is older than"
                    f" version {in_force.bundle.version} in force"
                )
            newer = await self._take_parts(imported, self._followed)
            before = self.trust
            for each in newer:
                followed = self._followed[each.part.issuer]
                if each.follower is followed.keys:
                    followed.unknown.clear()
                    if followed.revocations is not None:
                        followed.revocations.hasten()
            self._bundle = imported.without_parts()
            self._compose()
            self._tell(TrustChange("", "bundle", before, self.trust))
            return [each.part for each in newer]

    def copies(self) -> list[Copy]:
        """The last good copy of every source that is followed, as it is on disk.

        Raises `SourceError` for one that there is none of, and `DataError` for a damaged one.
        """
        now, found = self._rhythm.clock(), []
        for issuer, followed in self._followed.items():
            for follower in followed.followers:
                if follower.kind not in KINDS:
                    continue  # a bundle has no place for it
                if _given(follower):
                    raise SourceError(
                        f"the {follower.kind} of {issuer} come from a trust bundle themselves:"
                        " pass that one on"
                    )
                store = self._store
                copy = None if store is None else store.load(issuer, follower.kind, now)
                if copy is None or (
                    follower.kind == "keys" and copy.source != follower.source.name
                ):
                    raise SourceError(
                        f"nothing was read from {follower.source.name} yet, the {follower.kind} of"
                        f" {issuer}: start the gate, or use --fresh"
                    )
                found.append(copy)
        return found

    @property
    def bundle(self) -> Imported | None:
        """The trust bundle in force, without its parts: those may be large, and are on disk."""
        return self._bundle

    async def reconfigure(
        self, issuers: Iterable[IssuerSettings], self_issued: Issuer | None = None
    ) -> None:
        """Follows `issuers` instead, keeping what is unchanged; `trust` changes in one step.

        What was learnt from a source that stays is kept. Raises `SourceError` or `DataError`; then
        everything is as it was.
        """
        async with self._reconfiguring:
            followed = self._open(issuers)
            known = {entry.keys for entry in self._followed.values()}
            fresh = [entry for entry in followed.values() if entry.keys not in known]
            try:
                await self._prepare(fresh)
                if self._bundle is not None and fresh:
                    # Those who are new here learn from the bundle that is in force already.
                    names = {entry.settings.issuer.id: entry for entry in fresh}
                    whole = await asyncio.to_thread(self._read_again, self._bundle)
                    await self._take_parts(whole, names)
            except BaseException:
                await _close(runner for entry in fresh for runner in entry.runners)
                raise
            before, self._followed = self.trust, followed
            self._self_issued = self_issued
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
                value, given = follower.value, _given(follower)
                rows.append(
                    {
                        "issuer": issuer,
                        "kind": follower.kind,
                        "source": follower.source.name,
                        "loaded": value is not None,
                        "age_s": None if value is None else int(now.age_of(value.read_at)),
                        "error": "" if value is not None and given else follower.error,
                        "failures": follower.failures,
                        "failures_total": follower.failures_total,
                        "next_attempt_s": 0.0 if given else round(follower.next_attempt_s(now), 1),
                        "unknown_kids": followed.unknown_total if follower.kind == "keys" else 0,
                        "expires_at": getattr(value, "expires_at", None),
                        "push": followed.push.status()
                        if follower is followed.revocations and followed.push is not None
                        else None,
                        "from_bundle": follower.memory.source == BUNDLE,
                        "max_age_s": _whole(getattr(value, "max_age_s", inf)),
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
            passports = None
            if settings.passports is not None:
                passports = PassportsFollower(
                    *self._arguments(settings, "passports", settings.passports)
                )
                passports.entry, passports.signers = settings.issuer, keys
            opened[name] = _Followed(settings, keys, revocations, passports)
            if revocations is not None and settings.revocations_push is not None:
                opened[name].push = self._pushing(settings, revocations)
            for follower in opened[name].followers:
                if _given(follower):
                    follower.error = NOT_IN_A_BUNDLE
                    follower.attempted.set()
            if old is not None:
                opened[name].unknown_total = old.unknown_total
                keys.inherit(old.keys.value, old.keys.memory)
                if revocations is not None and old.revocations is not None:
                    revocations.inherit(old.revocations.value, old.revocations.memory)
                    revocations.deltas = old.revocations.deltas
                if passports is not None and old.passports is not None:
                    passports.inherit(old.passports.value, old.passports.memory)
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

    def _read_again(self, known: Imported) -> Imported:
        """The bundle in force with its parts, from disk."""
        found = None if self._store is None else self._store.load_bundle(self._rhythm.clock())
        if found is None:
            raise SourceError("the trust bundle in force is gone from the disk: restore it")
        try:
            bundle, signer = read_bundle(found[0], {"": known.signer})
        except ValueError as error:
            raise SourceError(
                f"the trust bundle on disk is not the one in force: {error}"
            ) from None
        if bundle.version != known.bundle.version:
            raise SourceError("another trust bundle was put in place just now: reload again")
        return Imported(bundle, signer, known.at)

    def _read_parts(self, imported: Imported, known: Mapping[str, _Followed]) -> list[_Offered]:
        """What the bundle has for those who are followed here. Raises `ValueError`."""
        offered = []
        for part in imported.bundle.parts:
            entry = known.get(part.issuer)
            for follower in () if entry is None else entry.followers:
                if follower.kind == part.kind:
                    copy = imported.copy_of(part)
                    try:
                        value = follower.reread(copy)
                    except ValueError as error:
                        raise ValueError(f"{part.kind} of {part.issuer}: {error}") from None
                    value = replace(value, max_age_s=float(part.max_age_s))
                    offered.append(_Offered(part, copy, value, follower))
        return offered

    async def _take_parts(
        self, imported: Imported, known: Mapping[str, _Followed]
    ) -> list[_Offered]:
        """Has the followers take what is newer, in the turn of the loop in which this returns.

        Raises `SourceError`; then none has taken anything.
        """
        try:
            parts = await asyncio.to_thread(self._read_parts, imported, known)
            now = self._rhythm.clock()
            newer = [each for each in parts if each.follower.outruns(each.copy, now)]
        except ValueError as error:
            raise SourceError(f"the trust bundle cannot be used: {error}") from None
        for each in newer:
            each.follower.take(each.value, each.copy)
        return newer

    async def _prepare(self, fresh: Iterable[_Followed]) -> None:
        """Lets each follower know what it can know without the network."""
        for followed in fresh:
            for follower in followed.followers:
                await follower.restore()
        for followed in fresh:
            keys, revocations = followed.keys, followed.revocations
            if keys.source.local and not _given(keys):
                await keys.attempt()
            # A list waits for the first keys; those of another machine come after the start.
            judged = keys.value is not None or keys.attempted.is_set()
            passports = followed.passports
            if (
                revocations is not None
                and not _given(revocations)
                and revocations.source.local
                and judged
            ):
                await revocations.attempt()
            if passports is not None and passports.source.local and judged:
                await passports.attempt()

    def _follow(self, followed: _Followed) -> None:
        for runner in followed.runners:
            if not (isinstance(runner, Follower) and _given(runner)):
                self._run(runner)

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
            for signed in (followed.revocations, followed.passports):
                if signed is not None:
                    signed.hasten()
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
                    passports=None if followed.passports is None else followed.passports.value,
                )
                for name, followed in self._followed.items()
            },
            self.trust.version + 1 if version is None else version,
            self.trust.kills,
            0 if self._bundle is None else self._bundle.bundle.version,
            self._self_issued,
        )

    def _tell(self, change: TrustChange) -> None:
        for callback in self._callbacks:
            callback(change)


def _whole(seconds: float) -> int | None:
    return None if seconds == inf else int(seconds)


def _given(follower: Follower[Any]) -> bool:
    """Whether there is nowhere to read: what it follows comes in trust bundles."""
    return isinstance(follower.source, BundleSource)


def _address_of(location: Location) -> str | None:
    """The URL of a source, None for a file's."""
    found = isinstance(location, str) and location.lower().startswith(("http://", "https://"))
    return str(location) if found else None


def _same_sources(old: IssuerSettings, new: IssuerSettings) -> bool:
    return (
        replace(old, issuer=new.issuer) == new
        # What may stand in a list of passports is what the issuer may issue.
        and (old.passports is None or old.issuer.formats == new.issuer.formats)
    )


async def _close(runners: "Iterable[_Runner]") -> None:
    for runner in runners:
        if not isinstance(runner, PushFollower):  # what it opens ends with its task
            await runner.source.close()
