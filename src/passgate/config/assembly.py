"""Puts a checked tree into the frozen types of the model, key by key."""

from pathlib import Path
from typing import Any, Final

from passgate.config.catalog_file import CatalogFile
from passgate.config.kinds import Section, Sections
from passgate.config.model import (
    ActionsConfig,
    AdminConfig,
    AdminToken,
    AgentConfig,
    AnonymousConfig,
    ApprovalsConfig,
    AuditConfig,
    CatalogConfig,
    Config,
    GateConfig,
    IssuerConfig,
    LedgerConfig,
    LedgerTlsConfig,
    LimitsConfig,
    ListenConfig,
    ListenTlsConfig,
    PassportConfig,
    RouteConfig,
    SelfIssuedConfig,
    TrustConfig,
    UpstreamConfig,
    UpstreamHealthConfig,
    UpstreamTlsConfig,
    UpstreamUrl,
    WebhookConfig,
)
from passgate.config.reading import CHILDREN, Tree

_PROVING_TIERS: Final = ("L2", "L3")


def assemble(tree: Tree, file: Path, lines: dict[str, int], catalog: CatalogFile | None) -> Config:
    """The Config of a tree without anything BAD in it; `catalog` is what `catalog.file` holds."""
    gate, listen, upstream, passport = (
        tree[name] for name in ("gate", "listen", "upstream", "passport")
    )
    audit, limits, anonymous = tree["audit"], tree["limits"], tree["anonymous"]
    return Config(
        gate=GateConfig(
            id=gate["id"],
            name=gate["name"] or gate["id"],
            profile=gate["profile"],
            audience=gate["audience"],
            data_dir=gate["data_dir"],
            mode=gate["mode"],
        ),
        listen=ListenConfig(
            address=listen["address"],
            public_url=listen["public_url"],
            trusted_proxies=listen["trusted_proxies"],
            http2=listen["http2"],
            proxy_protocol=listen["proxy_protocol"],
            proxy_protocol_from=listen["proxy_protocol_from"],
            tls=None if listen["tls"] is None else ListenTlsConfig(**listen["tls"]),
        ),
        admin=_admin(tree["admin"]),
        upstream=UpstreamConfig(
            urls=_urls(upstream),
            http2=upstream["http2"],
            balance=upstream["balance"],
            dns_refresh_s=upstream["dns_refresh"],
            health=UpstreamHealthConfig(
                failures=upstream["health"]["failures"],
                ejection_s=upstream["health"]["ejection"],
                max_ejection_s=upstream["health"]["max_ejection"],
            ),
            connect_timeout_s=upstream["connect_timeout"],
            first_byte_timeout_s=upstream["first_byte_timeout"],
            idle_timeout_s=upstream["idle_timeout"],
            max_connections=upstream["max_connections"],
            cut_on_revocation=upstream["cut_on_revocation"],
            assertion=upstream["assertion"],
            assertion_audience=_audience(upstream),
            keep_passport=upstream["keep_passport"],
            pass_headers=tuple(name.lower() for name in upstream["pass_headers"]),
            tls=_upstream_tls(upstream["tls"]),
        ),
        passport=PassportConfig(
            headers=tuple(name.lower() for name in passport["headers"]),
            accept_bearer=passport["accept_bearer"],
            formats=passport["formats"],
            clock_skew_s=passport["clock_skew"],
            proof=passport["proof"],
            proof_max_age_s=passport["proof_max_age"],
            proof_nonce=passport["proof_nonce"],
            max_lifetime_s=passport["max_lifetime"],
        ),
        issuers=tuple(_issuer(entry) for entry in tree["issuers"]),
        trust=TrustConfig(bundle_keys=tree["trust"]["bundle_keys"]),
        self_issued=SelfIssuedConfig(**tree["self_issued"]) if tree["allow_self_issued"] else None,
        actions=ActionsConfig(
            default=tree["actions"]["default"],
            routes=tuple(
                RouteConfig(**entry, line=lines[f"actions.routes[{index}]"])
                for index, entry in enumerate(tree["actions"]["routes"])
            ),
        ),
        catalog=CatalogConfig(
            file=tree["catalog"]["file"],
            min_version=tree["catalog"]["min_version"],
            document=None if catalog is None else catalog.document,
            compiled=None if catalog is None else catalog.compiled,
            canonical=b"" if catalog is None else catalog.canonical,
        ),
        anonymous=AnonymousConfig(**anonymous),
        constraints=tree["constraints"],
        approvals=_approvals(tree["approvals"]),
        ledger=_ledger(tree["ledger"]),
        audit=AuditConfig(
            durability=audit["durability"],
            stdout=audit["stdout"],
            on_failure=audit["on_failure"],
            rotate_bytes=audit["rotate"],
            keep_age_s=audit["keep"]["age"],
            keep_bytes=audit["keep"]["bytes"],
        ),
        limits=LimitsConfig(
            header_bytes=limits["header_bytes"],
            headers=limits["headers"],
            target_bytes=limits["target_bytes"],
            body_bytes=limits["body_bytes"],
            judged_body_bytes=limits["judged_body_bytes"],
            header_timeout_s=limits["header_timeout"],
            body_idle_timeout_s=limits["body_idle_timeout"],
            keepalive_timeout_s=limits["keepalive_timeout"],
            connections=limits["connections"],
            connections_per_client=limits["connections_per_client"],
            streams=limits["streams"],
            drain_timeout_s=limits["drain_timeout"],
            refusals_per_second=limits["refusals_per_second"],
        ),
        agent=AgentConfig(prefix=tree["agent"]["prefix"]),
        file=file,
        effective=shown(tree),
    )


def _approvals(approvals: Tree) -> ApprovalsConfig:
    webhook = approvals["webhook"]
    return ApprovalsConfig(
        ttl_s=approvals["ttl"],
        grant_ttl_s=approvals["grant_ttl"],
        preview_bytes=approvals["preview"],
        webhook=None if webhook is None else WebhookConfig(**webhook),
    )


def _admin(admin: Tree) -> AdminConfig:
    tokens = [
        AdminToken(name, entry["secret"], entry["role"]) for name, entry in admin["tokens"].items()
    ]
    if admin["token"] is not None:
        tokens.insert(0, AdminToken("admin", admin["token"], "admin"))
    return AdminConfig(admin["address"], tuple(tokens), admin["metrics_token"])


def _ledger(ledger: Tree) -> LedgerConfig:
    tls, lost = ledger["tls"], ledger["on_loss"]
    return LedgerConfig(
        kind=ledger["kind"],
        idempotency_keys_s=ledger["idempotency_keys"],
        url=ledger["url"],
        name=ledger["name"],
        user=ledger["user"],
        password=ledger["password"],
        sentinel_password=ledger["sentinel_password"],
        tls=None if tls is None else LedgerTlsConfig(**tls),
        insecure=ledger["insecure"],
        connect_timeout_s=ledger["connect_timeout"],
        timeout_s=ledger["timeout"],
        lease_cents=ledger["lease_cents"],
        lease_calls=ledger["lease_calls"],
        on_loss_rate=lost["rate"],
        on_loss_spend=lost["spend"],
        on_loss_replay=lost["replay"],
    )


def _urls(upstream: Tree) -> tuple[UpstreamUrl, ...]:
    listed: tuple[UpstreamUrl, ...] = upstream["urls"]
    return listed or (upstream["url"],)


def _audience(upstream: Tree) -> str | None:
    if upstream["assertion"] == "none":
        return None
    audience: str | None = upstream["assertion_audience"]
    return audience or _urls(upstream)[0].origin


def _upstream_tls(tls: Tree | None) -> UpstreamTlsConfig | None:
    if tls is None:
        return None
    return UpstreamTlsConfig(tls["ca"], tls["cert"], tls["key"], tls["server_name"])


def _issuer(entry: Tree) -> IssuerConfig:
    return IssuerConfig(
        id=entry["id"],
        keys=entry["keys"],
        keys_origin=entry["keys_origin"],
        revocations=entry["revocations"],
        revocations_push=entry["revocations_push"],
        tier=entry["tier"],
        formats=entry["formats"],
        refresh_s=entry["refresh"],
        max_stale_s=entry["max_stale"],
        permissions=entry["permissions"],
        constraints=entry["constraints"],
        insecure_http=entry["insecure_http"],
        assurance=(
            entry["assurance"]["ial"],
            entry["assurance"]["aal"],
            entry["assurance"]["fal"],
        ),
        catch_all=entry["catch_all"],
        passports=entry["passports"],
        by_reference="" if entry["passports"] is None else entry["by_reference"],
        delegators_prove=entry["tier"] in _PROVING_TIERS
        if entry["delegators_prove"] is None
        else entry["delegators_prove"],
    )


def shown(tree: Tree, section: str = "") -> dict[str, Any]:
    """The tree in the notation of gate.yaml, without secrets; reading it gives the same Config."""
    rows = CHILDREN[section]
    plain: dict[str, Any] = {}
    for name, value in tree.items():
        row = rows[name]
        if isinstance(row.kind, Section):
            plain[name] = None if value is None else shown(value, row.path)
        elif isinstance(row.kind, Sections):
            if row.kind.named:
                plain[name] = {key: shown(item, f"{row.path}.*") for key, item in value.items()}
            else:
                plain[name] = [shown(item, f"{row.path}[]") for item in value]
        else:
            plain[name] = row.kind.show(value)
    return plain
