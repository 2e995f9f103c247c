"""What a Config means to the core: the policy, and what each issuer is allowed."""

from hashlib import sha256
from math import ceil, inf

import rfc8785

from passgate.catalog import NO_VERSIONS, Versions
from passgate.config.model import Config, RouteConfig
from passgate.core.anonymous import AnonymousPolicy
from passgate.core.client_address import NO_PROXIES, TrustedProxies
from passgate.core.constraints import parse_constraints
from passgate.core.header_rules import header_rules
from passgate.core.policy import Policy
from passgate.core.proof.base import ProofRules
from passgate.core.proof.nonces import Nonces
from passgate.core.request import RequestRules
from passgate.core.route_table import RouteTable
from passgate.core.routes import Route, make_route
from passgate.core.trust import L3_LIST_MAX_STALE_S, Issuer, self_issuer
from passgate.core.verification import Acceptance


def build_policy(
    config: Config, versions: Versions = NO_VERSIONS, nonce_key: bytes = b""
) -> Policy:
    """The policy of a configuration that was loaded; never fails for one.

    Where there are published `versions` of the catalog, the newest is in force, not the file.
    `nonce_key` is what the nonces of proofs are made with; without it none is good.

    Its `hash` is the hex SHA-256 of the effective configuration as RFC 8785 JSON. Secrets are not
    in it, only where they are read.
    """
    anonymous = config.anonymous
    return Policy(
        gate_id=config.gate.id,
        hash=sha256(rfc8785.dumps(dict(config.effective))).hexdigest(),
        name=config.gate.name,
        profile=config.gate.profile,
        audience=frozenset((config.gate.id, *config.gate.audience)),
        clock_skew_s=config.passport.clock_skew_s,
        max_lifetime_s=config.passport.max_lifetime_s,
        acceptance=Acceptance(frozenset(config.passport.formats)),
        request_rules=RequestRules(
            header_rules(
                carriers=config.passport.headers,
                accept_bearer=config.passport.accept_bearer,
                keep_passport=config.upstream.keep_passport,
                pass_headers=config.upstream.pass_headers,
            ),
            # The very object, by which the core knows at once that nobody is to be believed.
            TrustedProxies(config.listen.trusted_proxies)
            if config.listen.trusted_proxies
            else NO_PROXIES,
        ),
        routes=RouteTable(
            [make_route_of(index, route) for index, route in enumerate(config.actions.routes)]
        ),
        default_action=config.actions.default,
        catalog=versions.in_force(config.catalog.compiled, config.catalog.min_version),
        anonymous=AnonymousPolicy(
            enabled=anonymous.enabled,
            allowed_actions=anonymous.allowed_actions,
            blocked_actions=anonymous.blocked_actions,
            read_only=anonymous.read_only,
            rate_limit_per_minute=anonymous.rate_limit_per_minute,
            rate_limit_per_hour=anonymous.rate_limit_per_hour,
            upgrade_message=anonymous.upgrade_message,
            upgrade_url=anonymous.upgrade_url,
        ),
        constraints=parse_constraints(config.constraints, guardrails=True),
        agent_prefix=config.agent.prefix,
        public_url=config.listen.public_url,
        proof=ProofRules(
            demand=config.passport.proof,
            # A second more is nothing to an agent, and a window is whole seconds.
            max_age_s=ceil(config.passport.proof_max_age_s),
            skew_s=ceil(config.passport.clock_skew_s),
            public_url=config.listen.public_url,
            nonces=Nonces(nonce_key) if nonce_key or config.passport.proof_nonce else None,
            nonce_required=config.passport.proof_nonce,
        ),
    )


def make_route_of(index: int, route: RouteConfig) -> Route:
    """The compiled form of one entry of `actions.routes`; `ValueError` for what never matches."""
    return make_route(
        index,
        route.match,
        route.action,
        cost_cents=route.cost_cents,
        amount=route.amount,
        vendor=route.vendor,
        domain=route.domain,
        resource=route.resource,
        currency=route.currency,
        cost_from_upstream=route.cost_from_upstream,
        require=route.require,
        redact=route.redact,
        idempotent=route.idempotent,
    )


def build_issuers(config: Config) -> tuple[Issuer, ...]:
    """What the operator allows each issuer, in the order of the file; nothing learnt of it yet."""
    return tuple(
        Issuer(
            id=entry.id,
            tier=entry.tier,
            formats=frozenset(entry.formats),
            permissions=entry.permissions,
            constraints=parse_constraints(entry.constraints),
            max_stale_s=entry.max_stale_s,
            revocations_required=entry.revocations is not None,
            list_max_stale_s=L3_LIST_MAX_STALE_S if config.gate.profile == "L3" else inf,
            assurance=entry.assurance,
            catch_all=entry.catch_all,
            delegators_prove=entry.delegators_prove,
            by_reference=entry.by_reference,
        )
        for entry in config.issuers
    )


def build_self_issuer(config: Config) -> Issuer | None:
    """What is allowed to passports that agents issue themselves; None where nothing is."""
    limits = config.self_issued
    if limits is None:
        return None
    return self_issuer(
        frozenset(config.passport.formats),
        limits.permissions,
        parse_constraints(limits.constraints),
    )
