"""A process that reserves, logs and takes snapshots is killed: what its log says is still spent."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.owed import owed

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.ledger.embedded import EmbeddedLedger

_VICTIM = """
import asyncio, itertools, json, os, sys
from pathlib import Path
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.embedded import EmbeddedLedger

NOW = Instant(1_800_000_000.0, 1_000.0)

async def main(directory):
    log = (directory / "log").open("ab", buffering=0)
    lines = [json.loads(line) for line in (directory / "log").read_bytes().splitlines()]
    size = len(lines)
    ledger = EmbeddedLedger(directory / "ledger.db", lambda: size, lambda: size)
    await ledger.start(lambda start: iter(lines[start:]), size)

    def append(**members):
        nonlocal size
        line = {"seq": size, "time": "2027-01-15T08:00:00.000Z", **members}
        log.write(json.dumps(line).encode() + b"\\n")
        size += 1

    async def keep():
        while True:
            await ledger.snapshot()
            print(ledger.covered, flush=True)

    append(kind="start")
    keeping = asyncio.create_task(keep())
    held = []
    for number in itertools.count(size + 1):
        subject = f"agent|i|{number % 700}"
        charges = (
            Charge(f"spend/daily/{subject}", "spend", "daily", 10, 10**9, "k"),
            Charge(f"rate/60/{subject}", "rate", 60, 1, 10**9, "k"),
        )
        # Two in three have a key, which the agent's next two requests share.
        once = Once(f"{subject}/{number // 2100}", "d") if number % 3 else None
        taken = ledger.reserve(charges, NOW, once)
        taken.decision_id = f"att_{number}"
        key = {}
        if once is not None:
            key["idempotency"] = {"name": once.name, "digest": once.digest}
            if taken.repeated:
                key["idempotency"]["repeated"] = True
        append(kind="decision", decision="allow", decision_id=taken.decision_id, **key,
               charges=[{"counter": c.counter, "amount": c.amount} for c in taken.charges])
        held.append(taken)
        if len(held) > 50:
            ended = held.pop(number % 50)
            if number % 3:
                ledger.settle(ended, number % 10, NOW)
                append(kind="outcome", decision_id=ended.decision_id, released=False,
                       settled_cents=number % 10)
            else:
                ledger.release(ended, NOW)
                append(kind="outcome", decision_id=ended.decision_id, released=True)
        if not number % 20:
            await asyncio.sleep(0)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_what_the_log_says_is_spent_after_kill_9_at_any_moment(tmp_path: Path) -> None:
    async def scenario() -> None:
        snapshots = 0
        for round_ in range(4):
            victim = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _VICTIM, str(tmp_path), stdout=asyncio.subprocess.PIPE
            )
            assert victim.stdout is not None
            try:
                for _ in range(2 + round_):
                    assert await victim.stdout.readline(), "it ended by itself"
                    snapshots += 1
            finally:
                victim.send_signal(signal.SIGKILL)
                await victim.wait()
            await compared(tmp_path)
        assert snapshots > 4

    async def compared(directory: Path) -> None:
        text = (directory / "log").read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        (directory / "log").write_bytes(whole)
        lines = [json.loads(line) for line in whole.splitlines()]
        started_from: int | None = -1

        def read(start: int | None) -> Iterator[Mapping[str, Any]]:
            nonlocal started_from
            started_from = start
            return iter(lines[start:])

        ledger = EmbeddedLedger(directory / "ledger.db", lambda: len(lines), lambda: len(lines))
        try:
            await ledger.start(read, len(lines))
            assert started_from, "there is a snapshot"
            repeats = [line for line in lines if "repeated" in line.get("idempotency", {})]
            assert repeats, "some keys come again"
            for counter, used in owed(lines).items():
                kind, window, _ = counter.split("/")
                charge = Charge(counter, kind, window, 0, 10**9, "k")
                now = Instant(1_800_000_000.0, 1.0)
                assert 10**9 - ledger.balances((charge,), now)[0].remaining == used, counter
        finally:
            await ledger.stop()

    async def bounded() -> None:
        async with asyncio.timeout(120):
            await scenario()

    asyncio.run(bounded())
