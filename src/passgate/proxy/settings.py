"""What the data plane is told once: where to listen, whom to forward to, and every limit.

Seconds are floats, sizes are bytes. The defaults are those of the documented configuration.
"""

from dataclasses import dataclass, field
from pathlib import Path

from passgate.core.client_address import NO_PROXIES, TrustedProxies
from passgate.watch import Stamp


@dataclass(frozen=True, slots=True)
class ListenTls:
    """TLS on the listener: PEM files.

    With `client_ca` clients present certificates: every one of them must, or with `client_optional`
    those that have one. `stamps` tell what the files were when this was made (`watch.stamps`): with
    others it is another setting, although it names the same files.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None
    client_optional: bool = False
    stamps: tuple[Stamp, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS to the upstream: `ca` None is the system's store; `cert` and `key` come together.

    `stamps` are as in `ListenTls`.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None
    stamps: tuple[Stamp, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket's address: `host` and `port`, or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """When an address gets no requests any more, and for how long.

    `failures` in a row put it out; for `ejection` seconds the first time, twice as long each time
    that it fails again, and never longer than `max_ejection`.
    """

    failures: int = 3
    ejection: float = 1.0
    max_ejection: float = 30.0


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """The service behind the gate, at one or more `endpoints` that are all the same to it.

    A host that is a name may stand for several addresses; it is resolved anew every `dns_refresh`.
    `balance` is `least_connections` or `round_robin`. `max_connections` are those to all together.
    `connect_timeout` also bounds how long a request waits for a free connection.
    `first_byte_timeout` runs from the last byte of the request to the first of the answer,
    `idle_timeout` between two bytes either way, `pool_idle` is how long an unused connection is
    kept: shorter than the shortest keep-alive of common servers, so that the gate closes first.
    With `http2` it is asked over HTTP/2 alone: by ALPN where `secure`, else by prior knowledge.
    """

    endpoints: tuple[Endpoint, ...]
    secure: bool = False
    tls: UpstreamTls = field(default_factory=UpstreamTls)
    connect_timeout: float = 2.0
    first_byte_timeout: float = 30.0
    idle_timeout: float = 60.0
    pool_idle: float = 4.0
    max_connections: int = 256
    cut_on_revocation: bool = True
    balance: str = "least_connections"
    dns_refresh: float = 30.0
    health: UpstreamHealth = field(default_factory=UpstreamHealth)
    http2: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may make the gate hold, and for how long.

    `per_client` connections at a time, 0 for as many as `connections` allows.
    """

    header_bytes: int = 128 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 10 * 1024 * 1024
    header_timeout: float = 10.0
    body_idle_timeout: float = 30.0
    keepalive_timeout: float = 75.0
    connections: int = 10_000
    per_client: int = 0
    streams: int = 100


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything that `Proxy` needs besides the enforcement.

    With `proxy_protocol` each connection begins with a PROXY v2 header, and comes from one of
    `proxy_protocol_from`. Connections of `trusted_proxies` are not counted for one client.
    """

    listen: Endpoint
    upstream: UpstreamSettings
    limits: Limits = field(default_factory=Limits)
    listen_tls: ListenTls | None = None
    backlog: int = 1024
    socket_mode: int = 0o660
    trusted_proxies: TrustedProxies = NO_PROXIES
    proxy_protocol: bool = False
    proxy_protocol_from: TrustedProxies = NO_PROXIES
    http2: bool = True
