"""Wire, as it arrived, and Request, its one canonical form; ambiguous input is refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from passgate.core.client_address import NO_PROXIES, TrustedProxies, client_path
from passgate.core.header_rules import HeaderRules
from passgate.core.headers import HeaderBlock, SortedHeaders, sort_request
from passgate.core.hosts import host_of_header
from passgate.core.reasons import Refusal
from passgate.core.target import read_target


# Neither this nor Request is frozen: freezing would cost a fifth of the time that reading a request
# takes.
@dataclass(init=False, slots=True)
class Wire:
    """A dumb copy of what arrived. Header names are as received; `peer` is the socket's address.

    `peer` is an IP address as text, or "unix" for a Unix socket. `block` holds the same `headers`
    where they may come again. `client_certificate` is the name in the certificate that the
    connection's client proved to have, "" for none: it goes on record and decides nothing.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str
    tls: bool
    http_minor: int
    block: HeaderBlock | None
    client_certificate: str

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        peer: str,
        tls: bool = False,
        http_minor: int = 1,
        block: HeaderBlock | None = None,
        client_certificate: str = "",
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.peer = peer
        self.tls = tls
        self.http_minor = http_minor
        self.block = block
        self.client_certificate = client_certificate


@dataclass(frozen=True, slots=True)
class RequestRules:
    """The configured part of reading a request."""

    headers: HeaderRules
    trusted_proxies: TrustedProxies = NO_PROXIES


@dataclass(init=False, slots=True)
class Request:
    """A request that has exactly one reading.

    `target` is what to forward, byte for byte as received (an absolute form without its scheme and
    host); `path` is the judged path and `query` the raw query. `host` is in lower case without its
    port, "" in an HTTP/1.0 request without one. `client` is an IP address or "unix", `hops` the
    trusted proxies it came through. `scheme` (`http` or `https`) and `authority` are those that the
    client used, by the word of a trusted proxy where there is one, else by the connection and Host.
    `headers` are all that arrived; `sorted` is what becomes of them. `body` is None until it was
    read whole; `received` is what it was where a rule has written it anew, which is what its sender
    can have signed.
    """

    method: str
    target: bytes
    path: str
    query: bytes
    host: str
    authority: str
    client: str
    hops: tuple[str, ...]
    scheme: str
    headers: Sequence[tuple[bytes, bytes]]
    sorted: SortedHeaders
    body: bytes | None
    received: bytes | None

    def __init__(
        self,
        method: str,
        target: bytes,
        path: str,
        query: bytes,
        host: str,
        authority: str,
        client: str,
        hops: tuple[str, ...],
        scheme: str,
        headers: Sequence[tuple[bytes, bytes]],
        sorted: SortedHeaders,  # noqa: A002 - the name of the field
        body: bytes | None = None,
        received: bytes | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.host = host
        self.authority = authority
        self.client = client
        self.hops = hops
        self.scheme = scheme
        self.headers = headers
        self.sorted = sorted
        self.body = body
        self.received = received


_METHODS: Final = frozenset(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"))
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_NEVER: Final = frozenset(("CONNECT", "TRACE"))

_SCHEMES: Final = {b"http": "http", b"https": "https"}

_BAD_METHOD: Final = Refusal("request_malformed", "The method is not accepted.")
_BAD_HOST: Final = Refusal("request_malformed", "The Host header is malformed.")


def canonical_request(wire: Wire, rules: RequestRules) -> Request | Refusal:
    """The one reading of what arrived, or `request_malformed`. Never raises.

    Methods are case-sensitive (RFC 9110 section 9.1) and judged as sent; CONNECT, TRACE, and a
    known method in other letters are refused, as some servers would take it for the known one. For
    Host, target and headers see `hosts`, `target` and `headers`.
    """
    method = wire.method
    if method not in _METHODS and (
        _METHOD.fullmatch(method) is None or method.upper() in _NEVER or method.upper() in _METHODS
    ):
        return _BAD_METHOD
    headers = wire.headers
    block = wire.block
    if block is not None and wire.http_minor:
        found = block.sorted_under(rules.headers)
    else:
        found = sort_request(headers, rules.headers, wire.http_minor)
    if isinstance(found, Refusal):
        return found
    authority = found.authority
    if authority is None and found.host is not None:
        return _BAD_HOST
    target = read_target(wire.target, method, authority)
    if isinstance(target, Refusal):
        return target
    path = client_path(wire.peer, found.forwarded_for, found.forwarded, rules.trusted_proxies)
    if isinstance(path, Refusal):
        return path
    scheme = "https" if wire.tls else "http"
    named = found.authority_text
    if path.vouched:
        scheme = _SCHEMES.get(_last(found.forwarded_proto).lower(), scheme)
        forwarded_host = _last(found.forwarded_host)
        if host_of_header(forwarded_host) is not None:
            named = forwarded_host.decode("ascii")
    return Request(
        method,
        target.forward,
        target.path,
        target.query,
        authority[0] if authority is not None else "",
        named,
        path.client,
        path.hops,
        scheme,
        headers,
        found,
    )


def _last(values: Sequence[bytes]) -> bytes:
    """What the nearest hop wrote, of a list or repeated header."""
    return values[-1].rpartition(b",")[2].strip(b" \t") if values else b""
