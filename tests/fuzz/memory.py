"""The outside world of a data plane, in memory: a loop, transports and a pool that a plan drives.

Nothing happens by itself: what a real loop would do later is done by `World.settle`.
"""

import asyncio
import dataclasses
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tests.fuzz.recognize import Message

from passgate.proxy.plane import Plane
from passgate.proxy.settings import UpstreamHealth
from passgate.proxy.upstream import UpstreamPool
from passgate.proxy.upstream_address import Address
from passgate.proxy.upstream_http1 import UpstreamConnection
from passgate.proxy.upstream_names import resolve_name
from passgate.proxy.upstream_tally import UpstreamTally


class Loop:
    """The parts of an event loop that the data plane asks for, with a clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.soon: deque[Callable[[], None]] = deque()
        self.attempts: deque[Attempt] = deque()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> "Loop":
        """Forgotten: plans sweep by themselves, and end by losing every connection."""
        return self

    def create_task(self, work: Coroutine[Any, Any, UpstreamConnection]) -> "Attempt":
        attempt = Attempt(work)
        self.attempts.append(attempt)
        return attempt

    def cancel(self) -> None:
        """Stands for the handle of such a call."""

    def settle(self) -> None:
        """Does what is due, and what comes of it."""
        soon = self.soon
        while soon:
            soon.popleft()()


class Transport(asyncio.Transport):
    """One end of a connection. `out` is all that the protocol has written.

    With `room`, what was written is taken only by `drain`, and more than `room` bytes of it pause
    the protocol, as a peer that does not read would. `half` is whether the sending side can end on
    its own (TLS cannot). `cut` is true after `abort`, `ended` after `write_eof` or `close`,
    `misused` once something was written behind an end.
    """

    def __init__(self, loop: Loop, protocol: Any, *, room: int = 0, half: bool = True) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._room = room
        self._half = half
        self._untaken = 0
        self._full = False
        self._silent = False
        self.peer = "192.0.2.250"
        self.out = bytearray()
        self.paused = False
        self.ended = False
        self.cut = False
        self.lost = False
        self.misused = False
        self._closing = False

    # What the protocol asks for.

    def write(self, data: Any) -> None:
        if self.ended and not self._closing:
            self.misused = True  # whoever catches what is raised
            raise RuntimeError("written after the end of sending")
        if self._closing:
            return
        assert type(data) is bytes
        self.out += data
        if self._room:
            self._untaken += len(data)
            if self._untaken > self._room and not self._full:
                self._full = True
                self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return self._half

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        if not self._closing:
            self._closing = self.ended = True
            if not self._untaken:
                self._lose()

    def abort(self) -> None:
        if not self.lost:
            # What was ended in order before, is whole.
            self.cut = not self.ended
            self._closing = True
            self._lose()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self._untaken

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self.peer, 4711) if name == "peername" else default

    # What the plan does.

    def begin(self) -> None:
        """The connection is there."""
        self._protocol.connection_made(self)

    def deliver(self, data: bytes) -> bool:
        """Bytes from the peer; false where nobody reads them now, or it has said its last."""
        if self.paused or self._closing or self._silent or not data:
            return False
        self._protocol.data_received(data)
        return True

    def drain(self) -> None:
        """The peer takes what was written."""
        self._untaken = 0
        if self.lost:
            return
        if self._full:
            self._full = False
            self._protocol.resume_writing()
        if self._closing:
            self._lose()

    def end(self) -> None:
        """The peer sends no more."""
        self._silent = True
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def reset(self) -> None:
        """The connection breaks."""
        if not self.lost:
            self._closing = True
            self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._loop.soon.append(self._tell)

    def _tell(self) -> None:
        self._protocol.connection_lost(None)


class Upstream:
    """The upstream's end of one connection: what came, and what it is going to say."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.whole: list[Message] = []
        self.read = 0  # bytes of `transport.out` that these are
        self.answered = 0  # the number of the request that `to_say` answers
        self.to_say = bytearray()
        self.said: list[tuple[int, bytearray]] = []  # per request: its number, the bytes back
        self.asked: int | None = None  # where in `transport.out` requests end and a tunnel begins


class Attempt:
    """Stands for the task that opens a connection: it is over when the plan says so."""

    def __init__(self, work: Coroutine[Any, Any, UpstreamConnection]) -> None:
        work.close()  # what it would do needs sockets, and a loop that waits
        self._tell: Callable[[Attempt], None] = lambda _: None
        self._made: UpstreamConnection | None = None
        self._failure: OSError | None = None

    def add_done_callback(self, tell: Callable[["Attempt"], None]) -> None:
        self._tell = tell

    def cancelled(self) -> bool:
        return False

    def exception(self) -> OSError | None:
        return self._failure

    def result(self) -> UpstreamConnection:
        assert self._made is not None
        return self._made

    def succeed(self, made: UpstreamConnection) -> None:
        self._made = made
        self._tell(self)

    def fail(self, failure: OSError) -> None:
        self._failure = failure
        self._tell(self)


class Connecting:
    """The gate's own pool to one address, whose connections are opened when the plan says so.

    `make` makes the upstream's end of a connection. Idle connections stay: plans end them. Nor is
    the address ever left out, for there is no other.
    """

    def __init__(self, loop: Loop, plane: Plane, most: int, make: "Make") -> None:
        self._loop = loop
        self._make = make
        settings = dataclasses.replace(
            plane.upstream,
            max_connections=most,
            pool_idle=math.inf,
            health=UpstreamHealth(failures=1 << 60),
        )
        asked: Any = loop
        self.pool = UpstreamPool(plane, settings, None, asked, UpstreamTally(), resolve_name, {})
        (self._address,) = self.pool.addresses
        self._address.told_at = math.inf  # the journal need not hear of failures

    @property
    def opening(self) -> int:
        """How many attempts to connect are under way."""
        return len(self._loop.attempts)

    def opened(self, *, succeeds: bool) -> None:
        """The oldest attempt to connect is over."""
        if not self.opening:
            return
        attempt = self._loop.attempts.popleft()
        if succeeds:
            upstream = self._make(self.pool, self._address)
            upstream.transport.begin()
            attempt.succeed(upstream.transport._protocol)
        else:
            self.pool.failed(self._address, "connect", "refused")
            attempt.fail(ConnectionRefusedError())


Make: TypeAlias = Callable[[UpstreamPool, Address], Upstream]


def make_plane(settings: Any, enforcement: Any, loop: Loop) -> Plane:
    """A data plane on this loop, whose pool is set by the caller."""
    return Plane(settings, enforcement, loop, lambda: 0.0)
