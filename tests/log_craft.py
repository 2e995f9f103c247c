"""Logs made by hand, on a real loop and a real disk; for tests only."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from nacl.bindings import crypto_sign_seed_keypair
from tests.craft import credential, trust

from passgate.clock import Clock
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.verification import Acceptance, verify
from passgate.log import GateKey, Log, LogSettings, NoteKey, open_log
from passgate.record import Record
from passgate.testing import ManualClock

GATE_ID = "gate_lab"
SEED = bytes(range(7, 39))
SIGNER = GateKey(crypto_sign_seed_keypair(SEED)[0], SEED)
NOTE_KEY = NoteKey("passgate/" + GATE_ID, SIGNER.public_key)
AT = Instant(1_800_000_000.25, 10_000.0)


def passport(jti: str = "pass_01JZ0000000000000000000000", **claims: Any) -> Passport:
    """A passport as verification makes it."""
    made = verify(credential({"jti": jti, **claims}), trust(), Acceptance())
    assert isinstance(made, Passport)
    return made


def record(number: int = 0, **changes: Any) -> Record:
    """The record of an allowed request with everything in it."""
    made = Record(
        f"att_{number:026d}",
        AT,
        "GET",
        "/v1/search",
        b"q=cats",
        "192.0.2.7",
        "allow",
        access_mode="passport",
        action="api:search",
        passport=passport(),
        tier="L2",
        cost_cents=5,
        charges=(
            Charge("rate/60/iss_lab/pass_1", "rate", 60, 1, 10, "core:rate:max_per_minute"),
            Charge("spend/daily/iss_lab/pass_1", "spend", "daily", 5, 99, "core:cost:x"),
        ),
        evaluated=(("core:rate:max_per_minute", "charged"),),
        catalog="sha256:aa",
        catalog_version=3,
        policy="sha256:bb",
        trust_age_s=4,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        facts={"matched_route": "GET /v1/search", "body_bytes": 12},
        outcome="completed",
        status=200,
        bytes_out=123,
        ms=7,
        settled_cents=5,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run on a fresh loop."""

    async def whole() -> Any:
        return await work()

    return asyncio.run(whole())


def opened(
    directory: Path,
    *,
    clock: Clock | None = None,
    signer: GateKey = SIGNER,
    gate_id: str = GATE_ID,
    sync: Callable[[int], None] = os.fdatasync,
    **settings: Any,
) -> Log:
    """A log on the running loop; `settings` are those of `LogSettings`."""
    return open_log(
        directory,
        gate_id,
        LogSettings(**settings),
        clock or ManualClock(),
        signer,
        asyncio.get_running_loop(),
        retry_s=0.005,
        sync=sync,
    )


async def decided(log: Log, *records: Record) -> list[bool]:
    """Append decisions in one turn and wait until each waiter was told."""
    loop = asyncio.get_running_loop()
    told: list[asyncio.Future[bool]] = []
    for entry in records:
        future: asyncio.Future[bool] = loop.create_future()
        log.append_decision(entry, future.set_result)
        told.append(future)
    return list(await asyncio.wait_for(asyncio.gather(*told), 10))


def write_log(directory: Path, turns: Iterable[int] = (2, 1, 3), **settings: Any) -> None:
    """A whole log: a start, so many decisions with their outcomes in each turn, a stop."""

    async def work() -> None:
        log = opened(directory, **settings)
        await log.start()
        number = 0
        for size in turns:
            records = [record(number + n) for n in range(size)]
            number += size
            await decided(log, *records)
            for entry in records:
                log.append_outcome(entry)
        await log.close()

    run(work)


def segments(directory: Path) -> list[Path]:
    """The segment files, oldest first."""
    return sorted(directory.glob("*.jsonl"))


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail after ten seconds."""
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.001)
