"""Makes `decisions.json`: one gate, and requests with passports against it, with what it decides.

Deterministic: run `python -m tests.vectors.make_decisions` and commit what changed; a test
compares. Everything that another gate needs to run them is in the file: the configuration as
gate.yaml would say it, the catalog, the issuers' signed revocation lists, and the private seeds, so
that anyone can add a case. The requests of one vector come one after another and share their
counters, which are fresh for each vector.

Expectations are `decision`, and with a refusal or a hold `code` and, where one is named,
`constraint`.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785
from nacl.bindings import crypto_sign_seed_keypair
from tests.craft import (
    CLAIMS,
    KEY,
    OTHER_KEY,
    OTHER_SEED,
    SEED,
    b64,
    compact_json,
    credential,
    jwk_of,
    raw_credential,
)
from tests.support.proofs import proof
from tests.vectors import chains

FILE = Path(__file__).with_name("decisions.json")
AT = 1_800_000_000
SELF_ISSUER = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
HOST = ["Host", "api.example"]
JSON = ["Content-Type", "application/json"]


def _jwks(*seeds: tuple[str, bytes]) -> dict[str, Any]:
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": kid,
                "x": b64(crypto_sign_seed_keypair(seed)[0]),
            }
            for kid, seed in seeds
        ]
    }


def _revocations(issuer: str, *revoked: tuple[str, str]) -> str:
    entries = [{"kind": kind, "id": name, "at": AT, "reason": ""} for kind, name in revoked]
    claims = {"iss": issuer, "iat": AT - 60, "exp": AT + 86_400, "revoked": entries}
    header = {"alg": "EdDSA", "kid": "key-1", "typ": "revocations+jwt"}
    return raw_credential(compact_json(header), compact_json(claims))


REVOCATIONS = {
    "iss_lab": _revocations(
        "iss_lab", ("passport", "pass_gone"), ("agent", "agent-gone"), ("key", "key-2")
    ),
    "iss_small": _revocations("iss_small"),
    "iss_closed": _revocations("iss_closed", ("issuer", "iss_closed")),
}

CONFIG: dict[str, Any] = {
    "gate": {"id": "gate_lab", "profile": "L2", "audience": ["https://api.example"]},
    "listen": {"trusted_proxies": ["10.0.0.0/8"]},
    "upstream": {"url": "http://127.0.0.1:8000"},
    "issuers": [
        {
            "id": "iss_lab",
            "keys": _jwks(("key-1", SEED), ("key-2", OTHER_SEED)),
            "revocations": "file:iss_lab.jwt",
        },
        {
            "id": "iss_small",
            "keys": _jwks(("key-1", SEED)),
            "revocations": "file:iss_small.jwt",
            "tier": "L1",
            "permissions": ["api:*"],
            "constraints": {"core:rate:max_per_minute": 2},
        },
        {
            "id": "iss_closed",
            "keys": _jwks(("key-1", SEED)),
            "revocations": "file:iss_closed.jwt",
        },
    ],
    "actions": {
        "routes": [
            {"match": "GET /v1/search", "action": "api:search"},
            {"match": "POST /v1/search", "action": "api:search"},
            {"match": "DELETE /v1/items/{id}", "action": "api:delete"},
            {"match": "GET /v1/items/{id}", "action": "api:get"},
            {"match": "POST /v1/export", "action": "api:export", "cost_cents": 50},
            {
                "match": "POST /v1/orders",
                "action": "shop:purchase",
                "cost_cents": "body:/cents",
                "amount": "body:/amount",
                "vendor": "body:/vendor",
                "require": ["amount"],
            },
            {
                "match": "GET /v1/fetch",
                "action": "web:fetch",
                "domain": "query:url",
                "require": ["domain"],
            },
            {"match": "GET /v1/secret", "action": "admin:secret"},
            {"match": "GET /v1/premium", "action": "api:premium"},
            {"match": "GET /v1/unlisted", "action": "api:unlisted"},
            {"match": "ANY /public/**", "action": "public"},
        ]
    },
    "catalog": {"file": "catalog.json"},
    "anonymous": {
        "enabled": True,
        "allowed_actions": ["public", "api:premium", "api:unlisted"],
        "rate_limit_per_minute": 2,
        "rate_limit_per_hour": 3,
    },
    "constraints": {
        "core:scope:path_blocklist": ["/v1/items/root"],
        "core:scope:domain_blocklist": [".internal.example"],
        "core:cost:max_cumulative": 1000,
    },
}
CATALOG = {
    "permissions": [
        {"key": "api:search"},
        {"key": "api:get"},
        {"key": "api:delete", "constraints": {"core:rate:max_per_day": 1}},
        {"key": "api:export", "constraints": {"core:pricing:per_call_cents": 7}},
        {"key": "api:premium", "constraints": {"core:pricing:per_call_cents": 5}},
        {"key": "shop:purchase", "min_trust_tier": "L2"},
        {"key": "web:fetch"},
        {"key": "admin:secret"},
        {"key": "public"},
    ]
}


PIN = {
    "version": 0,
    "content_hash": "sha256:" + sha256(rfc8785.dumps(CATALOG)).hexdigest(),
}


def passport(**claims: Any) -> str:
    """A passport of `iss_lab` for everything, with these changes."""
    return credential({"permissions": ["*"], **claims})


GOOD = passport()
SEARCH = {"method": "GET", "target": "/v1/search"}


def asked(method: str, target: str, token: str | None = GOOD, **more: Any) -> dict[str, Any]:
    """A request; `headers` are added to Host and the passport, `body` is its text."""
    headers = [HOST]
    if token is not None:
        headers.append(["Authorization", f"Passport {token}"])
    body = more.pop("body", None)
    if body is not None:
        headers += [JSON, ["Content-Length", str(len(body.encode()))]]
    headers += more.pop("headers", [])
    request = {"method": method, "target": target, "headers": headers}
    if body is not None:
        request["body"] = body
    return {**request, **more}


def search(token: str | None = GOOD, **more: Any) -> dict[str, Any]:
    return asked("GET", "/v1/search", token, **more)


def order(token: str, **members: Any) -> dict[str, Any]:
    return asked("POST", "/v1/orders", token, body=json.dumps(members))


def allowed(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "expect": {"decision": "allow"}}


def refused(request: dict[str, Any], code: str, constraint: str = "") -> dict[str, Any]:
    expect = {"decision": "block", "code": code}
    if constraint:
        expect["constraint"] = constraint
    return {**request, "expect": expect}


def held(request: dict[str, Any], constraint: str) -> dict[str, Any]:
    return {
        **request,
        "expect": {
            "decision": "request_hold",
            "code": "approval_required",
            "constraint": constraint,
        },
    }


def vector(title: str, *requests: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "requests": list(requests)}


def reading() -> list[dict[str, Any]]:
    two_hosts = search(headers=[["Host", "internal.example"]])
    both = asked(
        "POST",
        "/v1/search",
        headers=[["Content-Length", "5"], ["Transfer-Encoding", "chunked"]],
    )
    return [
        vector("A good passport for what it permits passes", allowed(search())),
        vector(
            "A second Host cannot send the request elsewhere",
            refused(two_hosts, "request_malformed"),
        ),
        vector(
            "A length beside chunks cannot smuggle a second request",
            refused(both, "request_malformed"),
        ),
        vector(
            "Two dots cannot walk out of the path that was judged",
            refused(asked("GET", "/v1/search/../secret"), "request_malformed"),
            refused(asked("GET", "/v1/search/%2e%2e/secret"), "request_malformed"),
            refused(asked("GET", "/v1/search/..;x/secret"), "request_malformed"),
        ),
        vector(
            "An encoded slash cannot hide a segment",
            refused(asked("GET", "/v1%2fsecret"), "request_malformed"),
            refused(asked("GET", "/v1%5csecret"), "request_malformed"),
        ),
        vector(
            "An escaped letter cannot dodge a route",
            refused(
                asked("GET", "/v1/%73ecret", passport(permissions=["api:*"])), "permission_denied"
            ),
        ),
        vector(
            "A parameter after a semicolon cannot make a path look like another",
            refused(asked("GET", "/v1/secret;x=1"), "request_malformed"),
        ),
        vector(
            "Another letter case is another path, and no known action",
            refused(asked("GET", "/V1/search"), "action_unknown"),
        ),
        vector(
            "A method in lower case cannot pass for the known one",
            refused(asked("get", "/v1/search"), "request_malformed"),
        ),
        vector(
            "TRACE and CONNECT are never forwarded",
            *(
                refused(asked(method, "/v1/search"), "request_malformed")
                for method in ("TRACE", "CONNECT")
            ),
        ),
        vector(
            "Naming another host in the target cannot override Host",
            refused(asked("GET", "http://internal.example/v1/search"), "request_malformed"),
            allowed(asked("GET", "http://api.example/v1/search")),
        ),
        vector(
            "Connection cannot take from the upstream what was judged",
            refused(search(headers=[["Connection", "Content-Type"], JSON]), "request_malformed"),
        ),
        vector(
            "What no route names is no action, whatever a passport permits",
            refused(asked("GET", "/v2"), "action_unknown"),
            refused(asked("PUT", "/v1/search"), "action_unknown"),
        ),
    ]


def presenting() -> list[dict[str, Any]]:
    header, payload, _ = GOOD.split(".")
    tail = credential().rpartition(".")[2]
    unsigned = b64(compact_json({"alg": "none", "kid": "key-1"}))
    confused = b64(compact_json({"alg": "HS256", "kid": "key-1"}))
    return [
        vector(
            "Without a passport only the anonymous tier is open",
            refused(search(None), "passport_missing"),
            allowed(asked("GET", "/public/a", None)),
        ),
        vector(
            "A bad passport does not become anonymous where anonymous requests pass",
            refused(asked("GET", "/public/a", "x.y.z"), "passport_malformed"),
            refused(asked("GET", "/public/a", ""), "passport_malformed"),
            refused(asked("GET", "/public/a", passport(exp=AT - 60)), "passport_expired"),
        ),
        vector(
            "What belongs to a passport keeps a request from being anonymous",
            refused(
                asked("GET", "/public/a", None, headers=[["X-Modei-Passport-ID", "x"]]),
                "passport_unknown",
            ),
            *(
                refused(asked("GET", "/public/a", None, headers=[[name, "x"]]), "passport_missing")
                for name in ("X-Agent-Passport-Chain", "DPoP")
            ),
        ),
        vector(
            "Of two different passports none is chosen",
            refused(
                search(headers=[["X-Agent-Passport", passport(jti="pass_b")]]), "passport_ambiguous"
            ),
            allowed(search(headers=[["X-Agent-Passport", GOOD]])),
        ),
        vector(
            "A passport in another scheme is not read past",
            refused(search(None, headers=[["Authorization", f"DPoP {GOOD}"]]), "proof_missing"),
            refused(
                search(None, headers=[["Authorization", f"Bearer {GOOD}"]]), "passport_missing"
            ),
        ),
        vector(
            "A passport without a signature says nothing",
            refused(search(f"{unsigned}.{payload}."), "passport_malformed"),
            refused(search(f"{unsigned}.{payload}.{'A' * 86}"), "passport_unsupported"),
        ),
        vector(
            "The public key is no shared secret to sign with",
            refused(search(f"{confused}.{payload}.{'A' * 86}"), "passport_unsupported"),
        ),
        vector(
            "A claim changed after signing breaks the signature",
            refused(
                search(f"{header}.{b64(compact_json({**CLAIMS, 'permissions': ['*']}))}.{tail}"),
                "signature_invalid",
            ),
        ),
        vector(
            "A header that brings its own key is refused",
            refused(
                search(
                    credential({"permissions": ["*"]}, {"jwk": _jwks(("k", OTHER_SEED))["keys"][0]})
                ),
                "passport_unsupported",
            ),
        ),
        vector(
            "A key of one's own under an issuer's name does not verify",
            refused(
                search(credential({"permissions": ["*"]}, seed=OTHER_SEED)), "signature_invalid"
            ),
        ),
        vector(
            "An issuer that nobody listed is not believed",
            refused(search(passport(iss="iss_mine")), "issuer_unknown"),
            refused(search(passport(iss=SELF_ISSUER)), "issuer_unknown"),
        ),
        vector(
            "A key that the issuer does not have is not asked for",
            refused(search(credential({"permissions": ["*"]}, {"kid": "key-9"})), "key_unknown"),
        ),
        vector(
            "A revocation list cannot be presented as a passport",
            refused(search(REVOCATIONS["iss_lab"]), "passport_malformed"),
        ),
        vector(
            "A claim that nobody enforces is not read over",
            *(
                refused(search(passport(**{name: value})), "passport_unsupported")
                for name, value in (
                    ("act", {"sub": "agent-8"}),
                    ("status", {"assertion": {}}),
                    ("only_on_mondays", True),
                )
            ),
        ),
    ]


def standing() -> list[dict[str, Any]]:
    return [
        vector(
            "An expired passport is refused once the skew has passed",
            allowed(search(passport(exp=AT - 29))),
            refused(search(passport(exp=AT - 30)), "passport_expired"),
        ),
        vector(
            "A passport for later is not valid now",
            refused(search(passport(nbf=AT + 31)), "passport_not_yet_valid"),
            refused(search(passport(iat=AT + 31)), "passport_not_yet_valid"),
        ),
        vector(
            "A passport that lives longer than the gate accepts is refused while it is young",
            refused(search(passport(iat=AT, exp=AT + 90 * 86_400 + 1)), "passport_lifetime"),
        ),
        vector(
            "A passport for another gate does not open this one",
            refused(search(passport(aud="gate_other")), "audience_mismatch"),
            allowed(search(passport(aud=["gate_other", "https://api.example"]))),
        ),
        vector(
            "Revoking a passport, an agent or a key revokes it",
            refused(search(passport(jti="pass_gone")), "passport_revoked"),
            refused(search(passport(sub="agent-gone")), "passport_revoked"),
            refused(
                search(credential({"permissions": ["*"]}, {"kid": "key-2"}, OTHER_SEED)),
                "passport_revoked",
            ),
        ),
        vector(
            "One issuer cannot revoke another's passports",
            allowed(search(passport(iss="iss_small", jti="pass_gone", permissions=["api:*"]))),
        ),
        vector(
            "A revoked issuer takes all of its passports along",
            refused(search(passport(iss="iss_closed")), "issuer_revoked"),
        ),
        vector(
            "Trust that was not renewed refuses, whoever keeps the gate from renewing it",
            refused(search(passport(exp=AT + 9_000), at=AT + 3_601, read_at=AT), "trust_stale"),
        ),
        vector(
            "What the operator has stopped is refused, whoever vouches for it",
            refused(search(kills=[{"kind": "agent", "id": CLAIMS["sub"]}]), "killed"),
            refused(search(kills=[{"kind": "passport", "id": CLAIMS["jti"]}]), "killed"),
            refused(search(kills=[{"kind": "issuer", "id": "iss_lab"}]), "killed"),
            refused(search(kills=[{"kind": "action", "id": "api:*"}]), "killed"),
            refused(search(kills=[{"kind": "all"}]), "killed"),
            refused(asked("GET", "/public/x", None, kills=[{"kind": "all"}]), "killed"),
            allowed(search()),
        ),
        vector(
            "Stopping an agent of one issuer leaves its namesake of another alone",
            allowed(search(kills=[{"kind": "agent", "id": CLAIMS["sub"], "issuer": "iss_small"}])),
            refused(
                search(kills=[{"kind": "agent", "id": CLAIMS["sub"], "issuer": "iss_lab"}]),
                "killed",
            ),
        ),
        vector(
            "Who delegated is stopped with everyone below, and a child alone",
            *(
                refused(search(chains.below(chains.root()), kills=[order]), "killed")
                for order in (
                    {"kind": "agent", "id": "agent-7"},
                    {"kind": "agent", "id": "agent-7/a"},
                    {"kind": "passport", "id": "pass_root"},
                    {"kind": "passport", "id": "pass_root/pass_a", "issuer": "iss_lab"},
                )
            ),
            allowed(
                search(chains.below(chains.root()), kills=[{"kind": "agent", "id": "agent-7/b"}])
            ),
        ),
        vector(
            "A pin to another catalog is not this one",
            refused(
                search(
                    passport(catalogs={"gate_lab": {"version": 1, "content_hash": "sha256:00"}})
                ),
                "catalog_mismatch",
            ),
            allowed(
                search(
                    passport(catalogs={"gate_else": {"version": 1, "content_hash": "sha256:00"}})
                )
            ),
        ),
        vector(
            "A route that the catalog leaves out is not on offer",
            refused(asked("GET", "/v1/unlisted"), "action_not_in_catalog"),
            refused(asked("GET", "/v1/unlisted", None), "action_not_in_catalog"),
        ),
        vector(
            "A low tier does not reach what is offered to a higher one",
            refused(
                order(passport(iss="iss_small"), amount=1),
                "constraint_violated",
                "min_trust_tier",
            ),
        ),
    ]


def permitted() -> list[dict[str, Any]]:
    grant = {
        "resource": "shop",
        "allowedActions": ["purchase"],
        "maxAmount": 7.42,
        "allowedVendors": ["acme"],
    }
    granted = passport(grants=[grant])
    return [
        vector(
            "A permission for a namespace is not one for its neighbours",
            refused(
                asked("GET", "/v1/secret", passport(permissions=["api:*"])), "permission_denied"
            ),
            refused(search(passport(permissions=["api:sea:*", "api:"])), "permission_denied"),
            refused(search(passport(permissions=[])), "permission_denied"),
        ),
        vector(
            "An issuer cannot grant more than the gate lets it",
            refused(asked("GET", "/v1/secret", passport(iss="iss_small")), "permission_denied"),
        ),
        vector(
            "A grant that blocks wins over every other that allows",
            refused(
                search(
                    passport(
                        grants=[
                            {"resource": "api", "allowedActions": ["search"]},
                            {
                                "resource": "x",
                                "blockedActions": ["search"],
                                "expiresAt": "2020-01-01T00:00:00Z",
                            },
                        ]
                    )
                ),
                "action_blocked",
            ),
        ),
        vector(
            "A grant that has expired allows nothing any more",
            refused(
                order(passport(grants=[{**grant, "expiresAt": "2027-01-01T00:00:00Z"}]), amount=1),
                "permission_denied",
            ),
        ),
        vector(
            "A grant's limit is exact to the last digit",
            allowed(order(granted, amount=7.42, vendor="acme")),
            refused(
                order(granted, amount=7.420001, vendor="acme"), "constraint_violated", "grants"
            ),
            refused(order(granted, amount=1, vendor="evil"), "constraint_violated", "grants"),
            refused(order(granted, amount=1), "constraint_violated", "grants"),
        ),
        vector(
            "An amount named twice is not judged by the smaller one",
            refused(
                asked("POST", "/v1/orders", body='{"amount": 1, "amount": 999}'),
                "request_malformed",
            ),
        ),
        vector(
            "An amount that readers take differently is none",
            *(
                refused(
                    asked("POST", "/v1/orders", body=f'{{"amount": {text}}}'), "request_malformed"
                )
                for text in (
                    "1e3",
                    "-1",
                    "NaN",
                    '"0x10"',
                    "1_000",
                    "9999999999999999999",
                    "[1]",
                    "null",
                )
            ),
        ),
        vector(
            "What must be declared cannot be left out",
            refused(asked("POST", "/v1/orders", body="{}"), "request_malformed"),
            refused(asked("GET", "/v1/fetch"), "request_malformed"),
            refused(asked("GET", "/v1/fetch?url=a.example&url=b.example"), "request_malformed"),
        ),
        vector(
            "A body in another coding than the judge reads is not forwarded unread",
            refused(
                asked(
                    "POST",
                    "/v1/orders",
                    body='{"amount": 1}',
                    headers=[["Content-Encoding", "gzip"]],
                ),
                "request_malformed",
            ),
        ),
    ]


def delegated() -> list[dict[str, Any]]:
    once = chains.root(constraints={"core:rate:max_per_minute": 1})
    dear = chains.root(constraints={"core:cost:max_cumulative": 100})
    tight = {"permission_key": "api:*", "constraints": {"core:rate:max_per_minute": 2}}
    of_entry = chains.root(permissions=[tight])
    first = chains.below(dear, permissions=["api:*"])
    second = chains.below(dear, sub="agent-7/b", jti="pass_b", permissions=["api:*"])
    export = ("POST", "/v1/export")
    return [
        *(
            vector(f"Below another passport it passes: {title}", allowed(search(token)))
            for title, token in chains.allowed_chains().items()
        ),
        *(
            vector(f"Refused below another passport, and so: {title}", refused(search(token), code))
            for title, (code, token) in chains.refused_chains().items()
        ),
        vector(
            "A child cannot pin itself out of its parent's terms",
            refused(
                search(
                    chains.below(
                        chains.root(catalogs={"gate_lab": {**PIN, "version": 9}}),
                        catalogs={"gate_lab": PIN},
                    )
                ),
                "catalog_mismatch",
            ),
            allowed(search(chains.below(chains.root(), catalogs={"gate_lab": PIN}))),
        ),
        vector(
            "A child owes its parent's limit, and so do two of them together",
            allowed(search(chains.below(once))),
            refused(
                search(chains.below(once, sub="agent-7/b", jti="pass_b")),
                "rate_limited",
                "core:rate:max_per_minute",
            ),
        ),
        vector(
            "A child's looser limit does not loosen its parent's",
            allowed(search(chains.below(once, constraints={"core:rate:max_per_minute": 9}))),
            refused(
                search(chains.below(once, constraints={"core:rate:max_per_minute": 9})),
                "rate_limited",
                "core:rate:max_per_minute",
            ),
        ),
        vector(
            "What children spend is spent of their parent's budget",
            allowed(asked(*export, first)),
            allowed(asked(*export, second)),
            refused(asked(*export, first), "budget_exhausted", "core:cost:max_cumulative"),
        ),
        vector(
            "The limit of a parent's permission is owed by who uses that permission",
            allowed(search(chains.below(of_entry))),
            allowed(search(chains.below(of_entry))),
            refused(search(chains.below(of_entry)), "rate_limited", "core:rate:max_per_minute"),
        ),
        vector(
            "A parent's grant that asks for a person holds its children",
            held(
                search(
                    chains.below(
                        chains.root(grants=[{"resource": "api", "requiresApproval": True}])
                    )
                ),
                "grants",
            ),
        ),
    ]


def proven() -> list[dict[str, Any]]:
    bound = passport(cnf={"jwk": jwk_of(OTHER_KEY)})
    good = ["DPoP", proof(bound)]

    def shown(*headers: list[str], **more: Any) -> dict[str, Any]:
        presented = [["Authorization", f"DPoP {bound}"], *headers]
        return search(None, headers=presented, **more)

    return [
        vector(
            "A proof passes with its passport once, and is burnt by that",
            allowed(shown(good)),
            refused(shown(good), "proof_replayed"),
            allowed(shown(["DPoP", proof(bound, jti="proof-2")])),
        ),
        vector(
            "A thief of passport and proof cannot use them for another request",
            refused(
                asked(
                    "GET", "/v1/secret", None, headers=[["Authorization", f"DPoP {bound}"], good]
                ),
                "proof_invalid",
            ),
            refused(
                asked(
                    "POST", "/v1/search", None, headers=[["Authorization", f"DPoP {bound}"], good]
                ),
                "proof_invalid",
            ),
            refused(shown(good, at=AT + 91), "proof_invalid"),
            refused(search(passport(jti="pass_b"), headers=[good]), "proof_invalid"),
        ),
        vector(
            "A thief of a bound passport cannot make a proof for it",
            refused(shown(), "proof_missing"),
            refused(search(bound), "proof_missing"),
            refused(shown(["DPoP", proof(bound, {"jwk": jwk_of(KEY)}, SEED)]), "proof_invalid"),
        ),
        vector(
            "A request that is refused for something else does not burn its proof",
            refused(
                asked(
                    "GET",
                    "/v1/items/root",
                    None,
                    headers=[
                        ["Authorization", f"DPoP {bound}"],
                        ["DPoP", proof(bound, htu="http://api.example/v1/items/root")],
                    ],
                ),
                "constraint_violated",
                "core:scope:path_blocklist",
            ),
            allowed(shown(good)),
        ),
    ]


def limited() -> list[dict[str, Any]]:
    least = passport(constraints={"core:rate:max_per_minute": 1})
    entry = {
        "permission_key": "api:search",
        "constraints": {"core:scope:method_allowlist": ["POST"]},
    }
    budget = passport(constraints={"core:cost:max_cumulative": 100})
    agent = {"iss": "iss_small", "permissions": ["api:*"]}
    return [
        vector(
            "A constraint that this gate cannot enforce refuses, and is not skipped",
            refused(
                search(passport(constraints={"core:no:such": 1})),
                "constraint_unknown",
                "core:no:such",
            ),
        ),
        vector(
            "A wider entry does not loosen a narrower one that covers the same action",
            refused(
                search(passport(permissions=["*", entry])),
                "constraint_violated",
                "core:scope:method_allowlist",
            ),
        ),
        vector(
            "An allowlist in one place does not open what another place closes",
            refused(
                asked(
                    "GET",
                    "/v1/items/root",
                    passport(constraints={"core:scope:path_allowlist": ["/**"]}),
                ),
                "constraint_violated",
                "core:scope:path_blocklist",
            ),
            refused(
                asked("GET", "/v1/items/ROOT"), "constraint_violated", "core:scope:path_blocklist"
            ),
            refused(
                asked("GET", "/v1/items/root;v=1"),
                "constraint_violated",
                "core:scope:path_blocklist",
            ),
            allowed(asked("GET", "/v1/items/7")),
        ),
        vector(
            "A URL cannot hide the host it goes to",
            refused(
                asked("GET", "/v1/fetch?url=https://db.internal.example/x"),
                "constraint_violated",
                "core:scope:domain_blocklist",
            ),
            refused(
                asked("GET", "/v1/fetch?url=https://DB.INTERNAL.EXAMPLE./"),
                "constraint_violated",
                "core:scope:domain_blocklist",
            ),
            refused(
                asked("GET", "/v1/fetch?url=https://a.example@db.internal.example/"),
                "request_malformed",
            ),
            refused(asked("GET", "/v1/fetch?url=http://0x7f000001/"), "request_malformed"),
            allowed(asked("GET", "/v1/fetch?url=https://a.example/db.internal.example")),
        ),
        vector(
            "A forwarded address counts only from a trusted proxy",
            allowed(
                search(
                    passport(constraints={"core:scope:ip_allowlist": ["192.0.2.0/24"]}),
                    headers=[["X-Forwarded-For", "192.0.2.9"]],
                    peer="10.0.0.1",
                )
            ),
            refused(
                search(
                    passport(constraints={"core:scope:ip_allowlist": ["192.0.2.0/24"]}),
                    headers=[["X-Forwarded-For", "192.0.2.9"]],
                    peer="198.51.100.1",
                ),
                "constraint_violated",
                "core:scope:ip_allowlist",
            ),
        ),
        vector(
            "A method in another header does not make a write a read",
            refused(
                asked(
                    "POST",
                    "/v1/search",
                    passport(constraints={"core:data:read_only": True}),
                    headers=[["X-HTTP-Method-Override", "GET"]],
                ),
                "constraint_violated",
                "core:data:read_only",
            ),
        ),
        vector(
            "The limit itself passes, and one more does not",
            allowed(search(least)),
            refused(search(least), "rate_limited", "core:rate:max_per_minute"),
        ),
        vector(
            "A new passport does not reset what its agent has used up",
            allowed(search(passport(jti="pass_1", **agent))),
            allowed(search(passport(jti="pass_2", **agent))),
            refused(
                search(passport(jti="pass_3", **agent)), "rate_limited", "core:rate:max_per_minute"
            ),
            allowed(search(passport(jti="pass_3", **{**agent, "sub": "agent-8"}))),
        ),
        vector(
            "What another issuer calls the same agent is another agent",
            allowed(search(passport(**agent))),
            allowed(search(passport(**agent))),
            allowed(search(passport())),
        ),
        vector(
            "A budget is spent to the cent and not beyond",
            allowed(asked("POST", "/v1/export", budget)),
            allowed(asked("POST", "/v1/export", budget)),
            refused(
                asked("POST", "/v1/export", budget), "budget_exhausted", "core:cost:max_cumulative"
            ),
            allowed(search(budget)),
        ),
        vector(
            "A cost that the agent declares is held to the gate's budget too",
            refused(
                order(GOOD, amount=1, cents=1001), "budget_exhausted", "core:cost:max_cumulative"
            ),
            refused(order(GOOD, amount=1, cents=-5), "request_malformed"),
            refused(order(GOOD, amount=1, cents=0.5), "request_malformed"),
            allowed(order(GOOD, amount=1, cents=1000)),
        ),
        vector(
            "A refused request does not use up what others need",
            refused(
                asked(
                    "POST",
                    "/v1/export",
                    passport(
                        constraints={"core:rate:max_per_minute": 1, "core:cost:max_cumulative": 49}
                    ),
                ),
                "budget_exhausted",
                "core:cost:max_cumulative",
            ),
            allowed(
                search(
                    passport(
                        constraints={"core:rate:max_per_minute": 1, "core:cost:max_cumulative": 49}
                    )
                )
            ),
        ),
        vector(
            "The catalog's limit counts the agent, whatever its passports say",
            allowed(asked("DELETE", "/v1/items/7", passport(jti="pass_1"))),
            refused(
                asked("DELETE", "/v1/items/8", passport(jti="pass_2")),
                "rate_limited",
                "core:rate:max_per_day",
            ),
        ),
        vector(
            "What a person must approve does not pass on the word of the agent",
            held(
                search(passport(constraints={"core:approval:required": True})),
                "core:approval:required",
            ),
            held(
                asked(
                    "POST", "/v1/export", passport(constraints={"core:cost:approval_threshold": 49})
                ),
                "core:cost:approval_threshold",
            ),
            allowed(
                asked(
                    "POST", "/v1/export", passport(constraints={"core:cost:approval_threshold": 50})
                )
            ),
        ),
        vector(
            "An anonymous crowd behind one network shares one limit",
            allowed(asked("GET", "/public/a", None, peer="2001:db8::1")),
            allowed(asked("GET", "/public/a", None, peer="2001:db8::2")),
            refused(
                asked("GET", "/public/a", None, peer="2001:db8::3"),
                "rate_limited",
                "anonymous:rate_limit_per_minute",
            ),
            allowed(asked("GET", "/public/a", None, peer="2001:db8:0:1::1")),
        ),
        vector(
            "Nothing that costs anything is anonymous",
            refused(asked("GET", "/v1/premium", None), "passport_missing"),
            allowed(asked("GET", "/v1/premium")),
        ),
        vector(
            "The anonymous tier reads and does not write",
            refused(asked("POST", "/public/a", None), "passport_missing"),
            refused(
                asked("POST", "/public/a", None, headers=[["X-Method-Override", "GET"]]),
                "passport_missing",
            ),
        ),
    ]


def document() -> dict[str, Any]:
    return {
        "about": (
            "Requests against one gate and what it decides. `config` is its gate.yaml, `files` are "
            "the files that it names, `seeds` the Ed25519 private seeds in hex. `at` is Unix time; "
            "keys and lists were read at `read_at`, which is `at` where a request has none. "
            "`kills` are what the operator has stopped, each a `kind` with its `id` and `issuer`. "
            "The peer is 192.0.2.1 where a request names none. The requests of a vector share "
            "their counters."
        ),
        "at": AT,
        "config": CONFIG,
        "files": {
            "catalog.json": json.dumps(CATALOG),
            **{f"{name}.jwt": text for name, text in REVOCATIONS.items()},
        },
        "seeds": {
            "key-1": SEED.hex(),
            "key-2": OTHER_SEED.hex(),
            **{f"holder {name}": chains.seed_of(name).hex() for name in ("root", "a", "b")},
        },
        "vectors": [
            *reading(),
            *presenting(),
            *standing(),
            *delegated(),
            *proven(),
            *permitted(),
            *limited(),
        ],
    }


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
