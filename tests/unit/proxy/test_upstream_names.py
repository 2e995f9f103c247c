"""Names are learnt in the background; what was once known is never lost to a name server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from tests.awaiting import eventually

from passgate.proxy.settings import Endpoint
from passgate.proxy.upstream_names import Known, Names, is_name, resolve_name

API = Endpoint("api.test", 80)
OTHER = Endpoint("other.test", 81)
FIXED = Endpoint("192.0.2.9", 82)


class System:
    """A name server in the hands of the test."""

    def __init__(self, **found: Sequence[str]) -> None:
        self.found = {f"{name}.test": addresses for name, addresses in found.items()}
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        del port
        await self.open.wait()
        self.asked.append(name)
        if name not in self.found:
            raise OSError(-2, "Name or service not known")
        return self.found[name]


def following(
    work: Callable[[System, Callable[..., Names], list[str]], Awaitable[Any]],
    **found: Sequence[str],
) -> None:
    """Runs `work` with a name server, a maker of `Names`, and what these told."""

    async def whole() -> None:
        system = System(**found)
        told: list[str] = []
        made: list[Names] = []

        def make(
            *endpoints: Endpoint, refresh_s: float = 0.01, known: Known | None = None
        ) -> Names:
            names = Names(
                endpoints,
                refresh_s,
                system.resolve,
                known or {},
                lambda: told.append("change"),
                lambda: told.append("failure"),
            )
            made.append(names)
            names.start()
            return names

        try:
            await work(system, make, told)
        finally:
            for names in made:
                names.stop()

    asyncio.run(whole())


def places(names: Names) -> list[str]:
    return [str(place) for place, _ in names.addresses()]


def test_addresses_are_those_of_all_names_in_the_order_of_the_configuration() -> None:
    """With the host that each belongs to, and fixed addresses among them."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        names = make(API, FIXED, OTHER)
        assert names.pending
        await names.asked()
        assert not names.pending
        assert [(str(place), host) for place, host in names.addresses()] == [
            ("192.0.2.1:80", "api.test"),
            ("[2001:db8::1]:80", "api.test"),
            ("192.0.2.9:82", "192.0.2.9"),
            ("192.0.2.3:81", "other.test"),
        ]
        assert told == ["change", "change"]

    following(work, api=["2001:db8::1", "192.0.2.1", "192.0.2.1"], other=["192.0.2.3"])


def test_a_change_is_told_once() -> None:
    """The same addresses in another order are no change."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        names = make(API)
        await names.asked()
        system.found["api.test"] = ["192.0.2.2", "192.0.2.1"]
        await eventually(lambda: len(system.asked) >= 3)
        assert told == ["change"]
        system.found["api.test"] = ["192.0.2.2"]
        await eventually(lambda: len(told) == 2)
        assert places(names) == ["192.0.2.2:80"]

    following(work, api=["192.0.2.1", "192.0.2.2"])


def test_a_name_that_is_lost_keeps_its_addresses() -> None:
    """Not known any more, empty, or nonsense: the last good ones stay, and that is said once."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        names = make(API)
        await names.asked()
        with capture_logs() as logs:
            for broken in (None, [], ["nonsense"]):
                if broken is None:
                    del system.found["api.test"]
                else:
                    system.found["api.test"] = broken
                seen = len(system.asked)
                await eventually(lambda seen=seen: len(system.asked) >= seen + 2)
                assert places(names) == ["192.0.2.1:80"]
                assert names.errors[API]
            system.found["api.test"] = ["192.0.2.1"]
            await eventually(lambda: not names.errors)
        said = [line for line in logs if line["event"] == "upstream_unresolved"]
        assert [line["kept"] for line in said] == [1, 1, 1]
        assert said[0]["error"] == "Name or service not known"
        assert told.count("change") == 1
        assert told.count("failure") >= 3

    following(work, api=["192.0.2.1"])


def test_a_name_that_is_not_known_yet_is_asked_for_again_soon() -> None:
    """Half a second after the first failure, however long the refresh is."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        names = make(API, refresh_s=3600)
        await names.asked()
        assert places(names) == []
        system.found["api.test"] = ["192.0.2.1"]
        await eventually(lambda: places(names) == ["192.0.2.1:80"])

    following(work)


def test_a_reload_takes_what_is_known_along() -> None:
    """Nothing waits for a name server that was asked before, and it may be away just now."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        first = make(API, OTHER)
        await first.asked()
        system.open.clear()
        second = make(API, FIXED, known=first.known)
        assert not second.pending
        await second.asked()
        assert places(second) == ["192.0.2.1:80", "192.0.2.9:82"]

    following(work, api=["192.0.2.1"], other=["192.0.2.2"])


def test_one_name_does_not_wait_for_another() -> None:
    """Each is followed by itself."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        stuck = asyncio.Event()

        async def resolve(name: str, port: int) -> Sequence[str]:
            if name == "api.test":
                await stuck.wait()
            return await system.resolve(name, port)

        names = Names((API, OTHER), 0.01, resolve, {}, lambda: None, lambda: None)
        names.start()
        await eventually(lambda: places(names) == ["192.0.2.2:81"])
        assert names.pending
        names.stop()

    following(work, other=["192.0.2.2"])


def test_addresses_and_sockets_are_no_names() -> None:
    """There is nothing to ask, and no task that asks."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        fixed = (FIXED, Endpoint("::1", 80), Endpoint(path=Path("/run/app.sock")))
        names = make(*fixed)
        await names.asked()
        assert [place for place, _ in names.addresses()] == list(fixed)
        assert not any(is_name(each) for each in fixed)
        assert system.asked == []

    following(work)


def test_a_name_of_very_many_addresses_is_bounded() -> None:
    """64 of them are plenty."""

    async def work(system: System, make: Callable[..., Names], told: list[str]) -> None:
        names = make(API)
        await names.asked()
        assert len(names.addresses()) == 64

    following(work, api=[f"192.0.2.{n}" for n in range(200)])


def test_the_system_is_asked() -> None:
    """What this machine calls localhost is on loopback."""
    found = asyncio.run(_localhost())
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}


async def _localhost() -> Sequence[str]:
    return await resolve_name("localhost", 80)
