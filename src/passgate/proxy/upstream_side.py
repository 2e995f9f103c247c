"""What an exchange and the pool know of the upstream: the version of HTTP stays on its own side."""

import asyncio
from typing import TYPE_CHECKING

from passgate.proxy.outlet import Outlet

if TYPE_CHECKING:
    from passgate.proxy.exchange import Exchange
    from passgate.proxy.plane import Plane
    from passgate.proxy.upstream import UpstreamPool
    from passgate.proxy.upstream_address import Address


class UpstreamSide(Outlet):
    """One connection to one `address`; it carries one exchange at a time.

    `gone`: it must not be used any more. `began` says whether anything of the current answer has
    come, `reused` whether an earlier exchange went over this connection, `refused` whether the
    upstream has said that it did nothing with the request. `fault` says what was wrong with what
    came before any request, "" for nothing. `idle_since` is when the last exchange
    ended (the plane's `now`), `pooled` whether the pool counts it as open.
    """

    __slots__ = (
        "_exchange",
        "_pool",
        "address",
        "began",
        "fault",
        "gone",
        "idle_since",
        "pooled",
        "refused",
        "reused",
    )

    def __init__(self, plane: "Plane", pool: "UpstreamPool", address: "Address") -> None:
        super().__init__(plane)
        self._pool = pool
        self.address = address
        self._exchange: Exchange | None = None
        self.began = False
        self.fault = ""
        self.gone = False
        self.pooled = False
        self.refused = False
        self.reused = False
        self.idle_since = 0.0

    def begin(self, exchange: "Exchange", request: bytes) -> None:
        """Sends the first bytes of `exchange`'s request; what comes back is told to it.

        `request` is a head of HTTP/1.1 with its framing, and whatever is there of the body.
        """
        raise NotImplementedError

    def send(self, data: bytes, *, chunked: bool, last: bool) -> None:
        """Sends more of a streamed body, which has no known length where it is `chunked`."""
        raise NotImplementedError

    def pause(self) -> None:
        """Takes no more of the answer, because the client does not keep up."""
        raise NotImplementedError

    def resume(self) -> None:
        """Takes the answer again."""
        raise NotImplementedError

    def unsent(self) -> int:
        """Bytes written that the upstream has not taken yet."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes after what was written; tells nobody."""
        self.gone = True
        self._exchange = None
        self.send_now()
        transport = self._transport
        if transport.get_write_buffer_size():
            # A peer that does not read would keep a closing connection for good.
            asyncio.get_running_loop().call_later(
                self._plane.upstream.idle_timeout, transport.abort
            )
        transport.close()

    def abort(self) -> None:
        """Closes at once, so that an unfinished request is seen as such; tells nobody."""
        self.gone = True
        self._exchange = None
        self.send_now()  # it counts as sent already, so let it be
        self._transport.abort()

    def timed_out(self, since: float) -> None:
        """The exchange has waited since then, too long; it will end this connection."""
        self._pool.timed_out(self.address, since)
