"""Prints the MB that an embedded ledger's live counters take: `python -m tests.bench.counting N`.

Each of N agents has a rate and a daily budget in use, so there are twice as many counters.
"""

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.peers import resident_mb

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.protocol import Reservation

_NOW = Instant(1_800_000_000.0, 1_000.0)


async def grown_mb(agents: int, directory: Path) -> float:
    """How much the process grows while every agent makes one request, a snapshot included."""
    lines = 0
    ledger = EmbeddedLedger(directory / "ledger.db", lambda: lines, lambda: lines)
    await ledger.start(lambda _: iter(()), 0)
    gc.collect()
    before = resident_mb(os.getpid())
    for number in range(agents):
        subject = f"agent|iss_lab|agent-{number:07d}"
        charges = (
            Charge(f"rate/60/{subject}", "rate", 60, 1, 100, "core:rate:max_per_minute"),
            Charge(f"spend/daily/{subject}", "spend", "daily", 5, 900, "core:cost:max_cumulative"),
        )
        taken = ledger.reserve(charges, _NOW)
        assert isinstance(taken, Reservation)
        taken.decision_id = "att"
        ledger.settle(taken, None, _NOW)
        lines += 2
    await ledger.snapshot()
    grown = resident_mb(os.getpid()) - before
    await ledger.stop()
    return grown


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(round(asyncio.run(grown_mb(int(sys.argv[1]), Path(directory))), 1))
