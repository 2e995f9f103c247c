"""A bounded pool of connections to the one upstream, handed out without waiting where it can be."""

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, cast

from passgate.proxy.settings import UpstreamSettings
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane


class Waiting(Protocol):
    """What waits for a connection."""

    def connected(self, connection: UpstreamConnection) -> None:
        """Here is one; it is yours."""

    def unreachable(self, code: str) -> None:
        """There will be none, for this reason code."""


class UpstreamPool:
    """Connections to one upstream: at most `max_connections`, and as many requests waiting for one.

    A connection that is idle is handed out at once, the one used last first, so that a small load
    keeps few alive. Otherwise one is opened, or the request queues; first come, first served.
    """

    __slots__ = (
        "_closed",
        "_context",
        "_emptied",
        "_idle",
        "_loop",
        "_open",
        "_opening",
        "_plane",
        "_settings",
        "_total",
        "_waiting",
    )

    def __init__(
        self,
        plane: "Plane",
        settings: UpstreamSettings,
        context: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._plane = plane
        self._settings = settings
        self._context = context
        self._loop = loop
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[Waiting] = deque()
        self._opening: set[asyncio.Task[UpstreamConnection]] = set()
        self._total = 0
        self._emptied = asyncio.Event()
        self._open: set[UpstreamConnection] = set()
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections are open or being opened."""
        return self._total

    def take(self, exchange: Waiting, *, fresh: bool = False) -> UpstreamConnection | None:
        """A connection for `exchange`, or None: then it is told later, also of a failure.

        With `fresh`, idle connections are passed over, unless there is no room for another.
        """
        idle = self._idle
        full = self._total >= self._settings.max_connections
        if not fresh or full:
            while idle:
                connection = idle.pop()
                if not connection.gone:
                    return connection
        if len(self._waiting) >= self._settings.max_connections:
            exchange.unreachable("overloaded")
            return None
        self._waiting.append(exchange)
        if not full:
            self._connect_another()
        return None

    def leave(self, exchange: Waiting) -> None:
        """`exchange` no longer waits; nothing happens where it did not."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)

    def release(self, connection: UpstreamConnection) -> None:
        """The connection's exchange is over and it can carry another."""
        if self._waiting:
            self._waiting.popleft().connected(connection)
        elif self._closed:
            connection.close()
        else:
            connection.idle_since = self._plane.now
            self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """The connection is closed."""
        self._total -= 1
        self._open.discard(connection)
        if not self._open:
            self._emptied.set()
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_waiting()

    def sweep(self, now: float) -> None:
        """Closes what has been idle for too long; the oldest stand first."""
        oldest = now - self._settings.pool_idle
        idle = self._idle
        while idle and idle[0].idle_since <= oldest:
            idle.pop(0).close()

    def retire(self) -> None:
        """Keeps no idle connection any more; what is under way or waits is still served."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def close(self) -> None:
        """Closes everything at once; returns when nothing is open any more."""
        self.retire()
        opening = tuple(self._opening)
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            self._emptied.clear()
            await self._emptied.wait()

    def _connect_another(self) -> None:
        self._total += 1
        task = self._loop.create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opened)

    async def _connect(self) -> UpstreamConnection:
        settings = self._settings
        endpoint = settings.endpoint
        tls: dict[str, Any] = {}
        if self._context is not None:
            tls = {
                "ssl": self._context,
                "server_hostname": settings.tls.server_name or endpoint.host,
                # How long the peer has to say goodbye before the socket is closed anyway.
                "ssl_shutdown_timeout": 2.0,
            }
        async with asyncio.timeout(settings.connect_timeout):
            if endpoint.path is not None:
                path = str(endpoint.path)
                _, connection = await self._loop.create_unix_connection(self._make, path, **tls)
            else:
                host, port = endpoint.host, endpoint.port
                _, connection = await self._loop.create_connection(self._make, host, port, **tls)
        return cast("UpstreamConnection", connection)

    def _make(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", UpstreamConnection(self._plane, self))

    def _opened(self, task: asyncio.Task[UpstreamConnection]) -> None:
        self._opening.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is None and not task.cancelled():
            connection = task.result()
            if not connection.gone:
                self._open.add(connection)
                connection.pooled = True
                self.release(connection)
                return
        self._total -= 1
        # Each attempt stands for one request; that one has its answer now, the others their chance.
        if len(self._waiting) > len(self._opening):
            self._waiting.popleft().unreachable("upstream_unreachable")
        self._serve_waiting()
        if failure is not None and not isinstance(failure, OSError):
            raise failure

    def _serve_waiting(self) -> None:
        missing = len(self._waiting) - len(self._opening)
        if missing > 0 and self._total < self._settings.max_connections:
            self._connect_another()
