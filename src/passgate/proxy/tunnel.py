"""Bytes both ways after a 101, for WebSocket and any other protocol, without reading them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from passgate.core.constraints.base import UNBOUNDED
from passgate.proxy.steps import Forward
from passgate.proxy.upstream_http1 import UpstreamConnection

if TYPE_CHECKING:
    from passgate.proxy.http1_answering import AnsweringConnection
    from passgate.proxy.plane import Plane

_UNMEASURED: Final = -1


class Tunnel:
    """Two connections joined after an upgrade.

    Each side is read only as fast as the other takes it. When one side ends its sending, the other
    is told (half-close) where the transport can; it is over when both have ended, when either is
    lost, when nothing moved for `upstream.idle_timeout`, or when the passport is no longer good.
    What a side takes of what waits for it is a movement too, however slow. `ended` hears once of
    the bytes sent to the client and the outcome; those from the client are in the record.
    """

    __slots__ = (
        "_bytes_in",
        "_bytes_out",
        "_client",
        "_client_ended",
        "_deadline",
        "_ended",
        "_forward",
        "_most_in",
        "_most_out",
        "_over",
        "_plane",
        "_unsent",
        "_upstream",
        "_upstream_ended",
    )

    def __init__(
        self,
        plane: "Plane",
        forward: Forward,
        client: "AnsweringConnection",
        upstream: UpstreamConnection,
        ended: Callable[[int, str], None],
    ) -> None:
        self._plane = plane
        self._forward = forward
        self._client = client
        self._upstream = upstream
        self._ended = ended
        bounds = forward.bounds
        self._most_in = UNBOUNDED if bounds is None else bounds.request
        self._most_out = UNBOUNDED if bounds is None else bounds.response
        self._bytes_in = 0
        self._bytes_out = 0
        self._unsent = _UNMEASURED
        self._client_ended = False
        self._upstream_ended = False
        self._over = False
        self._deadline = plane.now + plane.slack + plane.upstream.idle_timeout

    def from_client(self, data: bytes) -> None:
        """Bytes for the upstream."""
        self._bytes_in += len(data)
        if self._bytes_in > self._most_in:
            self._bytes_in -= len(data)
            self._outgrown(request=True)
            return
        self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        self._upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
        """Bytes for the client."""
        self._bytes_out += len(data)
        if self._bytes_out > self._most_out:
            self._bytes_out -= len(data)
            self._outgrown(request=False)
            return
        self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        self._client.write(data)

    def client_full(self) -> None:
        """The client does not keep up."""
        self._stalled()
        self._upstream.pause()

    def client_drained(self) -> None:
        """The client has caught up."""
        self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        self._upstream.resume()

    def upstream_full(self) -> None:
        """The upstream does not keep up."""
        self._stalled()
        self._client.pause()

    def upstream_drained(self) -> None:
        """The upstream has caught up."""
        self._deadline = self._plane.now + self._plane.slack + self._plane.upstream.idle_timeout
        self._client.resume()

    def client_ended(self) -> bool:
        """The client sends no more; true where it may still receive."""
        self._client_ended = True
        if self._upstream_ended or not self._upstream.write_eof():
            self._end("completed")
            return False
        return True

    def upstream_ended(self) -> bool:
        """The upstream sends no more; true where it may still receive."""
        self._upstream_ended = True
        if self._client_ended or not self._client.write_eof():
            self._end("completed")
            return False
        return True

    def client_lost(self) -> None:
        """The client's connection is gone."""
        self._end("completed" if self._client_ended else "client_gone")

    def upstream_lost(self) -> None:
        """The upstream's connection is gone."""
        self._end("completed" if self._upstream_ended else "upstream_failed")

    def cut(self) -> None:
        """Ends at once on the gate's own account."""
        self._end("cut")

    def _outgrown(self, *, request: bool) -> None:
        """More bytes have come one way than may be: nothing of them goes on."""
        if not self._over:
            self._plane.enforcement.outgrown(self._forward, request=request)
            self._end("cut")

    def sweep(self, now: float, judge: bool) -> None:
        """Called every tick, as for an exchange."""
        forward = self._forward
        plane = self._plane
        if (
            (now >= self._deadline and not self._still_moves(now))
            or (judge and not plane.may_go_on(forward))
            or (forward.meter is not None and plane.enforcement.unpaid(forward) is not None)
        ):
            self._end("cut")

    def _still_moves(self, now: float) -> bool:
        """Whether either side has taken some of what waits for it since the last deadline."""
        before, self._unsent = self._unsent, self._client.unsent() + self._upstream.unsent()
        if self._unsent and (before == _UNMEASURED or self._unsent < before):
            self._deadline = now + self._plane.upstream.idle_timeout
            return True
        return False

    def _stalled(self) -> None:
        """A side does not keep up: measured at the next tick, judged by that an idle time later."""
        self._unsent = _UNMEASURED
        self._deadline = self._plane.now

    def _end(self, outcome: str) -> None:
        if self._over:
            return
        self._over = True
        self._forward.record.bytes_in = self._bytes_in
        if outcome == "completed":
            # Each side flushes what it still has for its peer.
            self._upstream.close()
            self._client.close()
        else:
            self._upstream.abort()
            self._client.cut()
        self._ended(self._bytes_out, outcome)
