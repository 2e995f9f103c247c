"""A real data plane in a thread of its own, with an enforcement that the test can watch."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import uvloop
from tests.support.allow_all import AllowAll
from tests.support.raw_http import Client, connected

from passgate.proxy.listener import Proxy
from passgate.proxy.settings import Endpoint, Limits, ListenTls, ProxySettings, UpstreamSettings
from passgate.proxy.upstream_names import Resolve, resolve_name

T = TypeVar("T")


class DataPlane:
    """What a test holds of a running `Proxy`."""

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop, gate: AllowAll) -> None:
        self.proxy = proxy
        self.loop = loop
        self.gate = gate

    @property
    def port(self) -> int:
        return self.proxy.addresses[0].port

    def client(self) -> contextlib.AbstractContextManager[Client]:
        return connected(self.port)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the plane's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def call(self, work: Callable[[], T]) -> T:
        """Calls something on the plane's loop."""

        async def wrapped() -> T:
            return work()

        return self.run(wrapped())


@contextlib.contextmanager
def data_plane(
    upstream: Endpoint | int | tuple[Endpoint, ...],
    *,
    gate: AllowAll | None = None,
    limits: Limits | None = None,
    listen: Endpoint | None = None,
    listen_tls: ListenTls | None = None,
    plain_asyncio: bool = False,
    listener: Mapping[str, Any] | None = None,
    resolve: Resolve = resolve_name,
    **upstream_settings: Any,
) -> Iterator[DataPlane]:
    """A data plane on a free port before 127.0.0.1:`upstream`; nothing of it is left afterwards.

    `listener` are more of the `ProxySettings`.
    """
    gate = gate or AllowAll()
    endpoint = Endpoint("127.0.0.1", upstream) if isinstance(upstream, int) else upstream
    endpoints = endpoint if isinstance(endpoint, tuple) else (endpoint,)
    settings = ProxySettings(
        listen or Endpoint("127.0.0.1", 0),
        UpstreamSettings(endpoints, **upstream_settings),
        limits or Limits(),
        listen_tls,
        **(listener or {}),
    )
    loop = asyncio.new_event_loop() if plain_asyncio else uvloop.new_event_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    gate.call_soon = loop.call_soon
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def make() -> Proxy:
        proxy = Proxy(settings, gate, resolve=resolve)
        await proxy.start()
        return proxy

    try:
        proxy = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
        plane = DataPlane(proxy, loop, gate)
        try:
            yield plane
        finally:
            plane.run(proxy.drain(0.05))
            assert proxy.inflight == 0
            assert proxy.connections == 0
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
    assert not failures, failures


def with_limits(**changes: Any) -> Limits:
    """The default limits, changed."""
    return dataclasses.replace(Limits(), **changes)
