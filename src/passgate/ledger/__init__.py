"""REMEMBERS what was spent: one protocol, several implementations; the table is `LEDGERS`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from passgate.clock import Clock, system_clock
from passgate.errors import PassgateError
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import StandingLedger
from passgate.ledger.valkey.settings import SharedSettings


@dataclass(frozen=True, slots=True)
class Premises:
    """What a ledger is made of.

    `path` is its own file, which it may not need. `log_position` is the number of the log's next
    line, `log_durable` how many lines are on disk. `shared` says where shared counters are,
    `remembering` how long operations are known by their keys.
    """

    path: Path
    log_position: Callable[[], int]
    log_durable: Callable[[], int]
    clock: Clock = system_clock
    shared: SharedSettings | None = None
    remembering: Remembering = field(default_factory=Remembering)


def _memory(premises: Premises) -> StandingLedger:
    return MemoryLedger(remembering=premises.remembering)


def _embedded(premises: Premises) -> StandingLedger:
    return EmbeddedLedger(
        premises.path,
        premises.log_position,
        premises.log_durable,
        remembering=premises.remembering,
    )


def _valkey(premises: Premises) -> StandingLedger:
    try:
        from passgate.ledger.valkey.ledger import ValkeyLedger
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "redis":
            raise
        raise PassgateError(
            "ledger.kind valkey needs a package more: pip install 'passgate[valkey]'"
        ) from None
    assert premises.shared is not None
    return ValkeyLedger(
        premises.path,
        premises.log_position,
        premises.log_durable,
        premises.shared,
        premises.clock,
        premises.remembering,
    )


LEDGERS: dict[str, Callable[[Premises], StandingLedger]] = {
    "memory": _memory,
    "embedded": _embedded,
    "valkey": _valkey,
}
"""What `ledger.kind` may be."""
