"""Names: the addresses that the upstream's host names stand for, learnt in the background.

No request waits for a name that is known. A name that cannot be resolved keeps its last addresses:
a name server that is away must not take away an upstream that works.
"""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, TypeAlias

import structlog

from passgate.proxy.settings import Endpoint

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to IP addresses as text; raises `OSError` where there are none."""

Known: TypeAlias = Mapping[Endpoint, tuple[Endpoint, ...]]
"""What names stand for: the endpoint as configured, and the addresses."""

_MOST_ADDRESSES: Final = 64
_FIRST_RETRY_S: Final = 0.5
_logger = structlog.get_logger("passgate")


async def resolve_name(name: str, port: int) -> Sequence[str]:
    """Asks the system, as every program on this machine does; IPv4 and IPv6 alike."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_name(endpoint: Endpoint) -> bool:
    """Whether `endpoint` names a host that has to be resolved."""
    if endpoint.path is not None:
        return False
    try:
        ip_address(endpoint.host)
    except ValueError:
        return True
    return False


class Names:
    """Follows the names among `endpoints`; calls `on_change` after each change of their addresses.

    A name is asked for every `refresh_s`, and sooner while it cannot be resolved: after half a
    second, then twice as long each time. `known` are the addresses from before a reload.
    `on_failure` is called after each attempt that failed.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        refresh_s: float,
        resolve: Resolve,
        known: Known,
        on_change: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._endpoints = endpoints
        self._refresh_s = refresh_s
        self._resolve = resolve
        self._on_change = on_change
        self._on_failure = on_failure
        names = [endpoint for endpoint in endpoints if is_name(endpoint)]
        self._known = {name: known[name] for name in names if name in known}
        self._asked: set[Endpoint] = set(self._known)
        self._all_asked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.names = tuple(names)
        self.errors: dict[Endpoint, str] = {}

    @property
    def known(self) -> Known:
        """The addresses of each name that could be resolved once."""
        return self._known

    @property
    def pending(self) -> bool:
        """Whether a name has not been asked for even once."""
        return len(self._asked) < len(self.names)

    def addresses(self) -> list[tuple[Endpoint, str]]:
        """Every address in the order of the configuration, each with the host as configured."""
        found = []
        for endpoint in self._endpoints:
            places = self._known.get(endpoint, ()) if endpoint in self.names else (endpoint,)
            found += [(place, endpoint.host) for place in places]
        return found

    def start(self) -> None:
        """Begins to follow; needs the running loop. Without names there is nothing to do."""
        loop = asyncio.get_running_loop()
        for name in self.names:
            task = loop.create_task(self._follow(name), name=f"resolve {name.host}")
            self._tasks.append(task)

    def stop(self) -> None:
        """Follows no longer."""
        for task in self._tasks:
            task.cancel()

    async def stopped(self) -> None:
        """Returns when nothing of it runs any more, after `stop`."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def asked(self) -> None:
        """Returns when every name has been asked for once, whatever came of it."""
        if self.pending:
            await self._all_asked.wait()

    async def _follow(self, name: Endpoint) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            if await self._ask(name):
                retry_s = _FIRST_RETRY_S
                wait_s = self._refresh_s
            else:
                wait_s = min(retry_s, self._refresh_s)
                retry_s *= 2
            # Not all gates at once.
            await asyncio.sleep(wait_s * random.uniform(0.9, 1.0))  # noqa: S311 - nothing secret

    async def _ask(self, name: Endpoint) -> bool:
        try:
            listed = await self._resolve(name.host, name.port)
            found = sorted({str(ip_address(each)) for each in listed})[:_MOST_ADDRESSES]
            error = "" if found else "no address"
        except (OSError, ValueError) as failure:
            found = []
            error = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
        before = self._known.get(name)
        self._asked.add(name)
        if not self.pending:
            self._all_asked.set()
        if error:
            if self.errors.get(name) != error:
                _logger.warning(
                    "upstream_unresolved", host=name.host, error=error, kept=len(before or ())
                )
            self.errors[name] = error
            self._on_failure()
            return False
        self.errors.pop(name, None)
        places = tuple([Endpoint(host, name.port) for host in found])
        if places != before:
            self._known[name] = places
            _logger.info("upstream_resolved", host=name.host, addresses=found)
            self._on_change()
        return True
