"""What the data plane is told once: where to listen, whom to forward to, and every limit.

Seconds are floats, sizes are bytes. The defaults are those of the documented configuration.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ListenTls:
    """TLS on the listener: PEM files; with `client_ca` every client must present a certificate."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS to the upstream: `ca` None is the system's store; `cert` and `key` come together."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None


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
class UpstreamSettings:
    """The one service behind the gate.

    `connect_timeout` also bounds how long a request waits for a free connection.
    `first_byte_timeout` runs from the last byte of the request to the first of the answer,
    `idle_timeout` between two bytes either way, `pool_idle` is how long an unused connection is
    kept: shorter than the shortest keep-alive of common servers, so that the gate closes first.
    """

    endpoint: Endpoint
    secure: bool = False
    tls: UpstreamTls = field(default_factory=UpstreamTls)
    connect_timeout: float = 2.0
    first_byte_timeout: float = 30.0
    idle_timeout: float = 60.0
    pool_idle: float = 4.0
    max_connections: int = 256
    cut_on_revocation: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may make the gate hold, and for how long."""

    header_bytes: int = 128 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 10 * 1024 * 1024
    header_timeout: float = 10.0
    body_idle_timeout: float = 30.0
    keepalive_timeout: float = 75.0
    connections: int = 10_000


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything that `Proxy` needs besides the enforcement."""

    listen: Endpoint
    upstream: UpstreamSettings
    limits: Limits = field(default_factory=Limits)
    listen_tls: ListenTls | None = None
    backlog: int = 1024
    socket_mode: int = 0o660
