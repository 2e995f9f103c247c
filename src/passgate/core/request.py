"""Wire, as it arrived, and Request, its one canonical form; ambiguous input is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wire:
    """A dumb copy of what arrived. Header names are as received; `peer` is the socket's address.

    `peer` is an IP address as text, or "unix" for a Unix socket.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str
    tls: bool = False
    http_minor: int = 1
