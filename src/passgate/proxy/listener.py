"""Proxy: the data plane as one object; it listens, forwards, and stops without losing an answer."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from passgate.proxy.arrivals import Arrivals
from passgate.proxy.certificates import Validity, validity
from passgate.proxy.http1 import ServerConnection
from passgate.proxy.plane import Plane
from passgate.proxy.settings import Endpoint, ProxySettings
from passgate.proxy.steps import Enforcement
from passgate.proxy.tls import listener_context, upstream_context
from passgate.proxy.upstream import UpstreamPool
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_names import Known, Resolve, resolve_name
from passgate.proxy.upstream_tally import UpstreamTally


class Proxy:
    """Listens on `settings.listen` and forwards to `settings.upstream` what `enforcement` allows.

    Made and used inside a running event loop; uvloop and plain asyncio both do. `wall` gives Unix
    time for Date headers, `resolve` the addresses of the upstream's name.
    """

    def __init__(
        self,
        settings: ProxySettings,
        enforcement: Enforcement,
        *,
        wall: Callable[[], float] = time.time,
        resolve: Resolve = resolve_name,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._plane = Plane(settings, enforcement, self._loop, wall)
        self._server: asyncio.Server | None = None
        self._validities: dict[str, Validity] = {}
        self._addresses: tuple[Endpoint, ...] = ()
        self._pool: UpstreamPool | None = None
        self._retired: list[UpstreamPool] = []
        self._resolve = resolve
        self.upstream_tally = UpstreamTally()
        self._socket_file: tuple[Path, int] | None = None

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """Where it listens, with the ports that were given for port 0."""
        return self._addresses

    @property
    def settings(self) -> ProxySettings:
        """What holds now."""
        return self._plane.settings

    @property
    def connections(self) -> int:
        """Clients' sockets that are open, those that are still shaking hands among them."""
        return self._plane.crowd.sockets

    @property
    def turned_away(self) -> Mapping[str, int]:
        """Sockets that were not served, by one of `crowd.REASONS`."""
        return self._plane.crowd.refused

    @property
    def validities(self) -> Mapping[str, Validity]:
        """How long the gate's own certificates hold: `listen` and `upstream`, where there are."""
        return self._validities

    @property
    def inflight(self) -> int:
        """Requests that are being judged or forwarded, tunnels included."""
        return self._plane.inflight

    @property
    def upstream_connections(self) -> int:
        """Connections to the upstream that are open or being opened."""
        return 0 if self._pool is None else self._pool.connections

    @property
    def upstream_addresses(self) -> tuple[Address, ...]:
        """Where the upstream is now, each address with its state."""
        return () if self._pool is None else self._pool.addresses

    @property
    def upstream_names(self) -> dict[str, str]:
        """The upstream's host names, each with what was wrong when it was asked for last."""
        if self._pool is None:
            return {}
        names = self._pool.names
        return {name.host: names.errors.get(name, "") for name in names.names}

    async def start(self) -> None:
        """Listens and serves. Raises `OSError` where the address or a TLS file cannot be used.

        The upstream's names are asked for before; one that has no answer by then does not keep the
        gate from starting.
        """
        settings = self._plane.settings
        pool = self._make_pool(settings, {})
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.names.asked(), settings.upstream.connect_timeout)
            await self._serve(settings)
        except BaseException:
            pool.retire()
            raise

    async def _serve(self, settings: ProxySettings) -> None:
        context = (
            None
            if settings.listen_tls is None
            else listener_context(settings.listen_tls, http2=settings.http2)
        )
        self._validities = _validities(settings)
        listening = self._listen(settings)
        try:
            await self._accept_from(listening, context)
        except BaseException:
            listening.close()
            raise
        if settings.listen.path is not None:
            self._addresses = (settings.listen,)
        else:
            name = listening.getsockname()
            self._addresses = (Endpoint(name[0], name[1]),)
        self._plane.start()

    async def _accept_from(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        plane = self._plane
        settings = plane.settings
        if context is not None or settings.proxy_protocol:
            arrivals = Arrivals(plane, self._loop, listening, self._connect, context)
            arrivals.start()
            plane.arrivals = arrivals
            return
        # Nothing comes before the first request: the loop's own server accepts faster.
        unix = settings.listen.path is not None
        create = self._loop.create_unix_server if unix else self._loop.create_server
        make = cast("Callable[[], asyncio.Protocol]", self._connect)
        self._server = await create(make, sock=listening, backlog=settings.backlog)

    def reconfigure(self, settings: ProxySettings) -> None:
        """Takes over limits, timeouts, certificates and the upstream for whatever begins from now.

        Raises `ValueError` for what changes only with a restart: the listening address, and whether
        there is TLS and the PROXY protocol at all. Raises `OSError` for a TLS file that cannot be
        used. Then nothing has changed.
        """
        plane = self._plane
        before = plane.settings
        if _fixed(settings) != _fixed(before):
            raise ValueError("the listening address and its protocols change only with a restart")
        context = None
        if settings.listen_tls is not None and settings.listen_tls != before.listen_tls:
            context = listener_context(settings.listen_tls, http2=settings.http2)
        validities = _validities(settings)
        old = self._pool
        if old is not None and settings.upstream != before.upstream:
            self._make_pool(settings, old.names.known)
            old.retire()
            self._retired = [each for each in (*self._retired, old) if each.connections]
        if context is not None and plane.arrivals is not None:
            plane.arrivals.context = context
        self._validities = validities
        plane.adopt(settings)

    def judge_streams(self, *, at_once: bool = False) -> None:
        """Has what is under way judged anew within 50 ms, because what is trusted has changed.

        Without it that happens once a second; `cut_on_revocation` false leaves all as it is but
        what the operator stops. With `at_once` it happens in the next turn of the loop.
        """
        self._plane.judge_soon(at_once=at_once)

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - it cuts, it does not raise
        """Stops accepting, lets requests finish for up to `timeout` seconds, then cuts the rest.

        True where no request had to be cut. Afterwards nothing of this proxy is open.
        """
        plane = self._plane
        plane.draining = True
        if self._server is not None:
            self._server.close()
        if plane.arrivals is not None:
            await plane.arrivals.stop()
        self._remove_socket_file()
        for connection in tuple(plane.connections):
            connection.drain()
        emptied = await self._emptied(timeout)
        clean = not plane.inflight
        if not emptied:
            for connection in tuple(plane.connections):
                connection.stop()
            await self._emptied(1.0)
        plane.stop()
        for pool in (*self._retired, self._pool):
            if pool is not None:
                await pool.close()
        if self._server is not None:
            await self._server.wait_closed()
        return clean

    async def _emptied(self, timeout: float) -> bool:  # noqa: ASYNC109 - it reports, it does not raise
        plane = self._plane
        if plane.connections:
            plane.emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(plane.emptied.wait(), timeout)
        return not plane.connections

    def _connect(self) -> ServerConnection:
        return ServerConnection(self._plane)

    def _make_pool(self, settings: ProxySettings, known: Known) -> UpstreamPool:
        upstream = settings.upstream
        context = upstream_context(upstream.tls, http2=upstream.http2) if upstream.secure else None
        self._pool = self._plane.pool = UpstreamPool(
            self._plane,
            upstream,
            context,
            self._loop,
            self.upstream_tally,
            self._resolve,
            known,
        )
        return self._pool

    def _listen(self, settings: ProxySettings) -> socket.socket:
        path = settings.listen.path
        if path is not None:
            return self._listen_unix(path, settings.socket_mode)
        host, port = settings.listen.host, settings.listen.port
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by every accepted socket.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening.setblocking(False)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
        return listening

    def _listen_unix(self, path: Path, mode: int) -> socket.socket:
        remove_stale_socket(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            # Nobody can connect before `listen`, so the mode is right before it matters.
            listening.bind(str(path))
            path.chmod(mode)
        except BaseException:
            listening.close()
            raise
        self._socket_file = (path, path.stat().st_ino)
        return listening

    def _remove_socket_file(self) -> None:
        if self._socket_file is not None:
            path, inode = self._socket_file
            self._socket_file = None
            # Not the file of a successor that already listens there.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _fixed(settings: ProxySettings) -> tuple[object, ...]:
    """What the listener is made with, once and for all."""
    return settings.listen, settings.listen_tls is None, settings.proxy_protocol, settings.http2


def _validities(settings: ProxySettings) -> dict[str, Validity]:
    listen = settings.listen_tls
    files = {
        "listen": None if listen is None else listen.cert,
        "upstream": settings.upstream.tls.cert,
    }
    found = {use: validity(file) for use, file in files.items() if file is not None}
    return {use: known for use, known in found.items() if known is not None}


def remove_stale_socket(path: Path) -> None:
    """Removes the socket file of a process that is gone; `OSError` where someone listens there."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} exists and is not a socket: remove it or choose another")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(f"{path} is in use: another process listens there")
