"""What all connections of one proxy share, and the one timer that watches every deadline."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from passgate.proxy.crowd import Crowd, Place
from passgate.proxy.header_memo import HeaderMemo
from passgate.proxy.settings import ProxySettings
from passgate.proxy.steps import Enforcement, Forward

if TYPE_CHECKING:
    from passgate.proxy.arrivals import Arrivals
    from passgate.proxy.outlet import Outlet
    from passgate.proxy.upstream import UpstreamPool

_logger: Final = structlog.get_logger("passgate")

_SLOWEST_TICK: Final = 0.25
_FASTEST_TICK: Final = 0.01
_JUDGE_EVERY: Final = (
    1.0  # seconds between looks at open exchanges, for those whose passport expires
)
_JUDGE_APART: Final = 0.05  # the least between two looks, however often what is trusted changes


class Connection(Protocol):
    """A client's connection, of either version of HTTP; `place` is its place in the crowd."""

    place: Place | None

    def drain(self) -> None:
        """The gate stops: what is under way ends, nothing else begins."""

    def stop(self) -> None:
        """The gate stops now."""

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick: acts where a deadline has passed; `judge` once a second."""


class Plane:
    """The shared state of a data plane; swapped settings hold for whatever begins afterwards.

    Time here is coarse on purpose: `now` (the loop's clock, seconds) moves once a tick, so a
    request reads an attribute instead of a clock and sets no timer of its own. A deadline is `now`
    plus `slack` plus its duration: it never fires early, and at most two ticks late. `tick` is a
    quarter of the shortest timeout, between 10 and 250 ms. `date_line` is the Date header for now.
    """

    __slots__ = (
        "_again",
        "_date_second",
        "_judged_at",
        "_judging",
        "_loop",
        "_outlets",
        "_timer",
        "_wall",
        "arrivals",
        "connections",
        "crowd",
        "date_line",
        "draining",
        "emptied",
        "enforcement",
        "headers",
        "inflight",
        "limits",
        "now",
        "pool",
        "settings",
        "slack",
        "tick",
        "upstream",
    )

    def __init__(
        self,
        settings: ProxySettings,
        enforcement: Enforcement,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self._wall = wall
        self._timer: asyncio.TimerHandle | None = None
        self._date_second = 0
        self.enforcement = enforcement
        self.headers = HeaderMemo()
        self.connections: set[Connection] = set()
        self.crowd = Crowd()
        self.arrivals: Arrivals | None = None
        self.emptied = asyncio.Event()
        self.inflight = 0
        self.draining = False
        self.date_line = b""
        self.now = loop.time()
        self._again = False
        self._outlets: list[Outlet] = []
        self._judged_at = self.now
        self._judging: asyncio.TimerHandle | None = None
        self.pool: UpstreamPool
        self.adopt(settings)
        self._mark_date()

    def adopt(self, settings: ProxySettings) -> None:
        """Takes over new limits and timeouts."""
        self.settings = settings
        self.limits = limits = settings.limits
        self.upstream = upstream = settings.upstream
        shortest = min(
            limits.header_timeout,
            limits.body_idle_timeout,
            limits.keepalive_timeout,
            upstream.connect_timeout,
            upstream.first_byte_timeout,
            upstream.idle_timeout,
            upstream.pool_idle,
        )
        self.tick = self.slack = min(_SLOWEST_TICK, max(_FASTEST_TICK, shortest / 4))

    def start(self) -> None:
        """Starts the timer; needs the running loop."""
        self._timer = self._loop.call_later(self.tick, self._sweep)

    def stop(self) -> None:
        """Stops the timer."""
        for timer in (self._timer, self._judging):
            if timer is not None:
                timer.cancel()
        self._timer = self._judging = None

    def judge_soon(self, *, at_once: bool = False) -> None:
        """Has every open exchange and tunnel judged anew within 50 ms, or in the next turn.

        For when the trust has changed: a change a millisecond costs no more than twenty a second.
        """
        if self._timer is None:
            return
        if at_once and self._judging is not None:
            self._judging.cancel()
            self._judging = None
        if self._judging is None:
            at = self._loop.time()
            if not at_once:
                at = max(at, self._judged_at + _JUDGE_APART)
            self._judging = self._loop.call_at(at, self._judge)

    def may_go_on(self, forward: Forward) -> bool:
        """Whether an open exchange or tunnel may, where revocations cut as well as kills do."""
        if self.upstream.cut_on_revocation:
            return self.enforcement.still_allowed(forward)
        return not self.enforcement.killed(forward)

    def flush_soon(self, outlet: "Outlet") -> None:
        """Has `outlet` flushed at the end of this turn of the loop."""
        outlets = self._outlets
        if not outlets:
            self._loop.call_soon(self._flush)
        outlets.append(outlet)

    def left(self, connection: Connection) -> None:
        """A client's connection is gone."""
        self.connections.discard(connection)
        if connection.place is not None:
            self.crowd.leave(connection.place)
        if not self.connections:
            self.emptied.set()

    def _flush(self) -> None:
        outlets = self._outlets
        self._outlets = []
        while outlets:
            try:
                while outlets:
                    outlets.pop().send_now()
            except Exception:
                # Whatever one connection has, the answers of the others must leave.
                _logger.exception("write_failed")

    def _mark_date(self) -> None:
        second = int(self._wall())
        if second != self._date_second:
            self._date_second = second
            self.date_line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()

    def _sweep(self) -> None:
        self.now = now = self._loop.time()
        self._timer = self._loop.call_later(self.tick, self._sweep)
        self._mark_date()
        again, self._again = self._again, False
        self._look(now, judge=again or now >= self._judged_at + _JUDGE_EVERY)
        if self.arrivals is not None:
            self.arrivals.sweep(now)
        self.pool.sweep(now)

    def _judge(self) -> None:
        self._judging = None
        # What was decided before the change may begin after this look: it waited for its record.
        self._again = True
        self._look(self.now, judge=True)

    def _look(self, now: float, *, judge: bool) -> None:
        if judge:
            self._judged_at = self._loop.time()
        # A copy, since a deadline that fires removes its connection.
        for connection in tuple(self.connections):
            connection.sweep(now, judge)
