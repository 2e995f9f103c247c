"""From the configuration to what each room is told; the only place that knows both sides."""

import json
from dataclasses import dataclass
from pathlib import Path

from passgate.admin.app import Token
from passgate.approvals import ApprovalSettings, WebhookSettings
from passgate.catalog import (
    NO_SHELF,
    NO_VERSIONS,
    CatalogStore,
    Versions,
    differences,
    fill_shelf,
    with_passed_on,
)
from passgate.clock import system_clock
from passgate.config import Config, build_issuers, build_policy
from passgate.config.model import Address, Source
from passgate.core.client_address import TrustedProxies
from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.keys import PublicKey
from passgate.errors import DataError
from passgate.ledger.valkey.settings import OnLoss, ServerTls, SharedSettings
from passgate.log import GateKey, LogSettings, find_gate_key
from passgate.proxy.refusals import Surface
from passgate.proxy.settings import (
    Endpoint,
    Limits,
    ListenTls,
    ProxySettings,
    UpstreamHealth,
    UpstreamSettings,
    UpstreamTls,
)
from passgate.proxy.world import World
from passgate.sync.bundle import Imported, read_bundle
from passgate.sync.settings import IssuerSettings, Location
from passgate.sync.store import TrustStore
from passgate.watch import stamps


def make_world(
    config: Config, versions: Versions = NO_VERSIONS, key: GateKey | None = None
) -> World:
    """Everything that a request is judged by.

    `versions` are the published ones of the catalog. With the gate's `key` they can also be served.
    """
    public_url = config.listen.public_url or ""
    schemes = ["Passport"]
    if "authorization" in config.passport.headers:
        schemes.append("DPoP")
    if config.passport.accept_bearer:
        schemes.append("Bearer")
    return World(
        policy=build_policy(config, versions, b"" if key is None else key.secret_for("nonces")),
        surface=Surface(
            realm=config.gate.id,
            profile=config.gate.profile,
            schemes=tuple(schemes),
            reasons_url=f"{public_url}{config.agent.prefix}/reasons",
            upgrade_url=config.anonymous.upgrade_url or "",
            upgrade_message=config.anonymous.upgrade_message or "",
        ),
        name=config.gate.name,
        strict=config.audit.durability == "strict",
        allow_reads=config.audit.on_failure == "allow_reads",
        judged_body_bytes=config.limits.judged_body_bytes,
        assertion_audience=config.upstream.assertion_audience,
        gate_constraints=config.constraints,
        # Under no id those that all self-issued passports owe.
        issuer_constraints={entry.id: entry.constraints for entry in config.issuers}
        | ({} if config.self_issued is None else {"": config.self_issued.constraints}),
        shelf=NO_SHELF
        if key is None
        else fill_shelf(
            versions, config.catalog.compiled, config.catalog.canonical, config.gate.id, key
        ),
    )


def catalog_store(config: Config) -> CatalogStore:
    """Where the published versions of the catalog are."""
    return CatalogStore(config.gate.data_dir / "catalog", config.gate.id)


@dataclass(frozen=True, slots=True)
class Offer:
    """The catalog's published versions, and what is probably not meant about them."""

    versions: Versions = NO_VERSIONS
    warnings: tuple[str, ...] = ()
    own: Versions = NO_VERSIONS


def read_offer(
    config: Config,
    key: GateKey | None,
    known: Versions = NO_VERSIONS,
    imported: Imported | None = None,
) -> Offer:
    """What is published; versions of its own that are `known` are taken over.

    Where `imported` has versions of this gate's catalog, they count as published here: as many as
    there are more of. Raises `DataError` for whatever is not as the gate of this `key`, or who
    signed the bundle, published it, and for two catalogs that differ.
    """
    own = catalog_store(config).read(None if key is None else key.public_key, known)
    versions, gate_id = own, config.gate.id
    for part in () if imported is None else imported.bundle.catalogs:
        if imported is not None and part.gate_id == gate_id:
            versions = with_passed_on(own, part.versions, gate_id, imported.signer)
    return Offer(versions, _doubts(config, versions), own)


def find_offer(config: Config, imported: Imported | None = None) -> Offer:
    """What is published, for a command that is not the gate: nothing is made, not even a key.

    The trust bundle in place counts where none is given.

    Raises `KeyFileError` and `DataError` as the start of the gate would.
    """
    if imported is None:
        imported = find_bundle(config, system_clock())
    published = catalog_store(config).count() > 0
    key = find_gate_key(config.gate.data_dir) if published else None
    return read_offer(config, key, NO_VERSIONS, imported)


def trust_store(config: Config) -> TrustStore:
    """Where last good copies are, and the trust bundle in force."""
    return TrustStore(config.gate.data_dir / "trust")


def bundle_keys(config: Config) -> dict[str, PublicKey]:
    """The keys of those whose trust bundles are taken."""
    source = config.trust.bundle_keys
    return {} if source is None else parse_jwks(json.dumps(source.document).encode())


def find_bundle(config: Config, now: Instant) -> Imported | None:
    """The trust bundle that was put in place for this gate, verified anew; None without one.

    Raises `DataError` for one that is damaged, or of nobody who is trusted with it.
    """
    store = trust_store(config)
    found = store.load_bundle(now)
    if found is None:
        return None
    try:
        bundle, signer = read_bundle(found[0], bundle_keys(config))
    except ValueError as error:
        raise DataError(
            f"{store.bundle_file}: {error}; import another bundle, name its signer in "
            "trust.bundle_keys, or remove the file to go on without one"
        ) from None
    return Imported(bundle, signer, found[1])


def _doubts(config: Config, versions: Versions) -> tuple[str, ...]:
    catalog, newest = config.catalog, versions.newest
    found = []
    if newest is None:
        if catalog.min_version:
            found.append("catalog.min_version refuses every pinned passport: nothing is published")
    else:
        if catalog.compiled is None:
            found.append(
                f"catalog.file is not set, and version {newest.version} of the catalog stays in "
                f"force: move {catalog_store(config).directory} aside to have none"
            )
        elif differences(versions, catalog.compiled):
            found.append(
                f"catalog.file {catalog.file} differs from version {newest.version} of the "
                "catalog, which is in force until 'passgate catalog publish' makes another"
            )
        if catalog.min_version > newest.version:
            found.append(
                f"catalog.min_version {catalog.min_version} refuses every pinned passport: the "
                f"newest version is {newest.version}"
            )
    return tuple([f"{config.file}: {sentence}" for sentence in found])


def admin_tokens(config: Config) -> tuple[tuple[Token, ...], bytes | None]:
    """Who may use the admin API, and the token of the metrics if they need one."""
    admin = config.admin
    tokens = tuple(
        Token(token.name, token.role, token.secret.value.encode()) for token in admin.tokens
    )
    return tokens, admin.metrics_token.value.encode() if admin.metrics_token else None


def approval_settings(config: Config) -> ApprovalSettings:
    """What is told about holds."""
    approvals = config.approvals
    webhook = approvals.webhook
    return ApprovalSettings(
        ttl_s=approvals.ttl_s,
        grant_ttl_s=approvals.grant_ttl_s,
        preview_bytes=approvals.preview_bytes,
        webhook=None
        if webhook is None
        else WebhookSettings(webhook.url, webhook.secret.value.encode()),
    )


def log_settings(config: Config) -> LogSettings:
    """What the log is told."""
    audit = config.audit
    return LogSettings(
        durability=audit.durability,
        rotate_bytes=audit.rotate_bytes,
        keep_age_s=audit.keep_age_s,
        keep_bytes=audit.keep_bytes,
        stdout=audit.stdout,
    )


def ledger_settings(config: Config) -> SharedSettings | None:
    """What a shared ledger is told; None where counters are this gate's own."""
    ledger = config.ledger
    server, tls = ledger.url, ledger.tls
    if ledger.kind != "valkey" or server is None:
        return None
    return SharedSettings(
        addresses=server.addresses,
        socket=server.socket,
        master=server.master,
        secure=server.secure,
        database=server.database,
        user=ledger.user or "",
        password="" if ledger.password is None else ledger.password.value,
        sentinel_password=""
        if ledger.sentinel_password is None
        else ledger.sentinel_password.value,
        tls=ServerTls() if tls is None else ServerTls(tls.ca, tls.cert, tls.key),
        name=ledger.name,
        connect_timeout_s=ledger.connect_timeout_s,
        timeout_s=ledger.timeout_s,
        lease_cents=ledger.lease_cents,
        lease_calls=ledger.lease_calls,
        on_loss=OnLoss(ledger.on_loss_rate, ledger.on_loss_spend, ledger.on_loss_replay),
    )


def issuer_settings(config: Config) -> list[IssuerSettings]:
    """What the keeper is told about each issuer."""
    return [
        IssuerSettings(
            issuer=issuer,
            keys=_location(entry.keys),
            revocations=None if entry.revocations is None else _location(entry.revocations),
            revocations_push=entry.revocations_push,
            refresh_s=entry.refresh_s,
            insecure_http=entry.insecure_http,
            keys_origin=entry.keys_origin,
            passports=None if entry.passports is None else _location(entry.passports),
        )
        for issuer, entry in zip(build_issuers(config), config.issuers, strict=True)
    ]


def proxy_settings(config: Config) -> ProxySettings:
    """What the data plane is told."""
    upstream = config.upstream
    limits = config.limits
    tls = upstream.tls
    listen_tls = config.listen.tls
    return ProxySettings(
        listen=_endpoint(config.listen.address),
        upstream=UpstreamSettings(
            endpoints=tuple([Endpoint(url.host, url.port, url.path) for url in upstream.urls]),
            secure=upstream.urls[0].scheme == "https",
            tls=UpstreamTls()
            if tls is None
            else UpstreamTls(
                tls.ca, tls.cert, tls.key, tls.server_name, stamps(_upstream_files(config))
            ),
            connect_timeout=upstream.connect_timeout_s,
            first_byte_timeout=upstream.first_byte_timeout_s,
            idle_timeout=upstream.idle_timeout_s,
            max_connections=upstream.max_connections,
            cut_on_revocation=upstream.cut_on_revocation,
            balance=upstream.balance,
            http2=upstream.http2,
            dns_refresh=upstream.dns_refresh_s,
            health=UpstreamHealth(
                failures=upstream.health.failures,
                ejection=upstream.health.ejection_s,
                max_ejection=upstream.health.max_ejection_s,
            ),
        ),
        limits=Limits(
            header_bytes=limits.header_bytes,
            headers=limits.headers,
            target_bytes=limits.target_bytes,
            body_bytes=limits.body_bytes,
            header_timeout=limits.header_timeout_s,
            body_idle_timeout=limits.body_idle_timeout_s,
            keepalive_timeout=limits.keepalive_timeout_s,
            connections=limits.connections,
            streams=limits.streams,
            per_client=limits.connections_per_client or 0,
        ),
        http2=config.listen.http2,
        listen_tls=None
        if listen_tls is None
        else ListenTls(
            listen_tls.cert,
            listen_tls.key,
            listen_tls.client_ca,
            listen_tls.client_auth == "optional",
            stamps(_listen_files(config)),
        ),
        trusted_proxies=TrustedProxies(config.listen.trusted_proxies),
        proxy_protocol=config.listen.proxy_protocol == "v2",
        proxy_protocol_from=TrustedProxies(config.listen.proxy_protocol_from),
    )


def awaited_files(config: Config, versions: Versions) -> list[Path]:
    """The file that makes another configuration when it appears: the catalog's next version."""
    return [catalog_store(config).file_of(len(versions.published) + 1)]


def watched_files(config: Config) -> list[Path]:
    """The files that make another configuration when they change: its own, and those it names.

    Those of issuers are followed by the keeper, which needs no reload for them.
    """
    named = (config.file, config.catalog.file, *_listen_files(config), *_upstream_files(config))
    return [file for file in named if file is not None]


def _listen_files(config: Config) -> tuple[Path | None, ...]:
    tls = config.listen.tls
    return () if tls is None else (tls.cert, tls.key, tls.client_ca)


def _upstream_files(config: Config) -> tuple[Path | None, ...]:
    tls = config.upstream.tls
    return () if tls is None else (tls.ca, tls.cert, tls.key)


def _endpoint(address: Address) -> Endpoint:
    return Endpoint(address.host, address.port, address.path)


def _location(source: Source) -> Location:
    if source.kind == "inline":
        assert source.document is not None
        return source.document
    return str(source)
