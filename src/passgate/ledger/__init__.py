"""REMEMBERS what was spent: one protocol, several implementations; the table is `LEDGERS`."""

from collections.abc import Callable
from pathlib import Path

from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import StandingLedger

LEDGERS: dict[str, Callable[[Path, Callable[[], int], Callable[[], int]], StandingLedger]] = {
    "memory": lambda _path, _log_position, _log_durable: MemoryLedger(),
    "embedded": EmbeddedLedger,
}
"""What `ledger.kind` may be. Each is made of the path of its own file (which it may not need), and
of two readings of the log: the number of its next line, and how many lines are on disk."""
