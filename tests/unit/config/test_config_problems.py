"""Every problem of a gate.yaml is told at once, with its line and with what to do."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from passgate.config import load_config
from passgate.config.catalog_file import MAX_CATALOG_BYTES
from passgate.config.yaml_loader import MAX_BYTES
from passgate.errors import ConfigError

Problems = Callable[..., list[str]]
Load = Callable[..., Any]

# Each text stands over `upstream` and an issuer, in a file of its own; the sentence is the rest of
# the one problem that it makes.
HEAD = """\
upstream: {url: "http://127.0.0.1:8000"}
issuers: [{id: iss_lab, keys: "file:jwks.json", revocations: "file:revocations.jwt"}]
"""
ONE_PROBLEM = {
    "an unknown key with a near name": ("gatee: {}", "3: gatee is not a key: did you mean gate?"),
    "an unknown key in a section": (
        "listen:\n  adress: 127.0.0.1:80",
        "4: listen.adress is not a key: did you mean address?",
    ),
    "a key that belongs elsewhere": (
        "gate: {rotate: 1MiB}",
        "3: gate.rotate is not a key here: audit.rotate is one",
    ),
    "a key like no other": (
        "agent: {zzz: 1}",
        "3: agent.zzz is not a key: known here are prefix",
    ),
    "a constraint beside its section": (
        "constraints: {}\ncore:rate:max_per_minute: 5",
        "4: core:rate:max_per_minute is not a key: known here are gate, listen,",
    ),
    "no as a bool": (
        "passport: {accept_bearer: no}",
        "3: passport.accept_bearer must be true or false, not 'no'",
    ),
    "an octal number": (
        "limits: {headers: 014}",
        "3: limits.headers must be a whole number from 1 to 10000, not '014'",
    ),
    "a number in quotes": (
        "limits: {headers: '14'}",
        "3: limits.headers must be a whole number from 1 to 10000, not '14'",
    ),
    "a number as a text": (
        "gate: {id: 1234}",
        "3: gate.id must be an id of letters, digits, dot, hyphen, underscore: put the number",
    ),
    "a duration without unit": (
        "passport: {clock_skew: 30}",
        (
            "3: passport.clock_skew must be a duration such as 250ms, 30s, 5m, 1h or 7d, from "
            "0s to 120s: 30 has no unit"
        ),
    ),
    "too much clock skew": (
        "passport: {clock_skew: 121s}",
        (
            "3: passport.clock_skew must be a duration such as 250ms, 30s, 5m, 1h or 7d, from "
            "0s to 120s, not '121s'"
        ),
    ),
    "a decimal unit": (
        "limits: {body_bytes: 10MB}",
        "3: limits.body_bytes must be a size such as 64KiB, 1MiB or a number of bytes,",
    ),
    "null for a list": (
        "issuers:",
        "3: the key 'issuers' stands in line 2 already",
    ),
    "null where a limit stands": (
        "limits: {headers: null}",
        "3: limits.headers must be a whole number from 1 to 10000, not null",
    ),
    "a list for a scalar": (
        "gate:\n  id: [a]",
        "4: gate.id must be an id of letters, digits, dot, hyphen, underscore, not a list",
    ),
    "a section for a scalar": (
        "gate:\n  id: {a: b}",
        "4: gate.id must be an id of letters, digits, dot, hyphen, underscore, not a section",
    ),
    "a scalar for a section": ("gate: x", "3: gate must be a section"),
    "a scalar for a list": ("actions: {routes: x}", "3: actions.routes must be a list of sections"),
    "a scalar in a list of sections": (
        "actions:\n  routes:\n    - x",
        "5: actions.routes[0] must be a section",
    ),
    "a scalar for a list of texts": (
        "gate: {audience: x}",
        "3: gate.audience must be a list of audiences, not 'x'",
    ),
    "an item twice": (
        "gate:\n  audience:\n    - a\n    - a",
        "6: gate.audience[1] stands in this list already",
    ),
    "a list that must not be empty": (
        "passport: {headers: []}",
        "3: passport.headers must be a list of header names, with at least 1",
    ),
    "a compulsory key that is missing": (
        "actions:\n  routes:\n    - match: GET /",
        "5: actions.routes[0].action is compulsory: the action's key.",
    ),
    "a missing variable": (
        "gate:\n  name: ${NONE}",
        "4: the environment has no NONE: set it or write ${NONE:-default}",
    ),
    "a variable without quotes within braces": (
        "gate: {name: ${NONE}}",
        (
            "3: this is not YAML: while parsing a flow mapping expected ',' or '}', but got '{' "
            "(within { } and [ ] a value with ${...} needs quotes)"
        ),
    ),
    "a variable that is no number": (
        "limits: {headers: '${WORD}'}",
        "3: limits.headers must be a whole number from 1 to 10000, not '${WORD}'",
    ),
    "an empty variable for a list": (
        "gate: {audience: '${EMPTY}'}",
        "3: gate.audience must be a list of audiences, not '${EMPTY}'",
    ),
    "a variable with structure in it": (
        "gate: {audience: '${LIST}'}",
        "3: gate.audience must be a list of audiences, not '${LIST}'",
    ),
    "a secret in the file": (
        "admin: {token: s3cret}",
        "3: admin.token must be env:NAME or file:PATH: a secret is not written here",
    ),
    "a secret through a variable": (
        "admin: {token: '${SECRET}'}",
        "3: admin.token must be env:NAME or file:PATH: a secret is not written here",
    ),
    "a secret as a number": ("admin: {token: 12}", "3: admin.token must be env:NAME or file:PATH"),
    "a secret that is missing": (
        "admin: {metrics_token: env:NONE}",
        "3: admin.metrics_token cannot be read: the environment has no NONE",
    ),
    "a token without a role": (
        "admin: {tokens: {mia: {secret: 'file:secret'}}}",
        "3: admin.tokens.mia.role is compulsory: what it may do: viewer, approver or admin.",
    ),
    "a token with another role": (
        "admin: {tokens: {mia: {secret: 'file:secret', role: root}}}",
        "3: admin.tokens.mia.role must be viewer, approver or admin, not 'root'",
    ),
    "a token with an odd name": (
        "admin: {tokens: {'mia lee': {secret: 'file:secret', role: admin}}}",
        "3: admin.tokens.mia lee must have a name of letters, digits, . _ @ -, at most 64",
    ),
    "a token that is none": ("admin: {tokens: {mia: x}}", "3: admin.tokens.mia must be a section"),
    "tokens that are a list": (
        "admin: {tokens: []}",
        "3: admin.tokens must be a section with a name for each entry",
    ),
    "two tokens of one name": (
        "admin:\n  token: env:SECRET\n  tokens:\n    admin: {secret: 'file:secret', role: viewer}",
        "6: admin.tokens.admin has the name that admin.token has already",
    ),
    "two tokens of one secret": (
        "admin:\n  token: env:SECRET\n  metrics_token: env:SECRET",
        "5: admin.metrics_token holds the same secret as admin.token",
    ),
    "a network with host bits": (
        "listen: {trusted_proxies: [10.0.0.1/8]}",
        "3: listen.trusted_proxies[0] must be a network: write 10.0.0.0/8, or 10.0.0.1",
    ),
    "a name for a network": (
        "listen: {trusted_proxies: [proxy.internal]}",
        "3: listen.trusted_proxies[0] must be a network such as 10.0.0.0/8 or fd00::/8, an address",
    ),
    "a port alone": (
        "listen: {address: ':8080'}",
        "3: listen.address must name a host: write 127.0.0.1:8080, or 0.0.0.0:8080 for all",
    ),
    "one address for both listeners": (
        "listen: {address: 127.0.0.1:9901}",
        "1: admin.address is 127.0.0.1:9901, which is listen.address already",
    ),
    "the gate as its own upstream": (
        "listen: {address: 127.0.0.1:8000}",
        "1: upstream.url is http://127.0.0.1:8000, the gate itself",
    ),
    "a public URL with a query": (
        "listen: {public_url: 'https://a/?b'}",
        "3: listen.public_url must not hold a query",
    ),
    "a data directory that is a file": (
        "gate: {data_dir: cert.pem}",
        "3: gate.data_dir must be a directory, and cert.pem is none",
    ),
    "a certificate that is not there": (
        "listen:\n  tls:\n    cert: none.pem\n    key: key.pem",
        "5: listen.tls.cert names a file that is not there: none.pem",
    ),
    "a certificate without its key": (
        "listen:\n  tls: {cert: cert.pem}",
        "4: listen.tls.key is compulsory: PEM file of its private key.",
    ),
    "a key that is no key": (
        "listen:\n  tls: {cert: cert.pem, key: cert.pem}",
        "4: listen.tls.cert and key must be PEM files that fit together, the key not encrypted",
    ),
    "authorities that are none": (
        "listen:\n  tls: {cert: cert.pem, key: key.pem, client_ca: jwks.json}",
        "4: listen.tls.client_ca must be a PEM file with certificates",
    ),
    "client certificates that nobody would verify": (
        "listen:\n  tls: {cert: cert.pem, key: key.pem, client_auth: optional}",
        "4: listen.tls.client_auth needs client_ca: who would verify them?",
    ),
    "PROXY headers from anyone": (
        "listen: {proxy_protocol: v2}",
        "3: listen.proxy_protocol_from is compulsory with proxy_protocol: v2",
    ),
    "an issuer of self-issued passports": (
        "issuers: [{id: 'did:key:z6Mk', keys: 'file:jwks.json', revocations: 'file:jwks.json'}]",
        "3: the key 'issuers' stands in line 2 already",
    ),
    "a gate constraint that nothing enforces": (
        "constraints:\n  core:rate:max_per_hour: 5\n  core:rate:max_per_minit: 5",
        "5: constraints: core:rate:max_per_minit: no such constraint in this version; did you mean",
    ),
    "a gate constraint with a bad value": (
        "constraints:\n  core:rate:max_per_hour: many",
        "4: constraints: core:rate:max_per_hour: must be a whole number",
    ),
    "constraints that are a list": (
        "constraints: [core:rate:max_per_hour]",
        "3: constraints must be a section of constraints, not a list",
    ),
    "a header that passports are not read from": (
        "passport: {headers: [X-Agent-Passport, X-Token]}",
        "3: passport.headers[1] is not usable: passports are read from",
    ),
    "a header that cannot be passed": (
        "upstream: {}",
        "3: the key 'upstream' stands in line 1 already",
    ),
    "a route that is none": (
        "actions: {routes: [{match: /v1, action: a}]}",
        "3: actions.routes[0].match must be a method and a path such as GET /v1/items/{id}",
    ),
    "a route with a method in lower case": (
        "actions: {routes: [{match: get /v1, action: a}]}",
        "3: actions.routes[0].match is not usable: methods are case-sensitive: write GET",
    ),
    "an action that is a pattern": (
        "actions: {routes: [{match: GET /v1, action: 'a:*'}]}",
        "3: actions.routes[0].action must be the key of an action such as api:search, not 'a:*'",
    ),
    "a source that is none": (
        "actions: {routes: [{match: GET /v1, action: a, vendor: 'cookie:v'}]}",
        "3: actions.routes[0].vendor is not usable: 'cookie:v' is no source: write header:NAME,",
    ),
    "a source that the upstream never sees": (
        "actions: {routes: [{match: GET /v1, action: a, vendor: 'header:X-Passport-Id'}]}",
        "3: actions.routes[0].vendor is not usable: the header X-Passport-Id never reaches",
    ),
    "a fact required without a source": (
        "actions: {routes: [{match: GET /v1, action: a, require: [amount]}]}",
        "3: actions.routes[0].match is not usable: require names amount, and the route has no",
    ),
    "a negative cost": (
        "actions: {routes: [{match: GET /v1, action: a, cost_cents: -1}]}",
        "3: actions.routes[0].cost_cents must be a number of cents, or a source",
    ),
    "a route that is never reached": (
        (
            "actions:\n  routes:\n    - {match: ANY /a/**, action: a}\n"
            "    - {match: GET /b, action: b}\n    - {match: GET /a/b, action: c}"
        ),
        "7: actions.routes[2].match is never reached: ANY /a/** in line 5 matches first",
    ),
    "anonymous permissions that are none": (
        "anonymous: {allowed_actions: ['a*']}",
        "3: anonymous.allowed_actions[0] must be an action such as api:search, a prefix",
    ),
    "a link that would break a header": (
        "anonymous: {upgrade_url: 'https://a/\"b'}",
        "3: anonymous.upgrade_url must not hold quotes or angle brackets: it is sent in headers",
    ),
    "a message of two lines": (
        'anonymous: {upgrade_message: "a\\nb"}',
        "3: anonymous.upgrade_message must be a text in one line, not 'a\\nb'",
    ),
}
ENVIRON = {
    "WORD": "many",
    "EMPTY": "",
    "LIST": "[a, b]",
    "SECRET": "a s3cret of some length",
}


@pytest.mark.parametrize(("text", "sentence"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_each_kind_of_problem_is_told(problems_of: Problems, text: str, sentence: str) -> None:
    """One fault is one problem, at its line, in its words; no secret is in them."""
    found = problems_of(HEAD + text + "\n", ENVIRON)
    assert len(found) == 1, found
    assert found[0].startswith(f"gate.yaml:{sentence}")
    assert "s3cret" not in found[0]


LISTEN = {
    "networks before a Unix socket": (
        {"address": "unix:gate.sock", "proxy_protocol_from": ["10.0.0.0/8"]},
        "listen.proxy_protocol_from lets nobody in: whoever connects to a Unix socket is unix",
    ),
    "a Unix socket that is not listened on": (
        {"address": "0.0.0.0:8080", "proxy_protocol_from": ["unix"]},
        "listen.proxy_protocol_from lets nobody in: 0.0.0.0:8080 is no Unix socket",
    ),
}


@pytest.mark.parametrize(("listen", "sentence"), LISTEN.values(), ids=LISTEN)
def test_senders_of_proxy_headers_can_connect(
    listen: dict[str, Any], sentence: str, problems_of: Problems
) -> None:
    """A listener that would close every connection is refused beforehand."""
    found = problems_of(HEAD + json.dumps({"listen": listen | {"proxy_protocol": "v2"}})[1:-1])
    assert len(found) == 1, found
    assert found[0].startswith(f"gate.yaml:3: {sentence}")


UPSTREAM = {
    "no url": ({}, "upstream.url is compulsory: its URL, without a path, or unix:PATH"),
    "no url in a list": ({"urls": []}, "upstream.url is compulsory: its URL"),
    "a url and a list": (
        {"url": "http://a", "urls": ["http://b"]},
        "upstream.urls stands beside upstream.url: give one of the two",
    ),
    "two schemes": (
        {"urls": ["https://a", "http://b"]},
        "upstream.urls[1] must be https: as the first one is",
    ),
    "a server twice": (
        {"urls": ["http://a", "http://A:80/"]},
        "upstream.urls[1] stands in this list already",
    ),
    "a path in a list": (
        {"urls": ["http://a", "http://b/v1"]},
        "upstream.urls[1] must not hold a path or query: requests are forwarded as they are",
    ),
    "the gate itself in a list": (
        {"urls": ["http://a", "http://127.0.0.1:8080"]},
        "upstream.urls[1] is http://127.0.0.1:8080, the gate itself",
    ),
    "TLS to http in a list": (
        {"urls": ["http://a", "http://b"], "tls": {}},
        "upstream.tls needs an https:// upstream.urls[0]",
    ),
    "assertions for nobody": (
        {"url": "http://a", "assertion_audience": "api"},
        "upstream.assertion_audience is of assertions, and upstream.assertion is none",
    ),
    "assertions for several": (
        {"urls": ["http://a", "http://b"], "assertion": "jwt"},
        "upstream.assertion_audience is compulsory with upstream.urls",
    ),
    "another rule of balancing": (
        {"url": "http://a", "balance": "random"},
        "upstream.balance must be least_connections or round_robin",
    ),
    "names asked for all the time": (
        {"url": "http://a", "dns_refresh": "100ms"},
        "upstream.dns_refresh must be a duration",
    ),
    "out for longer than the longest": (
        {"url": "http://a", "health": {"ejection": "1m"}},
        "upstream.health.ejection must leave ejection no longer than max_ejection",
    ),
    "out for shorter than the shortest": (
        {"url": "http://a", "health": {"max_ejection": "500ms"}},
        "upstream.health.max_ejection must leave ejection no longer than max_ejection",
    ),
    "a user": ({"url": "http://u:pw@h"}, "upstream.url must not hold a user or password"),
    "a path": (
        {"url": "http://h/v1"},
        "upstream.url must not hold a path or query: requests are forwarded as they are",
    ),
    "several": (
        {"url": ["http://a", "http://b"]},
        "upstream.url must be one URL: several of them are upstream.urls",
    ),
    "TLS to http": ({"url": "http://h", "tls": {}}, "upstream.tls needs an https:// upstream.url"),
    "a certificate without key": (
        {"url": "https://h", "tls": {"cert": "cert.pem"}},
        "upstream.tls needs cert and key together",
    ),
    "a key of another kind": (
        {"url": "https://h", "tls": {"cert": "cert.pem", "key": "jwks.json"}},
        "upstream.tls.cert and key must be PEM files that fit together, the key not encrypted",
    ),
    "no authorities": (
        {"url": "https://h", "tls": {"ca": "jwks.json"}},
        "upstream.tls.ca must be a PEM file with certificates",
    ),
    "verification off": (
        {"url": "https://h", "tls": {"verify": False}},
        "upstream.tls.verify false is refused: this version does not have a way to turn",
    ),
    "a header to pass that always passes": (
        {"url": "http://h", "pass_headers": ["X-Original-URL", "Accept"]},
        "upstream.pass_headers[1] is not usable: 'Accept' is no header that the gate drops",
    ),
    "a passport header to pass": (
        {"url": "http://h", "pass_headers": ["X-Passport-Id"]},
        "upstream.pass_headers[0] is not usable: 'X-Passport-Id' is no header that the gate drops",
    ),
}


@pytest.mark.parametrize(("upstream", "sentence"), UPSTREAM.values(), ids=UPSTREAM)
def test_each_problem_of_the_upstream_is_told(
    problems_of: Problems, issuer: Mapping[str, Any], upstream: object, sentence: str
) -> None:
    """What could not be forwarded to, or not safely, is refused."""
    text = f"issuers: [{json.dumps(issuer)}]\nupstream: {json.dumps(upstream)}\n"
    found = problems_of(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"gate.yaml:2: {sentence}")


ISSUERS = {
    "no list in L2": (
        {"revocations": None},
        "issuers[0].revocations is compulsory in profile L2: name the issuer's list",
    ),
    "a self-issued id": (
        {"id": "did:key:z6Mk"},
        "issuers[0].id is one of self-issued passports, which are not listed",
    ),
    "an id with a control character": (
        {"id": "a\x7fb"},
        "issuers[0].id must be a name of printable characters, not 'a\\x7fb'",
    ),
    "an id that is too long": ({"id": "x" * 257}, "issuers[0].id must be at most 256 bytes long"),
    "keys over plain HTTP": (
        {"keys": "http://keys.example/jwks.json"},
        "issuers[0].keys must be https:// (or set insecure_http: true)",
    ),
    "an OpenID issuer over plain HTTP": (
        {"keys": "oidc:http://issuer.example"},
        "issuers[0].keys must be https:// (or set insecure_http: true)",
    ),
    "an OpenID issuer with a query": (
        {"keys": "oidc:https://issuer.example?a"},
        "issuers[0].keys must be oidc: and the URL of an OpenID issuer, without query",
    ),
    "an OpenID issuer that is no URL": (
        {"keys": "oidc:issuer.example"},
        "issuers[0].keys must be a URL that begins with",
    ),
    "a DID of another method": (
        {"keys": "did:key:z6Mk"},
        "issuers[0].keys must be did:web:HOST or did:web:HOST%3APORT",
    ),
    "a list from an OpenID issuer": (
        {"revocations": "oidc:https://issuer.example"},
        "issuers[0].revocations must be a URL that begins with",
    ),
    "an origin of keys that are elsewhere anyway": (
        {"keys_origin": "https://keys.example"},
        "issuers[0].keys_origin is for keys: oidc:... alone",
    ),
    "an origin over plain HTTP": (
        {"keys": "oidc:https://issuer.example", "keys_origin": "http://keys.example"},
        "issuers[0].keys_origin must be https:// (or set insecure_http: true)",
    ),
    "an origin that is a URL": (
        {"keys": "oidc:https://issuer.example", "keys_origin": "https://keys.example/jwks"},
        "issuers[0].keys_origin must be an origin: scheme, host and port alone",
    ),
    "a list over plain HTTP": (
        {"revocations": "http://10.0.0.1/list"},
        "issuers[0].revocations must be https:// (or set insecure_http: true)",
    ),
    "a path without file:": (
        {"keys": "jwks.json"},
        "issuers[0].keys must begin with https:// or file: (is file:jwks.json meant?)",
    ),
    "another scheme": ({"keys": "ftp://x/y"}, "issuers[0].keys must be a URL that begins with"),
    "a file that is not there": (
        {"keys": "file:none.json"},
        "issuers[0].keys names a file that is not there: none.json",
    ),
    "a URL with a user": (
        {"keys": "https://u:s3cret@h/k"},
        "issuers[0].keys must not hold a user or password",
    ),
    "an inline list": (
        {"revocations": {"passport_ids": []}},
        "issuers[0].revocations must be https://..., file:PATH or bundle, not a section",
    ),
    "an inline key set that is none": (
        {"keys": {"kids": []}},
        "issuers[0].keys is not usable: ",
    ),
    "an empty key set": (
        {"keys": {"keys": []}},
        "issuers[0].keys is an empty key set: no passport could ever verify",
    ),
    "a refresh beyond max_stale": (
        {"refresh": "2h"},
        "issuers[0].refresh must leave refresh shorter than max_stale",
    ),
    "a max_stale below refresh": (
        {"max_stale": "60s"},
        "issuers[0].max_stale must leave refresh shorter than max_stale",
    ),
    "a constraint that nothing enforces": (
        {"constraints": {"core:time:max_ages": "1h"}},
        "issuers[0].constraints: core:time:max_ages: no such constraint in this version",
    ),
    "a permission that is none": (
        {"permissions": ["a:*:b"]},
        "issuers[0].permissions[0] must be an action such as api:search, a prefix such as api:*",
    ),
    "keys of nobody's bundle": (
        {"keys": "bundle"},
        "issuers[0].keys is bundle, and trust.bundle_keys says of no gate whose",
    ),
    "a list of nobody's bundle": (
        {"revocations": "bundle"},
        "issuers[0].revocations is bundle, and trust.bundle_keys says of no gate whose",
    ),
    "another tier": ({"tier": "L4"}, "issuers[0].tier must be L0, L1, L2 or L3, not 'L4'"),
}


@pytest.mark.parametrize(("over", "sentence"), ISSUERS.values(), ids=ISSUERS)
def test_each_problem_of_an_issuer_is_told(
    problems_of: Problems, issuer: dict[str, Any], over: dict[str, Any], sentence: str
) -> None:
    """What could not be trusted, or would never work, is refused."""
    entry = {key: value for key, value in (issuer | over).items() if value is not None}
    found = problems_of(
        f'upstream: {{url: "http://127.0.0.1:8000"}}\nissuers:\n  - {json.dumps(entry)}\n'
    )
    assert len(found) == 1, found
    assert found[0].startswith(f"gate.yaml:3: {sentence}")
    assert "s3cret" not in found[0]


def test_an_issuer_stands_once(problems_of: Problems, issuer: dict[str, Any]) -> None:
    """Two entries of one id would be two opinions on one issuer."""
    assert problems_of({"issuers": [issuer, issuer | {"tier": "L3"}]}) == [
        "gate.yaml:7: issuers[1].id iss_lab stands in line 4 already"
    ]


def test_somebody_must_be_able_to_call(problems_of: Problems, load: Load) -> None:
    """Without an issuer the anonymous tier must be on."""
    nobody = "issuers must have an entry, or anonymous.enabled be true: nobody could do anything"
    assert problems_of("upstream: {url: 'http://h'}\n") == [f"gate.yaml:1: {nobody}"]
    assert problems_of("upstream: {url: 'http://h'}\n\nissuers: []\n") == [f"gate.yaml:3: {nobody}"]
    anonymous = "upstream: {url: 'http://h'}\nanonymous: {enabled: true, allowed_actions: ['*']}\n"
    assert load(anonymous).config.issuers == ()


def test_plain_http_is_for_this_machine_or_on_the_operators_word(
    load: Load, issuer: dict[str, Any]
) -> None:
    """Loopback needs no word; anything else needs insecure_http, and is warned about."""
    local = issuer | {"keys": "http://localhost:1/k", "revocations": "http://[::1]:1/r"}
    assert load({"issuers": [local]}).warnings == ()
    far = issuer | {"keys": "http://keys.example/k", "insecure_http": True}
    (warning,) = load({"issuers": [far]}).warnings
    assert "issuers[0].keys is read without TLS: anyone between can forge it" in warning


def test_every_problem_is_told_at_once_in_order_of_lines(problems_of: Problems) -> None:
    """Problems of reading, of single keys and across keys stand together, sorted by line."""
    found = problems_of(
        "gate: {profile: L4}\n"
        "upstream: {url: 'http://h/v1', urll: x}\n"
        "issuers:\n"
        "  - {id: a, keys: file:none, refresh: 2h}\n"
        "limits: *x\n"
        "actions:\n"
        "  routes:\n"
        "    - {match: ANY /**, action: a}\n"
        "    - {match: GET /, action: b, vendor: '${NONE}'}\n"
        "    - {match: GET /, action: b}\n"
        "limits: {}\n"
    )
    assert [int(problem.split(":")[1]) for problem in found] == [1, 2, 2, 4, 4, 5, 9, 10, 11]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("text", ["- a\n", "text\n", "5\n"])
def test_a_file_that_is_no_section_is_told(problems_of: Problems, text: str) -> None:
    """A list or a text is no configuration."""
    assert problems_of(text) == [
        "gate.yaml:1: the file must hold keys such as upstream: and issuers:"
    ]


def test_an_empty_file_says_what_is_needed(problems_of: Problems) -> None:
    """Nothing is a configuration without its compulsory keys."""
    for text in ("", "# nothing\n", "null\n"):
        found = problems_of(text)
        assert found[0].startswith("gate.yaml:1: issuers must have an entry")
        assert found[1].startswith("gate.yaml:1: upstream.url is compulsory")


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A missing file and a directory are problems like any other."""
    with pytest.raises(ConfigError, match=r"none\.yaml:1: this file cannot be read: No such file"):
        load_config(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigError, match=":1: this file cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_problems_never_steer_a_terminal(problems_of: Problems, tmp_path: Path) -> None:
    """What the file holds is shown escaped, in one line."""
    (problem,) = problems_of(HEAD + 'gate: {id: "a\\e[2J\\nb"}\n')
    assert problem.isprintable()
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "none\x1b[2J.yaml", {})
    assert caught.value.problems[0].isprintable()


CATALOG = {
    "no YAML": ("permissions: [", "catalog.yaml:1: this is not YAML"),
    "an unknown member": ("actions: []", "catalog.yaml:1: a catalog is an object with"),
    "a list": ("- a", "catalog.yaml:1: a catalog is an object with"),
    "an entry without key": (
        "permissions:\n- {key: a}\n- {description: b}",
        "catalog.yaml:3: entry 2 of the catalog: `key` must name one action",
    ),
    "an entry that is none": (
        "permissions:\n- {key: a}\n- 5",
        "catalog.yaml:3: entry 2 of the catalog: it must be an object",
    ),
    "a constraint that nothing enforces": (
        "permissions:\n- key: a\n  constraints:\n    core:rate:max_per_minute: 5\n    core:x: 1",
        "catalog.yaml:5: core:x: no such constraint in this version",
    ),
    "a constraint with a bad value": (
        "permissions:\n- key: a\n  constraints:\n    core:rate:max_per_minute: no",
        "catalog.yaml:4: core:rate:max_per_minute: must be a whole number",
    ),
    "an alias": ("permissions: &x []\n", "catalog.yaml:1: anchors are not allowed: remove &x"),
}


@pytest.mark.parametrize(("text", "sentence"), CATALOG.values(), ids=CATALOG)
def test_a_problem_in_the_catalog_is_told_with_its_own_line(
    problems_of: Problems, place: Path, text: str, sentence: str
) -> None:
    """The catalog's file and line, beside the problems of gate.yaml."""
    (place / "catalog.yaml").write_text(text)
    found = problems_of(HEAD + "catalog: {file: catalog.yaml}\ngate: {id: ''}\n")
    assert found[0].startswith("gate.yaml:4: gate.id")
    assert len(found) == 2, found
    assert found[1].startswith(sentence)


def test_a_catalog_may_be_larger_than_a_configuration(
    load: Load, problems_of: Problems, place: Path
) -> None:
    """Up to its own limit, beyond which it is refused unread."""
    document = {"permissions": [{"key": "a", "description": "x" * (2 * MAX_BYTES)}]}
    (place / "catalog.json").write_text(json.dumps(document))
    assert load({"catalog": {"file": "catalog.json"}}).config.catalog.document == document

    (place / "catalog.json").write_bytes(b" " * (MAX_CATALOG_BYTES + 1))
    found = problems_of(HEAD + "catalog: {file: catalog.json}\n")
    assert found == ["catalog.json:1: the file is larger than 16384 KiB"]


def test_a_catalog_may_be_json_and_keeps_its_dollars(load: Load, place: Path) -> None:
    """A catalog is read as authored: JSON is fine, and ${VAR} means nothing in it."""
    document = {"permissions": [{"key": "a", "description": "costs ${PRICE}"}]}
    (place / "catalog.json").write_text(json.dumps(document))
    loaded = load({"catalog": {"file": "catalog.json"}}, {"PRICE": "5"})
    assert loaded.config.catalog.document == document


WARNINGS = {
    "a short token": (
        {"admin": {"token": "env:T"}},
        "admin.token is shorter than 16 characters: use a long random one",
    ),
    "an admin listener for everyone, without a token": (
        {"admin": {"address": "0.0.0.0:9901", "metrics_token": "env:LONG"}},
        "admin.address can be reached from outside, and no token is set",
    ),
    "metrics for everyone": (
        {"admin": {"address": "0.0.0.0:9901", "token": "env:LONG"}},
        "admin.address can be reached from outside, and shows metrics to anyone",
    ),
    "an anonymous tier behind an unknown proxy": (
        {
            "listen": {"address": "0.0.0.0:8080"},
            "anonymous": {"enabled": True, "allowed_actions": ["*"]},
            "actions": {"routes": [{"match": "GET /", "action": "a"}]},
        },
        "listen.trusted_proxies is empty: should a proxy stand before the gate, all behind it",
    ),
    "an anonymous tier on a socket": (
        {
            "listen": {"address": "unix:gate.sock"},
            "anonymous": {"enabled": True, "allowed_actions": ["*"]},
            "actions": {"routes": [{"match": "GET /", "action": "a"}]},
        },
        "listen.trusted_proxies is empty: should a proxy stand before the gate, all behind it",
    ),
    "senders of no header": (
        {"listen": {"proxy_protocol_from": ["unix"]}},
        "listen.proxy_protocol_from is of no use without proxy_protocol: v2",
    ),
    "PROXY headers from the whole world": (
        {"listen": {"proxy_protocol": "v2", "proxy_protocol_from": ["unix", "::/0"]}},
        "listen.proxy_protocol_from[1] lets anyone say which client they are",
    ),
    "an anonymous tier that allows nothing": (
        {"anonymous": {"enabled": True}},
        "anonymous.allowed_actions is empty, so anonymous requests may do nothing",
    ),
    "an anonymous action without a route": (
        {
            "anonymous": {"enabled": True, "allowed_actions": ["api:*", "public"]},
            "actions": {"routes": [{"match": "GET /", "action": "api:a"}]},
        },
        "anonymous.allowed_actions[1] public is the action of no route",
    ),
    "a cost that nobody states, to be lowered": (
        {
            "actions": {
                "routes": [
                    {"match": "GET /a", "action": "a", "cost_cents": 5, "cost_from_upstream": True},
                    {"match": "GET /b", "action": "b", "cost_from_upstream": True},
                ]
            }
        },
        "actions.routes[1].cost_from_upstream can lower nothing: neither the route nor a catalog",
    ),
    "a route without a catalog entry": (
        {
            "catalog": {"file": "catalog.yaml"},
            "actions": {
                "routes": [
                    {"match": "GET /a", "action": "api:search"},
                    {"match": "GET /b", "action": "api:other"},
                ]
            },
        },
        "actions.routes[1].action api:other is not in the catalog, so every request of this route",
    ),
    "a limit that another comes before": (
        {"limits": {"judged_body_bytes": "2MiB", "body_bytes": "1MiB"}},
        "limits.judged_body_bytes is above limits.body_bytes, which counts first",
    ),
    "a log that keeps less than a segment": (
        {"audit": {"keep": {"bytes": "1MiB"}}},
        "audit.keep.bytes is less than two segments of audit.rotate",
    ),
}


@pytest.mark.parametrize(("over", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_probably_not_meant_is_warned_about(
    load: Load, over: Mapping[str, Any], sentence: str
) -> None:
    """The configuration loads, and one warning says what may be wrong with it."""
    warnings = load(over, {"T": "short", "LONG": "a token of some length"}).warnings
    assert len(warnings) == 1, warnings
    assert sentence in warnings[0]
    assert "gate.yaml:" in warnings[0]


def test_a_secret_that_everyone_may_read_is_warned_about(load: Load, place: Path) -> None:
    """File permissions are part of a secret."""
    (place / "secret").chmod(0o644)
    (warning,) = load({"admin": {"token": "file:secret"}}).warnings
    assert "admin.token stands in a file that everyone may read: chmod 600 file:secret" in warning


def test_a_default_action_may_be_anonymous(load: Load) -> None:
    """With method_path an action of a method and a path needs no route."""
    over = {
        "actions": {"default": "method_path"},
        "anonymous": {"enabled": True, "allowed_actions": ["get:/v1/search", "*"]},
    }
    assert load(over).warnings == ()
