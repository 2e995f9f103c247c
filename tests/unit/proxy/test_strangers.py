"""Passports that come once leave little behind for the garbage collector to look at."""

import asyncio
import gc
from pathlib import Path

from tests.support.house import House, opened

from passgate.core.request import Wire
from passgate.proxy.header_memo import HeaderMemo
from passgate.proxy.request_head import RequestHead, RequestReader
from passgate.proxy.steps import Forward, Step

STRANGERS = 500
LIMITS = {"core:rate:max_per_minute": 9, "core:cost:max_cumulative": 900}


def heads(house: House) -> list[bytes]:
    """As many requests, each with a passport of its own that has limits of its own."""
    return [
        b"GET /v1/search?q=1 HTTP/1.1\r\nHost: api.example\r\nAuthorization: Passport %b\r\n\r\n"
        % house.mint(permissions=["api:search"], agent=f"agent-{n}", constraints=LIMITS).encode()
        for n in range(STRANGERS)
    ]


def ask(house: House, reader: RequestReader, head: bytes) -> None:
    """One request from its head to its outcome."""
    read = reader.read(head)
    assert isinstance(read, RequestHead)
    wire = Wire(read.method, read.target, read.headers, "192.0.2.1", False, 1, read.block)

    def resume(step: Step) -> None:
        raise AssertionError(step)

    step = house.enforcer.begin(wire, resume)[1]
    assert isinstance(step, Forward)
    house.enforcer.finished(step, 200, 2, "completed", sent=True)


def left_by(house: House, heads: list[bytes], times: int) -> float:
    """How many objects more the collector has to look at, for each of them."""
    reader = RequestReader(100, 8192, HeaderMemo())
    gc.collect()
    before = len(gc.get_objects())
    for head in heads:
        for _ in range(times):
            ask(house, reader, head)
    gc.collect()
    return (len(gc.get_objects()) - before) / len(heads)


def test_what_comes_once_leaves_little(tmp_path: Path) -> None:
    """It has its counters; what spares work is kept for those who come again."""

    async def scenario() -> tuple[float, float]:
        async with opened(tmp_path, audit={"durability": "relaxed"}) as house:
            requests = heads(house)
            once = left_by(house, requests[: STRANGERS // 2], 1)
            return once, left_by(house, requests[STRANGERS // 2 :], 3)

    once, again = asyncio.run(scenario())

    # The passport, what may be kept with it, and two counters. With what spares work it was 29, and
    # the collector made requests wait for 100 ms, once a second where every passport was new.
    assert once <= 6
    assert again > 2 * once
