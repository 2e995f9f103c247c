"""Ledgers of several gates on one server, in this process, each with a directory and a log."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.awaiting import eventually
from tests.support.counter_server import CounterServer

from passgate.clock import system_clock
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger import LEDGERS, Premises
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import Reservation, SharedCounters, Taken
from passgate.ledger.valkey.ledger import ValkeyLedger
from passgate.ledger.valkey.settings import SharedSettings


def charge(counter: str, amount: int, limit: int) -> Charge:
    kind, window, _ = counter.split("/", 2)
    return Charge(counter, kind, int(window) if window.isdigit() else window, amount, limit, "k")


class SharingGate:
    """A gate as its ledger knows it. It may be killed, and started again from what is on disk."""

    def __init__(
        self,
        directory: Path,
        server: CounterServer,
        remembering: Remembering = Remembering(),  # noqa: B008 - a value, never changed
        **settings: Any,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        settings.setdefault("addresses", (("127.0.0.1", server.port),))
        self.settings = SharedSettings(**settings)
        self.remembering = remembering
        self.lines: list[Mapping[str, Any]] = []
        self.clock = system_clock
        self.ledger: ValkeyLedger | None = None

    async def start(self, *, meet: bool = True) -> "SharingGate":
        size = self.lines.__len__
        made = LEDGERS["valkey"](
            Premises(
                self.directory / "ledger.db",
                size,
                size,
                lambda: self.clock(),
                self.settings,
                self.remembering,
            )
        )
        assert isinstance(made, ValkeyLedger)
        await made.start(self._read, size())
        self.ledger = made
        if meet:
            await eventually(lambda: self.shared.up and not self.shared.missing)
        return self

    def _read(self, start: int | None) -> Iterator[Mapping[str, Any]]:
        return iter(self.lines[start or 0 :])

    @property
    def running(self) -> ValkeyLedger:
        assert self.ledger is not None
        return self.ledger

    @property
    def shared(self) -> SharedCounters:
        assert self.running.shared is not None
        return self.running.shared

    async def take(self, *charges: Charge, once: Once | None = None, record: bool = True) -> Taken:
        """One request; on record where it passes, unless the gate is to die before that."""
        taken = self.running.reserve(charges, self.now, once)
        if isinstance(taken, Awaitable):
            taken = await taken
        if isinstance(taken, Reservation) and record:
            taken.decision_id = f"att_{len(self.lines)}"
            rows = [{"counter": c.counter, "amount": c.amount} for c in taken.charges]
            self._line("decision", decision="allow", decision_id=taken.decision_id, charges=rows)
        return taken

    @property
    def now(self) -> Instant:
        return self.clock()

    def settle(self, taken: Reservation, cents: int | None = None) -> None:
        self.running.settle(taken, cents, self.now)
        self._line("outcome", decision_id=taken.decision_id, settled_cents=cents)

    def release(self, taken: Reservation) -> None:
        self.running.release(taken, self.now)
        self._line("outcome", decision_id=taken.decision_id, released=True)

    def _line(self, kind: str, **members: Any) -> None:
        at = datetime.fromtimestamp(self.now.wall, UTC).isoformat(timespec="milliseconds")
        self.lines.append(
            {"kind": kind, "seq": len(self.lines), "time": at.replace("+00:00", "Z"), **members}
        )

    async def kill(self) -> None:
        """As kill -9 would: nothing more is said to anybody."""
        ledger, self.ledger = self.running, None
        for task in (ledger._linking, ledger._keeping):
            assert task is not None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await ledger._link._disconnect()
        await ledger._file.close()

    async def stop(self) -> None:
        if self.ledger is not None:
            ledger, self.ledger = self.ledger, None
            await ledger.stop()


def counted(server: CounterServer, counter: str, name: str = "passgate") -> int:
    """What the server counts of a counter whose windows are all one, leases included."""
    total = 0
    pattern = f"{{{name}}}:c:{counter}*".replace("[", "\\[")
    for key in _texts(server.says(b"KEYS", pattern.encode())):
        total += sum(int(amount) for amount in _texts(server.says(b"HVALS", key)))
    return total


def _texts(answer: bytes) -> list[bytes]:
    assert answer.startswith(b"*"), answer
    return answer.split(b"\r\n")[2::2]
