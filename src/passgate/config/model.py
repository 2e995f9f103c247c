"""Config: what gate.yaml says, checked whole, as plain frozen values with their units in the names.

Durations are seconds (floats), sizes are bytes (ints), paths are absolute. Where a key may be left
out and nothing takes its place, the value is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeAlias

from passgate.core.catalog import Catalog

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` and `port`, or the path of a Unix socket (then `host` is "")."""

    host: str
    port: int
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """Where the service behind the gate is: `scheme` is `http` or `https`, or `unix` with a `path`.

    `host` has no brackets; `port` is always filled in for http and https.
    """

    scheme: str
    host: str
    port: int
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The ASCII serialisation of its origin (RFC 6454 section 6.2); a socket's is its URL."""
        default = {"http": 80, "https": 443}.get(self.scheme)
        return str(self).removesuffix(f":{self.port}") if self.port == default else str(self)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value read from `reference` (`env:NAME`, `file:PATH`); it prints as that."""

    reference: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return self.reference


@dataclass(frozen=True, slots=True)
class Source:
    """Where an issuer is learnt about: `url`, `file`, `inline`, `bundle`, `oidc` or `did`.

    `location` is the URL, the absolute path, or what stood there with its scheme; `document` is
    what stood inline (a JWK set), or in a file that is read with the configuration.
    """

    kind: str
    location: str = ""
    document: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"file:{self.location}" if self.kind == "file" else self.location or self.kind


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Section `gate`. `profile` is `L1`, `L2` or `L3`, `mode` is `enforce`."""

    id: str
    name: str
    profile: str
    audience: tuple[str, ...]
    data_dir: Path
    mode: str


@dataclass(frozen=True, slots=True)
class ListenTlsConfig:
    """Section `listen.tls`: PEM files. `client_auth` is `required` or `optional`."""

    cert: Path
    key: Path
    client_ca: Path | None
    client_auth: str


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Section `listen`. `public_url` has no final slash, `proxy_protocol` is `none` or `v2`."""

    address: Address
    public_url: str | None
    trusted_proxies: tuple[Network | str, ...]
    proxy_protocol: str
    proxy_protocol_from: tuple[Network | str, ...]
    http2: bool
    tls: ListenTlsConfig | None


@dataclass(frozen=True, slots=True)
class AdminToken:
    """One who may use the admin API: `role` is `viewer`, `approver` or `admin`."""

    name: str
    secret: Secret
    role: str


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Section `admin`. `tokens` also holds `admin.token`, under the name and role `admin`."""

    address: Address
    tokens: tuple[AdminToken, ...]
    metrics_token: Secret | None


@dataclass(frozen=True, slots=True)
class UpstreamTlsConfig:
    """Section `upstream.tls`; verification cannot be turned off. `cert` and `key` come together."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    server_name: str | None


@dataclass(frozen=True, slots=True)
class UpstreamHealthConfig:
    """Section `upstream.health`. `max_ejection_s` is not below `ejection_s`."""

    failures: int
    ejection_s: float
    max_ejection_s: float


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """Section `upstream`. `pass_headers` are in lower case; `tls` is None without the section.

    `urls` has at least one entry, all of one scheme: it is `url` where that is given.
    `assertion_audience` is never None where `assertion` is `jwt`.
    """

    urls: tuple[UpstreamUrl, ...]
    http2: bool
    balance: str
    dns_refresh_s: float
    health: UpstreamHealthConfig
    connect_timeout_s: float
    first_byte_timeout_s: float
    idle_timeout_s: float
    max_connections: int
    cut_on_revocation: bool
    assertion: str
    assertion_audience: str | None
    keep_passport: bool
    pass_headers: tuple[str, ...]
    tls: UpstreamTlsConfig | None


@dataclass(frozen=True, slots=True)
class PassportConfig:
    """Section `passport`. `headers` are lower-case names, in the order of reading."""

    headers: tuple[str, ...]
    accept_bearer: bool
    formats: tuple[str, ...]
    clock_skew_s: float
    proof: str
    proof_max_age_s: float
    proof_nonce: bool
    max_lifetime_s: float


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    """One entry of `issuers`. `constraints` are as written, by key of the constraint table.

    `assurance` is the least identity, authenticator and federation level.
    """

    id: str
    keys: Source
    keys_origin: str | None
    revocations: Source | None
    revocations_push: str | None
    tier: str
    formats: tuple[str, ...]
    refresh_s: float
    max_stale_s: float
    permissions: tuple[str, ...]
    constraints: Mapping[str, Any]
    insecure_http: bool
    assurance: tuple[int, int, int]
    catch_all: bool
    passports: Source | None
    by_reference: str
    delegators_prove: bool


@dataclass(frozen=True, slots=True)
class SelfIssuedConfig:
    """Section `self_issued`. `constraints` are as written, by key of the constraint table."""

    permissions: tuple[str, ...]
    constraints: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """Section `trust`. `bundle_keys` has its document with it, also where it is a file's."""

    bundle_keys: Source | None


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """One entry of `actions.routes`. Sources are text such as `header:NAME`; `line` is the entry's.

    `cost_cents` is a number of cents, or a source, or None.
    """

    match: str
    action: str
    cost_cents: int | str | None
    amount: str | None
    vendor: str | None
    domain: str | None
    resource: str | None
    currency: str | None
    cost_from_upstream: bool
    require: tuple[str, ...]
    redact: tuple[str, ...]
    idempotent: bool
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ActionsConfig:
    """Section `actions`. `default` is `deny` or `method_path`."""

    default: str
    routes: tuple[RouteConfig, ...]


@dataclass(frozen=True, slots=True)
class CatalogConfig:
    """Section `catalog`: the file and, read with it, what it holds (None without a file).

    `canonical` are the RFC 8785 bytes of `document`. What is published is not part of it.
    """

    file: Path | None
    min_version: int
    document: Mapping[str, Any] | None
    compiled: Catalog | None
    canonical: bytes


@dataclass(frozen=True, slots=True)
class AnonymousConfig:
    """Section `anonymous`, with exactly its documented fields."""

    enabled: bool
    allowed_actions: tuple[str, ...]
    blocked_actions: tuple[str, ...]
    read_only: bool
    rate_limit_per_minute: int
    rate_limit_per_hour: int
    upgrade_message: str | None
    upgrade_url: str | None


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Section `approvals.webhook`. `url` is https, on loopback, or `insecure_http` is true."""

    url: str
    secret: Secret
    insecure_http: bool


@dataclass(frozen=True, slots=True)
class ApprovalsConfig:
    """Section `approvals`. `webhook` is None without the section."""

    ttl_s: float
    grant_ttl_s: float
    preview_bytes: int
    webhook: WebhookConfig | None


@dataclass(frozen=True, slots=True)
class CounterServer:
    """Where shared counters are: a server, or sentinels that know the server called `master`.

    `written` is the URL as it stands in the file. `addresses` are empty where there is a `socket`.
    """

    written: str
    secure: bool
    addresses: tuple[tuple[str, int], ...]
    socket: Path | None = None
    master: str = ""
    database: int = 0

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class LedgerTlsConfig:
    """Section `ledger.tls`."""

    ca: Path | None
    cert: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class LedgerConfig:
    """Section `ledger`. `kind` is `memory`, `embedded` or `valkey`.

    `idempotency_keys_s` is for all of them, everything else about the server of the last. A lease
    of None is `auto`.
    """

    kind: str
    idempotency_keys_s: float
    url: CounterServer | None
    name: str
    user: str | None
    password: Secret | None
    sentinel_password: Secret | None
    tls: LedgerTlsConfig | None
    insecure: bool
    connect_timeout_s: float
    timeout_s: float
    lease_cents: int | None
    lease_calls: int | None
    on_loss_rate: str
    on_loss_spend: str
    on_loss_replay: str


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """Section `audit`. `durability` is `strict` or `relaxed`, `on_failure` `deny` or `allow_reads`.

    None for `keep_age_s` or `keep_bytes` keeps without that limit.
    """

    durability: str
    stdout: bool
    on_failure: str
    rotate_bytes: int
    keep_age_s: float | None
    keep_bytes: int | None


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Section `limits`."""

    header_bytes: int
    headers: int
    target_bytes: int
    body_bytes: int
    judged_body_bytes: int
    header_timeout_s: float
    body_idle_timeout_s: float
    keepalive_timeout_s: float
    connections: int
    connections_per_client: int | None
    streams: int
    drain_timeout_s: float
    refusals_per_second: int


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Section `agent`. `prefix` begins with a slash and does not end in one."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of one gate.yaml.

    `file` is where it was read from. `effective` is every key with the value that counts, in the
    notation of gate.yaml; it never holds a secret, only the reference to one. `self_issued` is None
    where such passports are not accepted.
    """

    gate: GateConfig
    listen: ListenConfig
    admin: AdminConfig
    upstream: UpstreamConfig
    passport: PassportConfig
    issuers: tuple[IssuerConfig, ...]
    trust: TrustConfig
    self_issued: SelfIssuedConfig | None
    actions: ActionsConfig
    catalog: CatalogConfig
    anonymous: AnonymousConfig
    constraints: Mapping[str, Any]
    approvals: ApprovalsConfig
    ledger: LedgerConfig
    audit: AuditConfig
    limits: LimitsConfig
    agent: AgentConfig
    file: Path
    effective: Mapping[str, Any] = field(repr=False)
