"""Crowd: every socket of the listener counts from accept to its end, whatever it does meanwhile.

A handshake that never ends takes as much room as a request does, so both are counted alike.
"""

from typing import Final

from passgate.core.client_address import (
    UNIX,
    TrustedProxies,
    counted_address,
    normal_address,
)

_GOODBYES: Final = 1024  # sockets beyond a limit that are still told so

REASONS: Final = ("connections", "connections_per_client", "proxy_header", "handshake")
"""Why a socket was not served: a limit, no acceptable PROXY header, or no finished handshake."""


def peer_of(address: object) -> str:
    """Who is at the other end of a socket with this remote address: an IP address, or `unix`."""
    if not isinstance(address, tuple):
        return UNIX
    return normal_address(address[0]) or str(address[0])


class Place:
    """One socket's place. One that is not `served` is only told that there is no room."""

    __slots__ = ("client", "served")

    def __init__(self, served: bool) -> None:
        self.served = served
        self.client = ""


class Crowd:
    """Says which sockets may stay. `sockets` counts all of them, `served` those that are served.

    `refused` counts those that were not, by one of `REASONS`.
    """

    __slots__ = ("_clients", "refused", "served", "sockets")

    def __init__(self) -> None:
        self.sockets = 0
        self.served = 0
        self.refused = dict.fromkeys(REASONS, 0)
        self._clients: dict[str, int] = {}

    def enter(self, limit: int) -> Place | None:
        """The place of a socket that was accepted just now; None where it must be closed at once.

        At most `limit` are served at a time; of those beyond it only so many as can be told.
        """
        served = self.served < limit
        if served:
            self.served += 1
        else:
            self.refused["connections"] += 1
            if self.sockets - self.served >= _GOODBYES:
                return None
        self.sockets += 1
        return Place(served)

    def name(self, place: Place, peer: str, trusted: TrustedProxies, limit: int) -> None:
        """Counts the socket for the client it came from; beyond `limit` (0: none) it is not served.

        `peer` is as `peer_of` gives it. An IPv6 client is its /64. Trusted proxies and Unix sockets
        carry many clients and are not counted.
        """
        if peer == UNIX or peer in trusted or not place.served:
            return
        client = counted_address(peer)
        count = self._clients.get(client, 0)
        if limit and count >= limit:
            # Not counted for it: whoever asks again and again would never get back in.
            place.served = False
            self.served -= 1
            self.refused["connections_per_client"] += 1
        else:
            self._clients[client] = count + 1
            place.client = client

    def leave(self, place: Place) -> None:
        """The socket has ended."""
        self.sockets -= 1
        if place.served:
            self.served -= 1
        client = place.client
        if client:
            count = self._clients[client] - 1
            if count:
                self._clients[client] = count
            else:
                del self._clients[client]
