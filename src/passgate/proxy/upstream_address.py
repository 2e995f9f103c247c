"""Address: one place where the upstream listens, its connections, and whether it does its work.

Nothing is asked of an address to find out: what becomes of requests says it. An address that fails
several times in a row is out for a while; nothing here does I/O or reads a clock.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from passgate.proxy.settings import Endpoint, UpstreamHealth

if TYPE_CHECKING:
    from passgate.proxy.upstream_side import UpstreamSide

_JITTER = 0.25


class Address:
    """One address, and its part of the pool. Times are the plane's, in seconds.

    `total` counts its connections, open and being opened; `idle` are those without an exchange.
    `answered_at` is when the last whole answer came. `failures` are those in a row, `error` the
    last one in words, `told_at` when the journal heard of one. While `out`, it gets no requests as
    long as others are there; from `until` on a connection to it is tried, and over that one request
    at a time, `trial`. `vanished` means that nothing keeps a connection to it any more.
    """

    __slots__ = (
        "_health",
        "_length",
        "_random",
        "answered_at",
        "back_at",
        "endpoint",
        "error",
        "failed_at",
        "failures",
        "idle",
        "out",
        "rounds",
        "server_name",
        "told_at",
        "total",
        "trial",
        "until",
        "vanished",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        server_name: str,
        health: UpstreamHealth,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        self._health = health
        self._random = randomness
        self._length = 0.0
        self.answered_at = float("-inf")
        self.endpoint = endpoint
        self.server_name = server_name
        self.idle: list[UpstreamSide] = []
        self.total = 0
        self.failures = 0
        self.error = ""
        self.failed_at = 0.0
        self.out = False
        self.until = 0.0
        self.rounds = 0
        self.back_at = 0.0
        self.told_at = float("-inf")
        self.trial: object | None = None
        self.vanished = False

    @property
    def busy(self) -> int:
        """Connections that carry an exchange or are being opened."""
        return self.total - len(self.idle)

    @property
    def state(self) -> str:
        """`up`, `out`, or `trial`: it is reached again and has to prove itself."""
        if not self.out:
            return "up"
        return "trial" if self.trial is not None or self.idle else "out"

    def failed(self, now: float, error: str) -> bool:
        """A failure at `now`; True where it puts the address out, or keeps it out for longer."""
        self.failures += 1
        self.failed_at = now
        self.error = error
        if self.out:
            if now < self.until:
                return False  # sent before it was out, or because all others are out as well
        elif self.failures < self._health.failures:
            return False
        elif now - self.back_at > self._health.max_ejection:
            self.rounds = 0
        self.out = True
        self.trial = None
        self.rounds += 1
        longest = self._health.max_ejection
        # Far beyond any length, and short of where floats end.
        doubled = self._health.ejection * 2 ** min(self.rounds - 1, 32)
        # Jitter, so that the gates before one address do not all come back in the same moment.
        self._length = min(longest, doubled) * (1 - _JITTER * self._random())
        self.until = now + self._length
        return True

    def proved(self, now: float) -> bool:
        """It answered as it should; True where that brings it back."""
        self.failures = 0
        if not self.out:
            return False
        self.out = False
        self.trial = None
        self.back_at = now
        return True

    def answers(self, now: float) -> bool:
        """An answer has begun, and may go on for hours: back, but the next failure puts it out.

        True where it was out.
        """
        if not self.proved(now):
            return False
        self.failures = self._health.failures - 1
        return True

    def wait_again(self, now: float) -> None:
        """Nobody had a request for the connection that was tried: as long again until the next."""
        self.until = now + self._length

    def vanish(self) -> None:
        """Nothing names it any more: what is idle is closed, the rest when it has ended."""
        self.vanished = True
        self.close_idle()

    def close_idle(self) -> None:
        """Closes every connection without an exchange."""
        while self.idle:
            self.idle.pop().close()

    def take_idle(self) -> "UpstreamSide | None":
        """A connection that can be used at once, and is in use from now on; the last used first."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.gone:
                if self.out:
                    self.trial = connection
                return connection
        return None
