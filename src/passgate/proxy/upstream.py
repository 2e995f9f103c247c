"""A bounded pool of connections to the upstream's addresses, handed out without waiting if it can.

A request goes to an address that does its work (see `upstream_address`), chosen by the rule of
balancing. It is sent once: another address is tried only while no connection stood.
"""

import asyncio
import ssl
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

import structlog

from passgate.proxy.settings import UpstreamSettings
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_balance import Balance
from passgate.proxy.upstream_connect import MOST_ATTEMPTS, Opening, connect
from passgate.proxy.upstream_http1 import UpstreamConnection
from passgate.proxy.upstream_http2 import Http2Upstream
from passgate.proxy.upstream_names import Known, Names, Resolve
from passgate.proxy.upstream_reason import reason_of
from passgate.proxy.upstream_side import UpstreamSide
from passgate.proxy.upstream_tally import UpstreamTally

if TYPE_CHECKING:
    from passgate.proxy.plane import Plane

_TELL_EVERY_S: Final = 10.0
_logger = structlog.get_logger("passgate")


class Waiting(Protocol):
    """What waits for a connection."""

    def connected(self, connection: UpstreamSide) -> None:
        """Here is one; it is yours."""

    def unreachable(self, code: str) -> None:
        """There will be none, for this reason code."""


class UpstreamPool:
    """Connections to one upstream: at most `max_connections`, and as many requests waiting for one.

    A connection that is idle is handed out at once, the one used last first, so that a small load
    keeps few alive. Otherwise one is opened, or the request queues; first come, first served, by
    whichever connection is free first.
    """

    __slots__ = ("_balance", "_closed", "_context", "_emptied", "_loop", "_names", "_only", "_open",
                 "_opening", "_plane", "_settings", "_tally", "_total", "_waiting")  # fmt: skip

    def __init__(
        self,
        plane: "Plane",
        settings: UpstreamSettings,
        context: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
        tally: UpstreamTally,
        resolve: Resolve,
        known: Known,
    ) -> None:
        self._plane = plane
        self._settings = settings
        self._context = context
        self._loop = loop
        self._tally = tally
        self._balance = Balance(settings.balance)
        # The idle connections of the only address, and empty for good where there are several: the
        # common case costs no choice.
        self._only: list[UpstreamSide] = []
        self._waiting: deque[Waiting] = deque()
        self._opening: set[Opening] = set()
        self._total = 0
        self._emptied = asyncio.Event()
        self._open: set[UpstreamSide] = set()
        self._closed = False
        self._names = Names(
            settings.endpoints,
            settings.dns_refresh,
            resolve,
            known,
            self._adopt_addresses,
            self._unresolved,
        )
        self._adopt_addresses()
        self._names.start()

    @property
    def connections(self) -> int:
        """How many connections are open or being opened."""
        return self._total

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that are known now."""
        return self._balance.addresses

    @property
    def names(self) -> Names:
        """The host names among the endpoints."""
        return self._names

    def take(self, exchange: Waiting, *, fresh: bool = False) -> UpstreamSide | None:
        """A connection for `exchange`, or None: then it is told later, also of a failure.

        With `fresh`, idle connections are passed over, unless there is no room for another.
        """
        if fresh:
            self._tally.retries["connection"] += 1
        else:
            idle = self._only
            while idle:
                connection = idle.pop()
                if not connection.gone:
                    return connection
        return self._find(exchange, fresh)

    def leave(self, exchange: Waiting) -> None:
        """`exchange` no longer waits; nothing happens where it did not."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)

    def release(self, connection: UpstreamSide) -> None:
        """The connection's exchange is over and it can carry another."""
        address = connection.address
        if address.vanished and not (self._closed and self._waiting):
            connection.close()
        elif self._waiting:
            self._waiting.popleft().connected(connection)
        else:
            connection.idle_since = self._plane.now
            address.idle.append(connection)

    def forget(self, connection: UpstreamSide) -> None:
        """The connection is closed."""
        self._total -= 1
        self._open.discard(connection)
        if not self._open:
            self._emptied.set()
        address = connection.address
        address.total -= 1
        if connection in address.idle:
            address.idle.remove(connection)
        if address.trial is connection:
            address.trial = None  # it ended without proving anything
        self._serve_waiting()

    def failed(self, address: Address, kind: str, error: str) -> None:
        """Something sent or opened to `address` failed; `kind` is one of `FAILURE_KINDS`."""
        self._tally.failures[kind] += 1
        now = self._plane.now
        was_out = address.out
        if address.failed(now, error):
            self._tally.ejections += 1
            address.close_idle()
            if not was_out:
                _logger.warning("upstream_out", address=str(address.endpoint), error=error)
        elif not was_out and now - address.told_at >= _TELL_EVERY_S:
            address.told_at = now
            _logger.warning("upstream_failing", address=str(address.endpoint), error=error)

    def timed_out(self, address: Address, since: float) -> None:
        """One request has waited for `address` since then (the plane's clock), too long.

        If it has answered others since, the request was slow and not the address: otherwise whoever
        knows what takes long could put every address out, by a few such requests at once.
        """
        if address.answered_at > since:
            self._tally.failures["timeout"] += 1
        else:
            self.failed(address, "timeout", "it did not answer in time")

    def proved(self, address: Address) -> None:
        """A whole answer came from `address`, which had failed before."""
        if address.proved(self._plane.now):
            _logger.info("upstream_back", address=str(address.endpoint))

    def answers(self, address: Address) -> None:
        """An answer begins to come from `address`, which was out."""
        if address.answers(self._plane.now):
            _logger.info("upstream_back", address=str(address.endpoint))

    def sweep(self, now: float) -> None:
        """Closes what has been idle for too long; the oldest stand first. Tries what was out."""
        oldest = now - self._settings.pool_idle
        for address in self._balance.addresses:
            idle = address.idle
            while idle and idle[0].idle_since <= oldest:
                idle.pop(0).close()
                if address.out:
                    address.wait_again(now)
            if address.out and not idle and address.trial is None and address.until <= now:
                self._probe(address)

    def retire(self) -> None:
        """Keeps no idle connection any more; what is under way or waits is still served."""
        self._closed = True
        self._names.stop()
        if not self._balance.addresses:
            self._refuse_waiting()
        for address in self._balance.addresses:
            address.vanish()

    async def close(self) -> None:
        """Closes everything at once; returns when nothing is open any more."""
        self.retire()
        await self._names.stopped()
        opening = [each.task for each in self._opening if each.task is not None]
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            self._emptied.clear()
            await self._emptied.wait()

    def _find(self, exchange: Waiting, fresh: bool) -> UpstreamSide | None:
        """What `take` does where no connection is at hand, or where it has to choose."""
        balance = self._balance
        if not balance.addresses and not self._names.pending:
            exchange.unreachable("upstream_unreachable")
            return None
        full = self._total >= self._settings.max_connections
        address: Address | None = None
        if not fresh:
            address = balance.on_trial(self._plane.now)
        if address is None:
            address = balance.next()
        if address is not None and (full or not fresh):
            connection = address.take_idle()
            if connection is None and full:
                # No room for one to the address whose turn it is: better another than to wait.
                other = balance.spare()
                connection = None if other is None else other.take_idle()
            if connection is not None:
                return connection
        if len(self._waiting) >= self._settings.max_connections:
            exchange.unreachable("overloaded")
            return None
        self._waiting.append(exchange)
        if not full and address is not None:
            self._open_to(address, probe=False)
        return None

    def _open_to(self, address: Address, *, probe: bool) -> None:
        self._total += 1
        address.total += 1
        opening = Opening(address, probe=probe)
        self._opening.add(opening)
        opening.task = self._loop.create_task(self._connect(opening))
        opening.task.add_done_callback(partial(self._opened, opening))

    def _probe(self, address: Address) -> None:
        """Finds out whether an address that was out is reached again; no request depends on it."""
        if self._total < self._settings.max_connections and not self._closed:
            self._open_to(address, probe=True)
            address.trial = self

    async def _connect(self, opening: Opening) -> UpstreamSide:
        """A connection to the opening's address, or to another one while the time lasts."""
        loop = self._loop
        left = self._settings.connect_timeout
        deadline = loop.time() + left
        while True:
            address = opening.address
            # The last one to be tried has all the time that is left.
            known = len(self._balance.addresses) - len(opening.tried)
            tries = max(1, min(MOST_ATTEMPTS - len(opening.tried), known))
            timeout = left if opening.probe else left / tries
            make = partial(self._make, address)
            try:
                made = await connect(loop, address, self._settings, self._context, timeout, make)
                return cast("UpstreamSide", made)
            except OSError as error:
                self.failed(address, "connect", reason_of(error, timeout))
                opening.tried.append(address)
                left = deadline - loop.time()
                other = self._balance.next(opening.tried)
                wanted = len(self._waiting) > 0 and not opening.probe
                if other is None or not wanted or left <= 0 or len(opening.tried) >= MOST_ATTEMPTS:
                    raise
                self._tally.retries["address"] += 1
                address.total -= 1
                other.total += 1
                opening.address = other

    def _make(self, address: Address) -> asyncio.Protocol:
        settings = self._settings
        side = (
            Http2Upstream(self._plane, self, address, secure=settings.secure)
            if settings.http2
            else UpstreamConnection(self._plane, self, address)
        )
        return cast("asyncio.Protocol", side)

    def _opened(self, opening: Opening, task: asyncio.Task[UpstreamSide]) -> None:
        self._opening.discard(opening)
        address = opening.address
        if opening.probe and address.trial is self:
            address.trial = None
        failure = None if task.cancelled() else task.exception()
        if failure is None and not task.cancelled():
            connection = task.result()
            if not connection.gone:
                self._open.add(connection)
                connection.pooled = True
                if address.out and self._waiting:
                    address.trial = connection
                self.release(connection)
                return
            error = connection.fault or "it closed the connection at once"
            self.failed(address, "connect", error)
        self._total -= 1
        address.total -= 1
        # Each one that was opened stands for one request; that one has its answer now, the others
        # their chance.
        if len(self._waiting) > self._awaited:
            self._waiting.popleft().unreachable("upstream_unreachable")
        self._serve_waiting()
        if failure is not None and not isinstance(failure, OSError):
            raise failure

    @property
    def _awaited(self) -> int:
        """How many connections are being opened for requests."""
        return sum([not opening.probe for opening in self._opening])

    def _serve_waiting(self) -> None:
        if len(self._waiting) > self._awaited and self._total < self._settings.max_connections:
            address = self._balance.next()
            if address is not None:
                self._open_to(address, probe=False)

    def _adopt_addresses(self) -> None:
        """Takes over what the names stand for now; what is no longer among it is let go."""
        settings = self._settings
        # Without TLS two names of one address are one address.
        listed = [
            (endpoint, host if settings.secure else "")
            for endpoint, host in self._names.addresses()
        ]
        self._balance.adopt(listed, settings.health)
        addresses = self._balance.addresses
        self._only = addresses[0].idle if len(addresses) == 1 else []
        for _ in range(len(self._waiting)):
            self._serve_waiting()

    def _unresolved(self) -> None:
        self._tally.resolutions_failed += 1
        if not self._balance.addresses and not self._names.pending:
            self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().unreachable("upstream_unreachable")
