"""Nothing is ignored: every key of gate.yaml changes what the gate is told, or is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from passgate.config.keys import KEYS
from passgate.config.kinds import Section, Sections
from passgate.config.reading import CHILDREN
from passgate.core.request import Wire
from passgate.testing import TestIssuer

ROUTE = {"match": "POST /v1/items/{id}", "action": "api:export"}
TLS = {"cert": "cert.pem", "key": "key.pem"}
HOOK = {"url": "https://hook.example/passgate", "secret": "env:TOKEN"}
ENVIRON = {"TOKEN": "a token of some length", "OTHER": "another token of some length"}

OWN: dict[str, Any] = {"permissions": [], "constraints": {}}
OWN_PASSPORTS: dict[str, Any] = {
    "gate": {"profile": "L1"},
    "allow_self_issued": True,
    "self_issued": OWN,
}
SHARED = {"ledger": {"kind": "valkey", "url": "rediss://counters.example"}}


@dataclass(frozen=True)
class Counts:
    """A value that must make another Config than what stands below it does."""

    value: Any
    below: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Refused:
    """A value that must be refused with these words; `accepted` means what the gate does anyway."""

    value: Any
    words: str
    accepted: Any = None


# The keys of the documented configuration, one by one, written out here so that none is lost.
ENFORCED: dict[str, Counts] = {
    "gate.id": Counts("gate_other"),
    "gate.name": Counts("Other"),
    "gate.profile": Counts("L1"),
    "gate.audience": Counts(["other"]),
    "gate.data_dir": Counts("elsewhere"),
    "listen.address": Counts("127.0.0.1:8081"),
    "listen.public_url": Counts("https://api.example"),
    "listen.trusted_proxies": Counts(["10.0.0.0/8", "unix"]),
    "listen.proxy_protocol": Counts("v2", {"listen": {"proxy_protocol_from": ["10.0.0.0/8"]}}),
    "listen.proxy_protocol_from": Counts(
        ["unix", "10.1.0.0/16"],
        {"listen": {"proxy_protocol": "v2", "proxy_protocol_from": ["10.0.0.0/8"]}},
    ),
    "listen.http2": Counts(False),
    "listen.tls.cert": Counts("other-cert.pem", {"listen": {"tls": TLS}}),
    "listen.tls.key": Counts("other-key.pem", {"listen": {"tls": TLS}}),
    "listen.tls.client_ca": Counts("cert.pem", {"listen": {"tls": TLS}}),
    "listen.tls.client_auth": Counts(
        "optional", {"listen": {"tls": {**TLS, "client_ca": "cert.pem"}}}
    ),
    "admin.address": Counts("127.0.0.1:9902"),
    "admin.token": Counts("env:TOKEN"),
    "admin.tokens.*.secret": Counts(
        "env:OTHER", {"admin": {"tokens": {"mia": {"secret": "env:TOKEN", "role": "viewer"}}}}
    ),
    "admin.tokens.*.role": Counts(
        "approver", {"admin": {"tokens": {"mia": {"secret": "env:TOKEN", "role": "viewer"}}}}
    ),
    "admin.metrics_token": Counts("env:TOKEN"),
    "upstream.url": Counts("unix:/run/app.sock"),
    "upstream.urls": Counts(
        ["http://a", "http://b"], {"upstream": {"url": None, "urls": ["http://c"]}}
    ),
    "upstream.http2": Counts(True),
    "upstream.balance": Counts("round_robin"),
    "upstream.dns_refresh": Counts("31s"),
    "upstream.health.failures": Counts(4),
    "upstream.health.ejection": Counts("2s"),
    "upstream.health.max_ejection": Counts("31s"),
    "upstream.connect_timeout": Counts("3s"),
    "upstream.first_byte_timeout": Counts("31s"),
    "upstream.idle_timeout": Counts("61s"),
    "upstream.max_connections": Counts(255),
    "upstream.cut_on_revocation": Counts(False),
    "upstream.assertion": Counts("jwt"),
    "upstream.assertion_audience": Counts("api", {"upstream": {"assertion": "jwt"}}),
    "upstream.keep_passport": Counts(True),
    "upstream.pass_headers": Counts(["X-Original-URL"]),
    "upstream.tls.ca": Counts("cert.pem", {"upstream": {"url": "https://h", "tls": {}}}),
    "upstream.tls.cert": Counts("other-cert.pem", {"upstream": {"url": "https://h", "tls": TLS}}),
    "upstream.tls.key": Counts("other-key.pem", {"upstream": {"url": "https://h", "tls": TLS}}),
    "upstream.tls.server_name": Counts("api", {"upstream": {"url": "https://h", "tls": {}}}),
    "passport.headers": Counts(["X-Agent-Passport"]),
    "passport.accept_bearer": Counts(True),
    "passport.formats": Counts(["jwt", "envelope"]),
    "passport.clock_skew": Counts("31s"),
    "passport.proof": Counts("required"),
    "passport.proof_max_age": Counts("30s"),
    "passport.proof_nonce": Counts(True),
    "passport.max_lifetime": Counts("91d"),
    "issuers[].id": Counts("iss_other"),
    "issuers[].keys": Counts("https://issuer.example/jwks.json"),
    "issuers[].keys_origin": Counts(
        "https://keys.example", {"issuers": [{"keys": "oidc:https://issuer.example"}]}
    ),
    "issuers[].revocations": Counts("https://issuer.example/list"),
    "issuers[].revocations_push": Counts("https://issuer.example/events"),
    "issuers[].tier": Counts("L3"),
    "issuers[].refresh": Counts("61s"),
    "issuers[].max_stale": Counts("2h"),
    "issuers[].permissions": Counts(["api:*"]),
    "issuers[].constraints": Counts({"core:rate:max_per_minute": 5}),
    "issuers[].formats": Counts(["jwt", "envelope"]),
    "issuers[].insecure_http": Counts(True),
    "issuers[].passports": Counts("https://issuer.example/passports"),
    "issuers[].by_reference": Counts(
        "bearer", {"issuers": [{"passports": "https://issuer.example/passports"}]}
    ),
    "issuers[].delegators_prove": Counts(False),
    "allow_self_issued": Counts(True, {"gate": {"profile": "L1"}, "self_issued": OWN}),
    "self_issued.permissions": Counts(["api:*"], OWN_PASSPORTS),
    "self_issued.constraints": Counts({"core:rate:max_per_minute": 5}, OWN_PASSPORTS),
    "issuers[].assurance.ial": Counts(1),
    "issuers[].assurance.aal": Counts(2),
    "issuers[].assurance.fal": Counts(3),
    "issuers[].catch_all": Counts(True),
    "trust.bundle_keys": Counts(TestIssuer("gate_online").jwks),
    "actions.default": Counts("method_path"),
    "actions.routes[].match": Counts("GET /v1/items/{id}"),
    "actions.routes[].action": Counts("api:other"),
    "actions.routes[].cost_cents": Counts(50),
    "actions.routes[].amount": Counts("body:/amount"),
    "actions.routes[].vendor": Counts("header:X-Vendor"),
    "actions.routes[].domain": Counts("query:url"),
    "actions.routes[].resource": Counts("path:id"),
    "actions.routes[].cost_from_upstream": Counts(True),
    "actions.routes[].currency": Counts("query:currency"),
    "actions.routes[].require": Counts(["cost"]),
    "actions.routes[].redact": Counts(["id"]),
    "actions.routes[].idempotent": Counts(True),
    "catalog.file": Counts("catalog.yaml"),
    "catalog.min_version": Counts(2),
    "anonymous.enabled": Counts(True),
    "anonymous.allowed_actions": Counts(["public"]),
    "anonymous.blocked_actions": Counts(["public"]),
    "anonymous.read_only": Counts(False),
    "anonymous.rate_limit_per_minute": Counts(6),
    "anonymous.rate_limit_per_hour": Counts(51),
    "anonymous.upgrade_message": Counts("Get a passport."),
    "anonymous.upgrade_url": Counts("https://passports.example"),
    "constraints": Counts({"core:rate:max_per_minute": 5}),
    "ledger.kind": Counts("memory"),
    "ledger.url": Counts("rediss://other", SHARED),
    "ledger.idempotency_keys": Counts("1h"),
    "ledger.name": Counts("other", SHARED),
    "ledger.user": Counts("gate", {"ledger": {**SHARED["ledger"], "password": "env:TOKEN"}}),
    "ledger.password": Counts("env:TOKEN", SHARED),
    "ledger.sentinel_password": Counts(
        "env:TOKEN", {"ledger": {**SHARED["ledger"], "url": "rediss+sentinel://a,b/m"}}
    ),
    "ledger.tls.ca": Counts("cert.pem", {"ledger": {**SHARED["ledger"], "tls": {}}}),
    "ledger.tls.cert": Counts("other-cert.pem", {"ledger": {**SHARED["ledger"], "tls": TLS}}),
    "ledger.tls.key": Counts("other-key.pem", {"ledger": {**SHARED["ledger"], "tls": TLS}}),
    "ledger.insecure": Counts(True, SHARED),
    "ledger.connect_timeout": Counts("2s", SHARED),
    "ledger.timeout": Counts("300ms", SHARED),
    "ledger.lease_cents": Counts(100, SHARED),
    "ledger.lease_calls": Counts(0, SHARED),
    "ledger.on_loss.rate": Counts("deny", SHARED),
    "ledger.on_loss.spend": Counts("local", SHARED),
    "approvals.ttl": Counts("6m"),
    "approvals.grant_ttl": Counts("31m"),
    "approvals.preview": Counts("1KiB"),
    "approvals.webhook.url": Counts("https://other.example", {"approvals": {"webhook": HOOK}}),
    "approvals.webhook.secret": Counts("env:OTHER", {"approvals": {"webhook": HOOK}}),
    "approvals.webhook.insecure_http": Counts(True, {"approvals": {"webhook": HOOK}}),
    "audit.durability": Counts("relaxed"),
    "audit.stdout": Counts(True),
    "audit.on_failure": Counts("allow_reads"),
    "audit.rotate": Counts("1MiB"),
    "audit.keep.age": Counts("30d"),
    "audit.keep.bytes": Counts("10GiB"),
    "limits.header_bytes": Counts("64KiB"),
    "limits.headers": Counts(50),
    "limits.target_bytes": Counts("4KiB"),
    "limits.body_bytes": Counts("2MiB"),
    "limits.judged_body_bytes": Counts("512KiB"),
    "limits.header_timeout": Counts("5s"),
    "limits.body_idle_timeout": Counts("5s"),
    "limits.keepalive_timeout": Counts("5s"),
    "limits.connections": Counts(100),
    "limits.connections_per_client": Counts(100),
    "limits.streams": Counts(10),
    "limits.drain_timeout": Counts("5s"),
    "limits.refusals_per_second": Counts(5),
    "agent.prefix": Counts("/gate"),
}
REFUSED: dict[str, Refused] = {
    "gate.mode": Refused("observe", "observe mode", "enforce"),
    "upstream.tls.verify": Refused(False, "a way to turn verification off"),
    "ledger.on_loss.replay": Refused("local", "a memory of its own for what", "deny"),
}


def written(path: str, value: Any, issuer: Mapping[str, Any], below: Any) -> dict[str, Any]:
    """The smallest sections that hold `value` at a path of the table, over `below`."""
    if path.startswith("issuers[]."):
        entry = dict(issuer) | below.get("issuers", [{}])[0]
        _set(entry, path.removeprefix("issuers[].").split("."), value)
        return {"issuers": [entry]}
    if path.startswith("actions.routes[]."):
        return {"actions": {"routes": [{**ROUTE, path.removeprefix("actions.routes[]."): value}]}}
    content: dict[str, Any] = {}
    _set(content, path.replace("*", "mia").split("."), value)
    return content


def _set(section: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        section = section.setdefault(name, {})
    section[names[-1]] = value


def test_every_key_of_the_table_is_in_one_of_the_lists() -> None:
    """A key can neither be added without showing what it does, nor be lost."""
    leaves = {row.path for row in KEYS if not isinstance(row.kind, (Section, Sections))}
    assert leaves == ENFORCED.keys() | REFUSED.keys()
    assert not ENFORCED.keys() & REFUSED.keys()


@pytest.mark.parametrize("path", ENFORCED)
def test_a_key_changes_what_the_gate_is_told(
    path: str,
    load: Any,
    meaning: Any,
    merged: Any,
    place: Any,
    issuer: dict[str, Any],
    key_pair: tuple[bytes, bytes],
) -> None:
    """With the key the Config is another one than without."""
    (place / "other-cert.pem").write_bytes(key_pair[0])
    (place / "other-key.pem").write_bytes(key_pair[1])
    case = ENFORCED[path]
    below: dict[str, Any] = dict(case.below or {})
    if path.startswith("actions.routes[]."):
        below = {"actions": {"routes": [ROUTE]}}
    if "issuers" in below:
        below = {"issuers": [issuer | below["issuers"][0]]}
    without = load(below, ENVIRON).config
    with_key = load(merged(below, written(path, case.value, issuer, below)), ENVIRON).config
    assert meaning(with_key) != meaning(without)
    assert with_key.effective != without.effective


@pytest.mark.parametrize("path", REFUSED)
def test_a_key_that_is_not_built_is_refused_by_name(
    path: str, load: Any, meaning: Any, merged: Any, problems_of: Any, issuer: dict[str, Any]
) -> None:
    """The one problem names the key and what this version does not have."""
    case = REFUSED[path]
    below: dict[str, Any] = {}
    if path.startswith("upstream.tls"):
        below = {"upstream": {"url": "https://h"}}
    (problem,) = problems_of(merged(below, written(path, case.value, issuer, below)))
    shown = path.replace("[]", "[0]")
    assert f": {shown} " in problem
    assert f"is refused: this version does not have {case.words}" in problem
    if case.accepted is not None:
        as_always = load(written(path, case.accepted, issuer, below)).config
        same = {"actions": {"routes": [ROUTE]}} if "routes" in path else {}
        assert meaning(as_always) == meaning(load(same).config)


@pytest.mark.parametrize("section", sorted(CHILDREN))
def test_every_section_refuses_unknown_keys(
    section: str, problems_of: Any, merged: Any, issuer: dict[str, Any]
) -> None:
    """At every depth a key that nobody knows is a problem."""
    below: dict[str, Any] = {}
    if section.startswith("listen.tls"):
        below = {"listen": {"tls": TLS}}
    elif section.startswith("upstream.tls"):
        below = {"upstream": {"url": "https://h"}}
    elif section.startswith("ledger.tls"):
        below = SHARED
    elif section == "self_issued":
        below = OWN_PASSPORTS
    elif section.startswith("approvals.webhook"):
        below = {"approvals": {"webhook": HOOK}}
    elif section.startswith("admin.tokens"):
        below = {"admin": {"tokens": {"mia": {"secret": "env:TOKEN", "role": "viewer"}}}}
    path = f"{section}.zzzz" if section else "zzzz"
    (problem,) = problems_of(merged(below, written(path, 1, issuer, below)), ENVIRON)
    shown = path.replace("[]", "[0]").replace("*", "mia")
    assert f": {shown} is not a key: known here are " in problem


def test_the_policy_is_told_what_the_core_decides_by(load: Any) -> None:
    """Each key that the core decides by arrives in the Policy."""
    from passgate.config import build_policy

    config = load(
        {
            "gate": {"id": "g1", "name": "One", "audience": ["g2"], "profile": "L1"},
            "listen": {"trusted_proxies": ["10.0.0.0/8"], "public_url": "https://a.example/x/"},
            "upstream": {"keep_passport": True, "pass_headers": ["X-Original-URL"]},
            "passport": {
                "headers": ["Authorization"],
                "accept_bearer": True,
                "clock_skew": "1s",
                "max_lifetime": "1d",
            },
            "actions": {"default": "method_path", "routes": [{"match": "GET /a", "action": "a"}]},
            "catalog": {"file": "catalog.yaml"},
            "anonymous": {
                "enabled": True,
                "allowed_actions": ["a"],
                "blocked_actions": ["b"],
                "read_only": False,
                "rate_limit_per_minute": 1,
                "rate_limit_per_hour": 2,
                "upgrade_message": "m",
                "upgrade_url": "https://u.example",
            },
            "constraints": {"core:rate:max_per_minute": 5},
            "agent": {"prefix": "/gate"},
        }
    ).config
    policy = build_policy(config)
    assert (policy.gate_id, policy.name, policy.profile) == ("g1", "One", "L1")
    assert policy.audience == {"g1", "g2"}
    assert (policy.clock_skew_s, policy.max_lifetime_s) == (1.0, 86400.0)
    assert policy.acceptance.formats == {"jwt"}
    rules = policy.request_rules
    assert rules.headers.carriers == {"authorization"}
    assert rules.headers.accept_bearer
    assert rules.headers.keep_passport
    assert rules.headers != build_policy(load({}).config).request_rules.headers
    assert rules.headers.roles[b"x-original-url"] != rules.headers.roles[b"x-rewrite-url"]
    assert "10.1.2.3" in rules.trusted_proxies
    assert "11.1.2.3" not in rules.trusted_proxies
    route = policy.routes.match("GET", "/a")
    assert getattr(route, "action", None) == "a"
    assert policy.default_action == "method_path"
    assert policy.catalog is not None
    assert "api:search" in policy.catalog.entries
    anonymous = policy.anonymous
    assert anonymous.offers("a")
    assert not anonymous.offers("b")
    assert (anonymous.read_only, anonymous.rate_limit_per_minute) == (False, 1)
    assert (anonymous.rate_limit_per_hour, anonymous.upgrade_message) == (2, "m")
    assert anonymous.upgrade_url == "https://u.example"
    assert "core:rate:max_per_minute" in policy.constraints.values
    assert policy.agent_prefix == "/gate"
    assert policy.public_url == "https://a.example/x"


def test_issuers_are_told_what_they_may_do(load: Any, issuer: dict[str, Any]) -> None:
    """What the operator allows each issuer arrives; nothing is learnt of it yet."""
    from passgate.config import build_issuers

    entry = issuer | {
        "tier": "L1",
        "permissions": ["api:*"],
        "constraints": {"core:rate:max_per_minute": 5},
        "max_stale": "2m",
        "refresh": "1m",
    }
    second = {"id": "iss_two", "keys": "https://two.example/jwks.json"}
    config = load({"gate": {"profile": "L1"}, "issuers": [entry, second]}).config
    first, other = build_issuers(config)
    assert (first.id, first.tier, first.permissions) == ("iss_lab", "L1", ("api:*",))
    assert first.formats == {"jwt"}
    assert first.max_stale_s == 120.0
    assert "core:rate:max_per_minute" in first.constraints.values
    assert first.revocations_required
    assert first.keys is None
    assert first.revocations is None
    assert not other.revocations_required


def test_a_request_is_read_by_the_configured_rules(load: Any) -> None:
    """The rules that the configuration makes are those that requests are read by."""
    from passgate.config import build_policy
    from passgate.core.reasons import Refusal
    from passgate.core.request import canonical_request

    wire = Wire("GET", b"/", [(b"Host", b"a"), (b"X-Forwarded-For", b"8.8.8.8")], "10.0.0.9")
    for proxies, client in (([], "10.0.0.9"), (["10.0.0.0/8"], "8.8.8.8")):
        policy = build_policy(load({"listen": {"trusted_proxies": proxies}}).config)
        request = canonical_request(wire, policy.request_rules)
        assert not isinstance(request, Refusal)
        assert request.client == client
