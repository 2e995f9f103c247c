"""Who the client is: the first hop, from the gate outwards, that is not a trusted proxy.

What clients write into forwarding headers counts for nothing; only trusted hops are believed, each
about the hop before it, and only what they vouch for is passed on.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from passgate.core.reasons import Refusal

UNIX: Final = "unix"
"""The peer of a Unix socket, and the word that trusts it."""

# RFC 7239 section 4, but for what a value without quotes may hold: some proxies leave them out
# around an address with a port. Repetitions are possessive: proxies pass on what any client wrote,
# and white space that can be shared out in many ways would be tried in all of them.
_PAIR: Final = r"""[!#$%&'*+.^_`|~0-9A-Za-z-]++=(?:"(?:[^"\\]|\\.)*+"|[^",;\s\\]*+)"""
_ELEMENT: Final = rf"[ \t]*+(?:{_PAIR})?+(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+[ \t]*+"
_FORWARDED: Final = re.compile(rf"{_ELEMENT}(?:,{_ELEMENT})*+")
_FORWARDED_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+')
_FORWARDED_FOR: Final = re.compile(
    r'(?:^|;)[ \t]*for=(?:"([^"\\]*)"|([^";, \t]*))[ \t]*(?=;|$)', re.IGNORECASE
)
# More than any address with zone and port has; what is looked up is also remembered.
_MAX_ADDRESS: Final = 128
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")

_DISAGREE: Final = Refusal(
    "request_malformed", "Forwarded and X-Forwarded-For name different clients."
)
_MALFORMED: Final = Refusal("request_malformed", "The Forwarded header is malformed.")


class ClientPath(NamedTuple):
    """The client, and the trusted hops from it to the gate's peer, nearest to the client first.

    The peer itself is the last hop, and left out where it is the client. `vouched` says whether the
    peer is trusted, so that the rest of what it forwards (protocol, host) may be believed.
    """

    client: str
    hops: tuple[str, ...]
    vouched: bool


class TrustedProxies:
    """The networks whose word on the hop before them is believed, and perhaps the Unix socket's.

    `networks` holds networks or their text, and `unix`. Raises `ValueError` for anything else.
    """

    __slots__ = ("_from_unix", "_networks")

    def __init__(self, networks: Iterable[str | IPv4Network | IPv6Network] = ()) -> None:
        listed = list(networks)
        self._from_unix = UNIX in listed
        self._networks = tuple(
            ip_network(entry) if isinstance(entry, str) else entry
            for entry in listed
            if entry != UNIX
        )

    def __bool__(self) -> bool:
        return self._from_unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if address == UNIX:
            return self._from_unix
        parsed = ip_address(address)
        return any(parsed in network for network in self._networks)


NO_PROXIES: Final = TrustedProxies()


@lru_cache(maxsize=8192)
def normal_address(text: str) -> str | None:
    """One spelling of an IP address: IPv4-mapped IPv6 as IPv4, no zone. None if it is none."""
    if text == UNIX:
        return UNIX
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if address.scope_id is not None:
            return str(IPv6Address(int(address)))
    return str(address)


@lru_cache(maxsize=8192)
def counted_address(client: str) -> str:
    """What a client is counted by: its IPv4 address, or the /64 that its IPv6 address lies in.

    One customer usually holds a whole /64, and would otherwise never meet a limit.
    """
    if ":" not in client:
        return client
    return str(IPv6Network((int(IPv6Address(client)) >> 64 << 64, 64)))


def client_path(
    peer: str,
    forwarded_for: Sequence[bytes],
    forwarded: Sequence[bytes],
    trusted: TrustedProxies,
) -> ClientPath | Refusal:
    """The client of a request that came from `peer`, by the trusted hops only.

    Each hop is read from the right (RFC 7239 section 5.2); an entry that is no address ends the
    walk, and the hop that wrote it is the client. Where both headers are there and name different
    clients the request is refused: one of them was not written by a proxy.
    """
    start = normal_address(peer) or peer
    if trusted is NO_PROXIES:
        return _alone(start)
    if start not in trusted:
        return ClientPath(start, (), False)
    path = None
    if forwarded_for:
        path = _walk(start, b",".join(forwarded_for).decode("latin-1").split(","), trusted)
    if forwarded:
        text = b",".join(forwarded).decode("latin-1")
        # An open quotation mark would swallow what the proxies wrote after it.
        if _FORWARDED.fullmatch(text) is None:
            return _MALFORMED
        second = _walk(start, _forwarded_hops(text), trusted)
        if path is not None and second != path:
            return _DISAGREE
        path = second
    return ClientPath(start, (), True) if path is None else path


@lru_cache(maxsize=8192)
def _alone(client: str) -> ClientPath:
    return ClientPath(client, (), False)


def _walk(start: str, claimed: list[str], trusted: TrustedProxies) -> ClientPath:
    hops: list[str] = []
    client = start
    for entry in reversed(claimed):
        entry = entry.strip(" \t")
        if not entry:  # an empty element of a list counts for nothing, RFC 9110 section 5.6.1
            continue
        address = _address_of(entry)
        if address is None:
            break
        hops.append(client)
        client = address
        if client not in trusted:
            break
    hops.reverse()
    return ClientPath(client, tuple(hops), True)


def _address_of(entry: str) -> str | None:
    if len(entry) > _MAX_ADDRESS:
        return None
    match = _WITH_PORT.fullmatch(entry)
    if match is not None:
        entry = match[1] or match[2]
    address = normal_address(entry)
    return None if address == UNIX else address


def _forwarded_hops(text: str) -> list[str]:
    """The `for` of each element, or a word that is no address where it has none or several."""
    hops = []
    for element in _FORWARDED_ELEMENT.findall(text):
        if element.strip(" \t;"):
            found = _FORWARDED_FOR.findall(element.strip(" \t"))
            hops.append((found[0][0] or found[0][1]) if len(found) == 1 else "unknown")
    return hops
