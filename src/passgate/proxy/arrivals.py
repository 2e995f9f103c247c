"""Arrivals: what a connection goes through before HTTP, from accept to the end of its handshake.

An arrival counts from the moment it is accepted, has `limits.header_timeout` for its PROXY header
and its handshake together, and holds nothing but a socket. Where the listener is full, the arrival
that has dawdled longest makes room for the next one, so handshakes that hang keep nobody out.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from passgate.proxy.crowd import Place, peer_of
from passgate.proxy.proxy_header import HeaderReader, ProxyHeaderError

if TYPE_CHECKING:
    from passgate.proxy.client_socket import ClientSocket
    from passgate.proxy.plane import Plane

_AT_ONCE: Final = 64  # accepted in one turn of the loop, so that what is open goes on meanwhile
_DAWDLING_S: Final = 1.0  # an honest handshake is over by then
_FAREWELL_S: Final = 2.0  # for the handshake of one who will only be told that there is no room
_OUT_OF_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_RETRY_S: Final = 1.0
_logger = structlog.get_logger("passgate")


class Arrival:
    """One accepted socket that is no connection yet."""

    __slots__ = ("began_at", "deadline", "header", "peer", "place", "sock", "task")

    def __init__(
        self, sock: socket.socket, peer: str, place: Place, began_at: float, deadline: float
    ) -> None:
        self.sock: socket.socket | None = sock  # None once a transport has it
        self.peer = peer
        self.place = place
        self.began_at = began_at
        self.deadline = deadline
        self.header: HeaderReader | None = None
        self.task: asyncio.Task[None] | None = None


class Arrivals:
    """Accepts from `listening` and makes a connection of each socket that gets so far.

    `make` makes what a connection's bytes go to. `context` is the TLS of whoever arrives next, None
    for none; connections that stand keep theirs. A context is never changed in place: its tickets
    would let a client resume that the new one would turn away.
    """

    def __init__(
        self,
        plane: "Plane",
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make: "Callable[[], ClientSocket]",
        context: ssl.SSLContext | None,
    ) -> None:
        self.context = context
        self._plane = plane
        self._loop = loop
        self._listening = listening
        self._make = make
        self._open: dict[Place, Arrival] = {}
        self._retry: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """Sockets that are accepted and no connections yet."""
        return len(self._open)

    def start(self) -> None:
        """Accepts from now on."""
        self._listening.listen(self._plane.settings.backlog)
        self._loop.add_reader(self._listening, self._accept)

    async def stop(self) -> None:
        """Accepts no more, and drops whoever has not got as far as a request."""
        if self._listening.fileno() < 0:
            return  # it has stopped already
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        leaving = tuple(self._open.values())
        for arrival in leaving:
            self._shut(arrival)
        tasks = [arrival.task for arrival in leaving if arrival.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def made(self, place: Place) -> bool:
        """The arrival in `place` has become a connection, which leaves the crowd by itself.

        False where it was ended in this same turn of the loop: its place is no longer its own.
        """
        return self._open.pop(place, None) is not None

    def sweep(self, now: float) -> None:
        """Called every tick: drops those whose time is over."""
        late = [arrival for arrival in self._open.values() if now >= arrival.deadline]
        for arrival in late:
            self._fail(arrival, "handshake" if arrival.header is None else "proxy_header")

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_ROOM:
                    continue  # it ended before it was accepted, or its network did: accept(2)
                # The listening socket stays readable: without a pause this would go round and
                # round and do nothing else.
                _logger.warning("accepting_failed", error=error.strerror)
                self._loop.remove_reader(self._listening)
                self._retry = self._loop.call_later(_RETRY_S, self._accept_again)
                return
            sock.setblocking(False)
            self._arrived(sock, peer_of(address))

    def _accept_again(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening, self._accept)

    def _arrived(self, sock: socket.socket, peer: str) -> None:
        plane = self._plane
        settings = plane.settings
        crowd = plane.crowd
        if settings.proxy_protocol and peer not in settings.proxy_protocol_from:
            # Its header would be believed, so it must not even be read.
            crowd.refused["proxy_header"] += 1
            sock.close()
            return
        now = plane.now
        if crowd.served >= plane.limits.connections:
            self._make_room(now)
        place = crowd.enter(plane.limits.connections)
        if place is None:
            sock.close()
            return
        deadline = now + plane.slack + plane.limits.header_timeout
        arrival = self._open[place] = Arrival(sock, peer, place, now, deadline)
        if settings.proxy_protocol:
            arrival.header = HeaderReader()
            self._loop.add_reader(sock, self._read_header, arrival)
        else:
            self._identified(arrival)

    def _make_room(self, now: float) -> None:
        for arrival in self._open.values():
            if now < arrival.began_at + _DAWDLING_S:
                return  # they stand in the order in which they came
            if arrival.place.served:
                self._fail(arrival, "connections")
                return

    def _read_header(self, arrival: Arrival) -> None:
        header, sock = arrival.header, arrival.sock
        assert header is not None
        assert sock is not None
        try:
            while piece := sock.recv(header.wanted):
                client = header.take(piece)
                if client is not None:
                    self._loop.remove_reader(sock)
                    arrival.header = None
                    arrival.peer = client or arrival.peer
                    self._identified(arrival)
                    return
        except BlockingIOError:
            return
        except (OSError, ProxyHeaderError):
            pass
        self._fail(arrival, "proxy_header")

    def _identified(self, arrival: Arrival) -> None:
        """It is known who comes: what follows is theirs."""
        plane = self._plane
        settings = plane.settings
        plane.crowd.name(
            arrival.place, arrival.peer, settings.trusted_proxies, plane.limits.per_client
        )
        if not arrival.place.served:
            arrival.deadline = min(arrival.deadline, plane.now + plane.slack + _FAREWELL_S)
        arrival.task = self._loop.create_task(self._connect(arrival), name="arrival")

    async def _connect(self, arrival: Arrival) -> None:
        def make() -> asyncio.Protocol:
            connection = self._make()
            connection.come_from(arrival.peer, arrival.place)
            return cast("asyncio.Protocol", connection)

        tls: dict[str, Any] = {}
        if self.context is not None:
            tls = {
                "ssl": self.context,
                # `sweep` is what ends it; this is for a loop that would end it sooner.
                "ssl_handshake_timeout": self._plane.limits.header_timeout + 1.0,
                "ssl_shutdown_timeout": 2.0,
            }
        sock, arrival.sock = arrival.sock, None
        assert sock is not None
        try:
            await self._loop.connect_accepted_socket(make, sock, **tls)
        except OSError:
            if arrival.place in self._open:
                self._fail(arrival, "handshake")

    def _fail(self, arrival: Arrival, reason: str) -> None:
        if arrival.place.served:
            self._plane.crowd.refused[reason] += 1
        self._shut(arrival)

    def _shut(self, arrival: Arrival) -> None:
        """Ends an arrival, however far it has got."""
        del self._open[arrival.place]
        self._plane.crowd.leave(arrival.place)
        if arrival.task is not None:
            # The transport closes with it; before its first step there is none yet.
            arrival.task.cancel()
        if arrival.sock is not None:
            if arrival.header is not None:
                self._loop.remove_reader(arrival.sock)
            arrival.sock.close()
