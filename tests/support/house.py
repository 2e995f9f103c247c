"""Everything of a gate behind its connections, real and without sockets: `Enforcer` and its rooms.

The log is on disk, keys and revocations are read from files, counters are in memory, and time
stands still until a test moves it.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from passgate.approvals import Approvals, Book
from passgate.config import Config, load_config
from passgate.core.request import Wire
from passgate.core.strict_json import loads
from passgate.ledger.memory import MemoryLedger
from passgate.log import FloodGate, Log, LogSettings, open_gate_key, open_log, read_lines
from passgate.proxy.assertion import Assertions
from passgate.proxy.case import Case
from passgate.proxy.endpoints import Endpoints
from passgate.proxy.enforcer import Enforcer
from passgate.proxy.steps import Answer, Forward, NeedBody, Step, Wait
from passgate.settings import approval_settings, catalog_store, issuer_settings, make_world
from passgate.sync.keeper import Keeper
from passgate.tally import Tally
from passgate.testing import ManualClock, TestIssuer

PEER = "192.0.2.1"
PREFIX = "/.well-known/passgate"

ROUTES: list[dict[str, Any]] = [
    {"match": "GET /v1/search", "action": "api:search"},
    {"match": "POST /v1/search", "action": "api:search"},
    {"match": "POST /v1/export", "action": "api:export", "cost_cents": 50},
    {"match": "POST /v1/orders", "action": "shop:order", "amount": "body:/amount"},
    {"match": "GET /v1/users/{id}", "action": "users:get", "redact": ["id"]},
    {"match": "ANY /public/**", "action": "public"},
]


class House:
    """An enforcer; `sync` is what the log calls to make a file durable."""

    approvals: Approvals
    enforcer: Enforcer
    log: Log
    keeper: Keeper

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.issuer = TestIssuer()
        self.ledger = MemoryLedger()
        self.tally = Tally()
        self.sync: Callable[[int], None] = lambda _: None
        self._numbers = 0
        self.revoke()
        self.config = self.load(config)

    def load(self, config: dict[str, Any]) -> Config:
        """A configuration: small defaults, then `config`, section by section."""
        merged: dict[str, Any] = {
            "gate": {"id": "gate_test"},
            "upstream": {"url": "http://127.0.0.1:1"},
            "issuers": [
                {
                    "id": self.issuer.id,
                    "keys": self.issuer.jwks,
                    "revocations": f"file:{self.directory}/revocations.jwt",
                }
            ],
            "actions": {"routes": ROUTES},
            "limits": {"refusals_per_second": 1000},
        }
        for section, value in config.items():
            if isinstance(value, dict):
                merged[section] = merged.get(section, {}) | value
            else:
                merged[section] = value
        file = self.directory / "gate.yaml"
        file.write_text(json.dumps(merged))
        return load_config(file, os.environ).config

    def revoke(self, *revoked: tuple[str, str]) -> None:
        """Writes a list of what is revoked; each is newer than the one before."""
        self._numbers += 1
        listed = self.issuer.revocation_list(*revoked, now=self.clock.wall - 100 + self._numbers)
        (self.directory / "revocations.jwt").write_text(listed)

    @property
    def revoked(self) -> int:
        """How many passports the house knows to be revoked."""
        known = self.keeper.trust.issuers[self.issuer.id].revocations
        return 0 if known is None else len(known.passports)

    async def open(self) -> None:
        config, clock = self.config, self.clock
        key = open_gate_key(self.directory)
        self.log = open_log(
            self.directory / "log",
            config.gate.id,
            LogSettings(durability=config.audit.durability, delay_s=0.001),
            clock,
            key,
            asyncio.get_running_loop(),
            retry_s=0.01,
            sync=lambda descriptor: self.sync(descriptor),
        )
        await self.start_ledger()
        await self.log.start()
        self.keeper = Keeper(issuer_settings(config), None, clock=clock, wait=clock.wait)
        await self.keeper.start()
        self.approvals = Approvals(
            Book(self.directory / "holds.db"),
            self.ledger,
            self.log,
            clock,
            config.gate.id,
            approval_settings(config),
            wait=clock.wait,
        )
        await self.approvals.start()
        self.enforcer = Enforcer(
            make_world(config, catalog_store(config).read(key.public_key), key),
            keeper=self.keeper,
            ledger=self.ledger,
            log=self.log,
            floods=FloodGate(config.limits.refusals_per_second, self.log),
            endpoints=Endpoints(config.agent.prefix, key.public_key, self.log),
            assertions=Assertions(config.gate.id, key),
            approvals=self.approvals,
            tally=self.tally,
            clock=clock,
        )

    async def start_ledger(self) -> None:
        """Starts the counters, where they need it; the log is there and has nothing new."""

    async def close(self) -> None:
        await self.approvals.stop()
        await self.keeper.close()
        await self.log.close()

    def mint(self, **options: Any) -> str:
        """A passport for everything, good at the house's time."""
        return self.issuer.mint(now=self.clock.wall, **options)

    def wire(
        self,
        method: str,
        target: str,
        passport: str | None = None,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        peer: str = PEER,
    ) -> Wire:
        pairs = [(b"Host", b"api.example")]
        if passport is not None:
            pairs.append((b"Authorization", b"Passport " + passport.encode()))
        pairs += [(name.encode(), value.encode("latin-1")) for name, value in headers]
        return Wire(method, target.encode(), pairs, peer)

    def begin(self, wire: Wire) -> tuple[Case, Step, "asyncio.Future[Step]"]:
        """A case, its first step, and the step that it goes on with after a wait."""
        resumed: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        case, step = self.enforcer.begin(wire, resumed.set_result)
        return case, step, resumed

    async def ask(
        self,
        method: str,
        target: str,
        passport: str | None = None,
        *,
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        peer: str = PEER,
    ) -> Answer | Forward:
        """What becomes of one request, with its body if it is asked for."""
        if body is not None:
            headers = (("Content-Type", "application/json"), *headers)
        case, step, resumed = self.begin(
            self.wire(method, target, passport, headers=headers, peer=peer)
        )
        if isinstance(step, NeedBody):
            step = case.with_body(body or b"")
        if isinstance(step, Wait):
            step = await asyncio.wait_for(resumed, 5)
        assert isinstance(step, Answer | Forward)
        return step

    async def answered(self, *arguments: Any, **options: Any) -> Answer:
        """`ask`, for what is to be answered by the gate itself."""
        step = await self.ask(*arguments, **options)
        assert isinstance(step, Answer), "it was forwarded"
        return step

    async def forwarded(self, *arguments: Any, **options: Any) -> Forward:
        """`ask`, for what is to be forwarded."""
        step = await self.ask(*arguments, **options)
        assert isinstance(step, Forward), body_of(step)
        return step

    def lines(self, kind: str = "") -> list[dict[str, Any]]:
        """The log as it is on disk, of one kind or all."""
        found = [dict(line) for line in read_lines(self.directory / "log")]
        return [line for line in found if kind in ("", line["kind"])]


@asynccontextmanager
async def opened(directory: Path, **config: Any) -> AsyncIterator[House]:
    """An open house, closed on the way out; its log is whole then."""
    house = House(directory, config)
    await house.open()
    try:
        yield house
    finally:
        await house.close()


def inside(directory: Path, work: Callable[[House], Awaitable[Any]], **config: Any) -> House:
    """Runs `work` in an open house, and returns the closed one."""

    async def whole() -> House:
        async with opened(directory, **config) as house:
            await work(house)
        return house

    return asyncio.run(whole())


def body_of(answer: Answer) -> Any:
    """The JSON that an answer holds, which names no member twice."""
    return loads(answer.body)


def headers_of(answer: Answer | Forward) -> dict[str, str]:
    """The header lines of an answer, or those that a forwarded request's answer will get."""
    raw = answer.headers if isinstance(answer, Answer) else answer.answer_headers
    assert raw.endswith(b"\r\n")
    pairs = [line.split(": ", 1) for line in raw.decode("ascii").split("\r\n")[:-1]]
    found: dict[str, str] = {}
    for name, value in pairs:
        assert name.isascii()
        found[name.lower()] = f"{found[name.lower()]}\n{value}" if name.lower() in found else value
    return found
