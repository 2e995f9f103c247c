"""Gate: one running gate, put together from its rooms, reloaded, drained."""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from passgate.admin.app import make_app
from passgate.admin.journal import JOURNAL
from passgate.admin.operations import Reloaded
from passgate.approvals import Approvals, Book
from passgate.catalog import NO_VERSIONS
from passgate.clock import Clock, system_clock
from passgate.config import (
    Config,
    LoadedConfig,
    build_self_issuer,
    load_config,
    needs_restart,
)
from passgate.errors import ConfigError, DataError, PassgateError, SourceError
from passgate.ledger import LEDGERS, Premises
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import StandingLedger
from passgate.log import FloodGate, GateKey, Log, open_gate_key, open_log, read_lines
from passgate.overseer import Overseer
from passgate.proxy.assertion import Assertions
from passgate.proxy.endpoints import Endpoints
from passgate.proxy.enforcer import Enforcer
from passgate.proxy.listener import Proxy, remove_stale_socket
from passgate.proxy.world import World
from passgate.settings import (
    Offer,
    admin_tokens,
    approval_settings,
    awaited_files,
    find_bundle,
    issuer_settings,
    ledger_settings,
    log_settings,
    make_world,
    proxy_settings,
    read_offer,
    trust_store,
    watched_files,
)
from passgate.sync.bundle import Imported
from passgate.sync.keeper import Keeper, TrustChange
from passgate.sync.kill_store import KillStore
from passgate.sync.kill_switch import KillSwitch
from passgate.tally import Histogram, Tally
from passgate.watch import Watch

_logger = structlog.get_logger("passgate")
_WATCH_S = 1.0


class Gate:
    """A gate from its configuration to its last line on record.

    `start` raises `DataError` for a damaged data directory and `PassgateError` for an address that
    cannot be had; nothing is left running then. `Overseer` shows it to its operator.
    """

    log: Log
    ledger: StandingLedger
    keeper: Keeper
    approvals: Approvals
    enforcer: Enforcer
    proxy: Proxy
    switch: KillSwitch
    _key: GateKey

    def __init__(
        self, loaded: LoadedConfig, environ: Mapping[str, str], clock: Clock = system_clock
    ) -> None:
        self.config: Config = loaded.config
        self.tally = Tally()
        self._environ = environ
        self.clock = clock
        self.commit_seconds = Histogram()
        self._rooms = contextlib.AsyncExitStack()
        self._reloading = asyncio.Lock()
        self.reload_error = ""
        self._coming: World | None = None
        self.serving = False
        self._troubles: dict[str, str] = {}
        self._files = Watch(watched_files(self.config))
        # Looked at before it is read, so that no later one is missed.
        self._bundle_file = Watch([trust_store(self.config).bundle_file])
        self.bundle_error = ""
        self.offer = Offer()
        self.loaded_at = self.committed_at = clock()
        self.admin_addresses: list[str] = []

    async def start(self) -> None:
        """Opens every room in the order in which they depend on each other; serves at the end."""
        async with contextlib.AsyncExitStack() as rooms:
            await self._open(rooms)
            self._rooms = rooms.pop_all()
        self.serving = True

    async def _open(self, rooms: contextlib.AsyncExitStack) -> None:
        config = self.config
        loop = asyncio.get_running_loop()
        data_dir = config.gate.data_dir
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PassgateError(
                f"gate.data_dir {data_dir} cannot be made ({error.strerror}): "
                "name a directory that this user may write"
            ) from error
        key = self._key = open_gate_key(data_dir)
        # Before anything is opened: a catalog that was tampered with ends the start here.
        imported = await asyncio.to_thread(find_bundle, config, self.clock())
        offer = await asyncio.to_thread(read_offer, config, key, NO_VERSIONS, imported)
        world = await asyncio.to_thread(make_world, config, offer.versions, key)
        for warning in offer.warnings:
            _logger.warning("catalog", warning=warning)
        self._follow(config, offer)
        directory = data_dir / "log"
        self.log = open_log(directory, config.gate.id, log_settings(config), self.clock, key, loop)
        self.log.on_commit = lambda seconds, _: self._committed(seconds)
        self.ledger = LEDGERS[config.ledger.kind](
            Premises(
                path=data_dir / "ledger.db",
                log_position=lambda: self.log.size,
                log_durable=lambda: self.log.status().durable,
                clock=self.clock,
                shared=ledger_settings(config),
                remembering=Remembering(keep_s=config.ledger.idempotency_keys_s),
            )
        )
        # What the log held before this run is what the counters are a fold over.
        await self.ledger.start(partial(read_lines, directory), self.log.size)
        if config.ledger.kind != "memory":
            self.log.keep_from(lambda: self.ledger.covered)
        # Ended after the log: the last snapshot covers lines that are all on disk.
        rooms.push_async_callback(self.ledger.stop)
        rooms.push_async_callback(self.log.close)
        await self.log.start()

        # Before anything listens, and before anything is learnt that could be taken for permission.
        store = KillStore(data_dir / "kills")
        kills = store.load()
        self.keeper = Keeper(
            issuer_settings(config),
            data_dir / "trust",
            clock=self.clock,
            kills=kills,
            self_issued=build_self_issuer(config),
        )
        self.switch = KillSwitch(self.keeper, store, self.clock, self._note_kill)
        if kills.active:
            self.log.append_event("trust", {"what": "kills", "in_force": len(kills.entries)})
            _logger.warning("kills_in_force", kills=len(kills.entries), all=kills.everything)
        self.keeper.on_change(self._trust_changed)
        rooms.push_async_callback(self.keeper.close)
        await self.keeper.start()
        if imported is not None:
            try:
                await self.keeper.adopt(imported)
            except SourceError as error:
                raise DataError(
                    f"{trust_store(config).bundle_file}: {error}; import another bundle, or remove "
                    "the file to go on without one"
                ) from None

        self.approvals = Approvals(
            Book(data_dir / "holds.db"),
            self.ledger,
            self.log,
            self.clock,
            config.gate.id,
            approval_settings(config),
        )
        await self.approvals.start()
        rooms.push_async_callback(self.approvals.stop)

        floods = FloodGate(config.limits.refusals_per_second, self.log)
        key_since = int((data_dir / "gate.key").stat().st_mtime)
        endpoints = Endpoints(config.agent.prefix, key.public_key, self.log, key_since)
        self.enforcer = Enforcer(
            world,
            keeper=self.keeper,
            ledger=self.ledger,
            log=self.log,
            floods=floods,
            endpoints=endpoints,
            assertions=Assertions(config.gate.id, key),
            approvals=self.approvals,
            tally=self.tally,
            clock=self.clock,
        )
        self.log.append_event("config", _in_force(world))
        self.proxy = Proxy(proxy_settings(config), self.enforcer)
        self.keeper.on_change(
            lambda change: self.proxy.judge_streams(at_once=change.what == "kills")
        )
        # Opened before the proxy and so closed after it: while requests in flight come to their
        # end, whoever probes hears "not ready" rather than nothing.
        await self._open_admin(rooms)
        try:
            await self.proxy.start()
        except OSError as error:
            raise PassgateError(
                f"listen.address {config.listen.address} cannot be listened on "
                f"({error.strerror or error}): choose another, or end what uses it"
            ) from error
        rooms.push_async_callback(self._drain)
        watch = loop.create_task(self._watch(), name="watch the configuration")
        rooms.callback(watch.cancel)

    async def _open_admin(self, rooms: contextlib.AsyncExitStack) -> None:
        address = self.config.admin.address
        tokens, metrics_token = admin_tokens(self.config)
        runner = web.AppRunner(
            make_app(Overseer(self), tokens, metrics_token, address.host),
            access_log=None,
            logger=JOURNAL,
            shutdown_timeout=1,
        )
        await runner.setup()
        rooms.push_async_callback(runner.cleanup)
        site: web.BaseSite
        try:
            if address.path is not None:
                remove_stale_socket(address.path)
                site = web.UnixSite(runner, address.path)
            else:
                site = web.TCPSite(runner, address.host, address.port)
            await site.start()
        except OSError as error:
            raise PassgateError(
                f"admin.address {address} cannot be listened on ({error.strerror or error}): "
                "choose another, or end what uses it"
            ) from error
        self.admin_addresses = [_shown(found) for found in runner.addresses]

    async def close(self) -> None:
        """Not ready, no new connections, in-flight requests to their end, log flushed, all shut."""
        self.serving = False
        await self._rooms.aclose()

    async def _drain(self) -> None:
        self.approvals.drain()
        await self.proxy.drain(self.config.limits.drain_timeout_s)

    async def reload(self) -> Reloaded:
        """Builds the whole new world and swaps it in, or keeps the old one and says why."""
        async with self._reloading:
            # What is read now is not read again for the same change.
            self._files.changed()
            try:
                # Thousands of routes take seconds to read, and requests must not wait for that.
                loaded, offer, world = await asyncio.to_thread(self._read_anew)
                await self._adopt(loaded.config, world)
            except PassgateError as error:
                problems = (
                    tuple(error.problems) if isinstance(error, ConfigError) else (str(error),)
                )
                self.tally.reloads["refused"] += 1
                self.reload_error = problems[0]
                _logger.warning("reload_refused", problems=problems)
                return Reloaded(problems)
            self.log.adopt(log_settings(loaded.config))
            self.approvals.adopt(approval_settings(loaded.config))
            self.config = loaded.config
            self._follow(loaded.config, offer)
            self.loaded_at = self.clock()
            self.enforcer.floods.limit = loaded.config.limits.refusals_per_second
            self.tally.reloads["ok"] += 1
            self.reload_error = ""
            in_force = _in_force(world)
            self.log.append_event("config", in_force)
            warnings = (*loaded.warnings, *offer.warnings)
            _logger.info("reloaded", **in_force, warnings=warnings)
            return Reloaded((), warnings)

    def _follow(self, config: Config, offer: Offer) -> None:
        """Takes note of what is published, and watches what would make it another."""
        self.offer = offer
        self._files.follow(watched_files(config), awaited_files(config, offer.own))

    def _read_anew(self) -> tuple[LoadedConfig, Offer, World]:
        """The configuration as it is on disk now, what is published, and what they make."""
        loaded = load_config(self.config.file, self._environ)
        fixed = needs_restart(self.config, loaded.config)
        if fixed:
            raise ConfigError([f"{key} cannot change while the gate runs" for key in fixed])
        return loaded, *self._offered(loaded.config, self.keeper.bundle)

    def _offered(self, config: Config, imported: Imported | None) -> tuple[Offer, World]:
        offer = read_offer(config, self._key, self.offer.own, imported)
        return offer, make_world(config, offer.versions, self._key)

    async def _take_bundle(self) -> None:
        """Has the trust bundle in force that was put in place: all of it, or nothing."""
        async with self._reloading:
            try:
                imported = await asyncio.to_thread(find_bundle, self.config, self.clock())
                if imported is None:
                    return
                offer, self._coming = await asyncio.to_thread(self._offered, self.config, imported)
                taken = await self.keeper.adopt(imported)
            except PassgateError as error:
                self.bundle_error = str(error)
                return
            finally:
                self._coming = None
            self.bundle_error = ""
            self._follow(self.config, offer)
            _logger.info(
                "bundle_taken",
                version=imported.bundle.version,
                parts=[f"{part.issuer} {part.kind}" for part in taken],
                warnings=offer.warnings,
            )

    async def _adopt(self, config: Config, world: World) -> None:
        """Gives data plane, keeper and enforcer what is new to them; either all take it or none."""
        try:
            self.proxy.reconfigure(proxy_settings(config))
        except OSError as error:
            raise PassgateError(
                f"a file of listen.tls or upstream.tls cannot be used: "
                f"{error.filename or error.strerror}"
            ) from error
        self._coming = world
        try:
            await self.keeper.reconfigure(issuer_settings(config), build_self_issuer(config))
        except PassgateError:
            self.proxy.reconfigure(proxy_settings(self.config))
            raise
        finally:
            self._coming = None

    def _committed(self, seconds: float) -> None:
        self.commit_seconds.observe(seconds)
        self.committed_at = self.clock()

    async def _watch(self) -> None:
        """Reloads when a file changes; a stat a second costs less than any notification would."""
        while True:
            await asyncio.sleep(_WATCH_S)
            self._tell_troubles()
            if self._files.changed():
                await self.reload()
            if self._bundle_file.changed():
                await self._take_bundle()

    def _tell_troubles(self) -> None:
        """Puts into the journal what has begun or ceased to fail since the last look."""
        now = {f"{row['issuer']} {row['kind']}": row["error"] for row in self.keeper.status()}
        log = self.log.status()
        now["log"] = "" if log.healthy else log.error
        now["ledger"] = self.ledger.trouble
        now["holds"] = self.approvals.trouble
        now["trust bundle"] = self.bundle_error
        now["webhook"] = self.approvals.courier.trouble
        shared = self.ledger.shared
        if shared is not None:
            now["shared ledger"] = shared.error
        for use, validity in self.proxy.validities.items():
            now[f"certificate of {use}"] = validity.warning(self.clock().wall)
        for name, error in now.items():
            before = self._troubles.get(name, "")
            if error and error != before:
                _logger.warning("trouble", what=name, error=error)
            elif before and not error:
                _logger.info("recovered", what=name)
        self._troubles = now

    def _note_kill(self, fields: Mapping[str, Any]) -> Awaitable[bool]:
        """Puts an order of the operator on record; done once it is on disk, or cannot be."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.log.append_event("trust", fields, notify=written.set_result)
        _logger.warning("kill_switch", **fields)
        return written

    def _trust_changed(self, change: TrustChange) -> None:
        if change.what == "kills":
            return  # put on record with who and why
        if self._coming is not None and change.what in ("issuers", "bundle"):
            # In the same turn of the loop: no request meets the new issuers under the old policy.
            self.enforcer.world = self._coming
        self.log.note_bundle(change.after.bundle)
        self.log.append_event(
            "trust", {"issuer": change.issuer, "what": change.what, "version": change.after.version}
        )


def _in_force(world: World) -> dict[str, Any]:
    """What a `config` line says: the policy, and the catalog where there is one."""
    catalog = world.policy.catalog
    if catalog is None:
        return {"policy": world.policy.hash}
    return {
        "policy": world.policy.hash,
        "catalog": catalog.content_hash,
        "catalog_version": catalog.version,
    }


def _shown(address: Any) -> str:
    """A socket's address as a person writes it."""
    if not isinstance(address, tuple):
        return f"unix:{address}"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
