"""A whole gate in this process: the real data plane before the real enforcer, its log on disk."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop
from tests.support.house import House
from tests.support.raw_http import Client, connected

from passgate.proxy.listener import Proxy
from passgate.proxy.settings import Endpoint, Limits, ProxySettings, UpstreamSettings

# Everything may pass without a passport but /denied; a rule reads the body of what is /judged.
OPEN: dict[str, Any] = {
    "actions": {
        "routes": [
            {"match": "ANY /denied", "action": "denied"},
            {"match": "POST /judged", "action": "judged", "amount": "body:/amount"},
            {"match": "OPTIONS *", "action": "all"},
            {"match": "ANY /**", "action": "all"},
        ]
    },
    "anonymous": {
        "enabled": True,
        "allowed_actions": ["all", "judged"],
        "read_only": False,
        "rate_limit_per_minute": 1_000_000,
        "rate_limit_per_hour": 1_000_000,
    },
    "audit": {"durability": "relaxed"},
    "limits": {"refusals_per_second": 100_000},
}


class WholeGate:
    """What a test holds of it: its port, and the lines of its log."""

    def __init__(self, proxy: Proxy, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.proxy = proxy
        self.house = house
        self.loop = loop

    @property
    def port(self) -> int:
        return self.proxy.addresses[0].port

    def client(self) -> contextlib.AbstractContextManager[Client]:
        return connected(self.port)

    def line(self, kind: str, decision_id: str) -> dict[str, Any]:
        """The line of this kind with this decision; waits for it to be on disk."""
        deadline = time.monotonic() + 5
        while True:
            for line in reversed(self.house.lines(kind)):
                if line["decision_id"] == decision_id:
                    return line
            assert time.monotonic() < deadline, f"no {kind} line of {decision_id} came"
            time.sleep(0.002)


@contextlib.contextmanager
def whole_gate(
    directory: Path,
    upstream: int,
    *,
    limits: Limits,
    plain_asyncio: bool = False,
    config: dict[str, Any] = OPEN,
    **upstream_settings: Any,
) -> Iterator[WholeGate]:
    """A gate on a free port before 127.0.0.1:`upstream`; nothing of it is left afterwards."""
    loop = asyncio.new_event_loop() if plain_asyncio else uvloop.new_event_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    house = House(directory, config)
    settings = ProxySettings(
        Endpoint("127.0.0.1", 0),
        UpstreamSettings((Endpoint("127.0.0.1", upstream),), **upstream_settings),
        limits,
    )

    async def make() -> Proxy:
        await house.open()
        proxy = Proxy(settings, house.enforcer)
        await proxy.start()
        return proxy

    async def end(proxy: Proxy) -> None:
        await proxy.drain(0.05)
        await house.close()

    try:
        proxy = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
        try:
            yield WholeGate(proxy, house, loop)
        finally:
            asyncio.run_coroutine_threadsafe(end(proxy), loop).result(10)
            assert proxy.inflight == 0
            assert proxy.connections == 0
            assert house.enforcer.inflight == 0
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
    assert not failures, failures
