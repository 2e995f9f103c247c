"""Refusal floods: whoever is refused more often in a second than allowed is no longer judged.

What goes unjudged or unrecorded is counted, and the counts of each second become `suppressed`
lines. The tables are bounded; nothing here grows with the number of attackers.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from passgate.core.instant import Instant

_MOST_CLIENTS = 4096
_MOST_LINES = 32
OTHERS = "others"


class Sink(Protocol):
    """Where the sums go: what `Log` offers."""

    def append_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Record an event."""

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call back after a while, and at the latest before the log closes."""


class FloodGate:
    """Counts refusals per client and second; an IPv6 client counts with its /64 network.

    `limit` is the most refusals of one client in a second that are judged and recorded; it may be
    changed at any time.
    """

    def __init__(self, limit: int, log: Sink) -> None:
        self.limit = limit
        self._log = log
        self._second = -1
        self._refused: dict[str, int] = {}
        self._suppressed: dict[str, int] = {}
        self._due = False
        # Addresses that are beyond the limit now; on a quiet gate none, which is soon looked up.
        self._hot: dict[str, str] = {}

    def over(self, client: str, now: Instant) -> int | None:
        """Seconds to wait for a client that is to be answered 429 unjudged, else None.

        A client that is answered so has been counted here.
        """
        if not self._hot:
            return None
        if int(now.boot) != self._second:
            self._turn(int(now.boot))
            return None
        group = self._hot.get(client)
        if group is None:
            # Another address of a network that floods is only told apart while there is a flood.
            group = _group(client)
            if self._refused.get(group, 0) < self.limit:
                return None
        self._suppress(group)
        return 1

    def refused(self, client: str, now: Instant) -> bool:
        """Count a refusal; False when it is to get no line of its own, and has been summed up.

        That is so only when so many clients are refused within a second that the table is full.
        """
        if int(now.boot) != self._second:
            self._turn(int(now.boot))
        group = _group(client)
        count = self._refused.get(group)
        if count is None and len(self._refused) >= _MOST_CLIENTS:
            self._suppress(OTHERS)
            return False
        self._refused[group] = count = (count or 0) + 1
        if count >= self.limit and len(self._hot) < _MOST_CLIENTS:
            self._hot[client] = group
        return True

    def flush(self) -> None:
        """Write what has been summed up."""
        suppressed, self._suppressed = self._suppressed, {}
        self._due = False
        if len(suppressed) > _MOST_LINES:
            ordered = sorted(suppressed.items(), key=lambda item: -item[1])
            suppressed = dict(ordered[: _MOST_LINES - 1])
            rest = sum(count for _, count in ordered[_MOST_LINES - 1 :])
            suppressed[OTHERS] = suppressed.get(OTHERS, 0) + rest
        for client, count in suppressed.items():
            self._log.append_event(
                "suppressed", {"client": client, "count": count, "reason_code": "rate_limited"}
            )

    def _suppress(self, group: str) -> None:
        self._suppressed[group] = self._suppressed.get(group, 0) + 1
        if not self._due:
            self._due = True
            self._log.later(1.0, self.flush)

    def _turn(self, second: int) -> None:
        self._second = second
        self._refused.clear()
        self._hot.clear()


def _group(client: str) -> str:
    """The address under which a client is counted: the /64 for IPv6, where one host has so many."""
    if ":" not in client:
        return client
    try:
        address = ipaddress.IPv6Address(client)
    except ValueError:
        return client
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
