"""Opens connections to one address after another, within one budget of time; nothing is sent.

Because nothing is sent before a connection stands (and TLS has proved whose it is), going on to the
next address is safe for every request, whatever its method.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

from passgate.proxy.settings import UpstreamSettings
from passgate.proxy.tls import speaks_http2
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_reason import NOT_HTTP2
from passgate.proxy.upstream_side import UpstreamSide

MOST_ATTEMPTS: Final = 3
"""How many addresses are tried for one request, at most."""

_GOODBYE_S: Final = 2.0  # how long the peer has to answer the end of TLS


class Opening:
    """One connection on its way: `address` is the one being tried, `tried` those before it.

    A `probe` is for no request: it finds out whether an address that is out is reached again.
    """

    __slots__ = ("address", "probe", "task", "tried")

    def __init__(self, address: Address, *, probe: bool) -> None:
        self.address = address
        self.probe = probe
        self.tried: list[Address] = []
        self.task: asyncio.Task[UpstreamSide] | None = None


async def connect(
    loop: asyncio.AbstractEventLoop,
    address: Address,
    settings: UpstreamSettings,
    context: ssl.SSLContext | None,
    timeout: float,  # noqa: ASYNC109 - part of a budget that the caller divides
    make: Callable[[], asyncio.Protocol],
) -> asyncio.Protocol:
    """A connection to `address` within `timeout` seconds, its TLS handshake included.

    Raises `OSError`: `TimeoutError` after `timeout`, `ssl.SSLError` for a peer that cannot prove
    who it is, `NOT_HTTP2` for one that does not choose HTTP/2 where that is needed.
    """
    endpoint = address.endpoint
    tls: dict[str, Any] = {}
    if context is not None:
        tls = {
            "ssl": context,
            "server_hostname": settings.tls.server_name or address.server_name,
            "ssl_shutdown_timeout": _GOODBYE_S,
        }
    connection: asyncio.Protocol
    async with asyncio.timeout(timeout):
        if endpoint.path is not None:
            path = str(endpoint.path)
            transport, connection = await loop.create_unix_connection(make, path, **tls)
        else:
            host, port = endpoint.host, endpoint.port
            transport, connection = await loop.create_connection(make, host, port, **tls)
    if settings.http2 and not speaks_http2(transport):
        transport.abort()
        raise OSError(NOT_HTTP2, "the peer does not speak HTTP/2")
    return connection
