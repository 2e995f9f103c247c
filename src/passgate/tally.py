"""What the gate counts about itself, kept as plain numbers so that counting costs next to nothing.

`passgate.admin.metrics` renders it for Prometheus; nothing else formats or exports.
"""

from bisect import bisect_left
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.pricing import fee_cents
from passgate.record import Record

BOUNDS: Final[tuple[float, ...]] = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds of the time buckets, in seconds: from a cached decision to a slow upstream."""

_MAX_ACTIONS: Final = 1000
_MAX_ISSUERS: Final = 1000
_LEAD_S: Final = 600.0  # how long an issuer's lead is remembered


class Histogram:
    """Counts of observed seconds per bucket of `BOUNDS`, the last for all above."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Adds one observation."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Tally:
    """Everything counted since the process started. One event loop writes, the same one reads."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, str], int] = {}
        self.charges: dict[str, int] = {}
        self.reloads: dict[str, int] = {"ok": 0, "refused": 0}
        self.checks = 0
        self.settled_cents = 0
        self.fee_cents = 0
        self.decision_seconds = Histogram()
        self.upstream_seconds = Histogram()
        self.request_seconds = Histogram()
        self._actions: set[str] = set()
        self._leads: dict[str, tuple[float, float]] = {}

    def decided(self, record: Record) -> None:
        """Counts one decision under its bounded labels."""
        action = record.route
        if action not in self._actions:
            # A catalog may hold more names than a time series database should.
            if len(self._actions) >= _MAX_ACTIONS:
                action = "other"
            else:
                self._actions.add(action)
        key = (record.decision, record.reason_code, action)
        requests = self.requests
        requests[key] = requests.get(key, 0) + 1
        passport = record.passport
        if passport is not None and passport.issued_at > record.at.wall:
            self._ahead(passport.issuer, passport.issued_at - record.at.wall, record.at.wall)

    def lead_of(self, issuer: str, wall: float) -> float:
        """How far, in seconds, an issuer's passports were dated ahead of the gate's clock, at most,
        in the ten minutes before `wall`; 0 where none was.
        """
        lead, seen_at = self._leads.get(issuer, (0.0, 0.0))
        return lead if wall - seen_at <= _LEAD_S else 0.0

    def _ahead(self, issuer: str, lead: float, wall: float) -> None:
        room = len(self._leads) < _MAX_ISSUERS or issuer in self._leads
        if room and lead >= self.lead_of(issuer, wall):
            self._leads[issuer] = (lead, wall)

    def settled(self, cents: int, fee_basis_points: int) -> None:
        """Adds up what a request has cost in the end, and the platform's fee on it."""
        self.settled_cents += cents
        if fee_basis_points:
            self.fee_cents += fee_cents(cents, fee_basis_points)

    def charged(self, charges: tuple[Charge, ...]) -> None:
        """Counts charges that were reserved."""
        counts = self.charges
        for charge in charges:
            kind = charge.kind
            counts[kind] = counts.get(kind, 0) + 1
