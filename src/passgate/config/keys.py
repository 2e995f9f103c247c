"""The one table of every key of gate.yaml; the loader, the JSON Schema and the documents read it.

A key that is not here is unknown and refused. A row that says what this version `lacks` is known,
and refused as far as its value would need that. Nothing is ever read and not enforced.
"""

from dataclasses import dataclass
from typing import Any, Final

from passgate.config.kinds import (
    A_BOOL,
    A_LIST_OF_SECTIONS,
    A_SECTION,
    A_SECTION_OR_NULL,
    CONSTRAINTS,
    NAMED_SECTIONS,
    Kind,
    a_list_of,
    choice,
    duration,
    or_null,
    size,
    text,
    whole_number,
)
from passgate.config.places import (
    A_COUNTER_SERVER_OR_NULL,
    A_DIRECTORY,
    A_FILE,
    A_HEADER,
    A_KEY_SOURCE,
    A_LEASE,
    A_LINK,
    A_NETWORK,
    A_PREFIX,
    A_PUBLIC_URL,
    A_SECRET,
    A_SOURCE,
    A_URL,
    AN_ADDRESS,
    AN_ORIGIN,
    AN_UPSTREAM,
    AN_UPSTREAM_OR_NULL,
    KEYS_OR_NULL,
)
from passgate.config.route_values import (
    A_COST,
    A_FACT_SOURCE,
    A_MATCH,
    A_PERMISSION,
    AN_ACTION,
)

COMPULSORY: Final = "(compulsory)"
"""The default of a key that must be given."""


@dataclass(frozen=True, slots=True)
class Key:
    """One row. `path` has `[]` for the entries of a list and `*` for a name the operator chooses.

    `default` is in the notation of gate.yaml. `doc` is one sentence for the reference page.
    `restart`: a change takes effect only when the gate starts anew; of a section that is whether it
    is there, for its keys have rows of their own. `lacks` completes "this version does not have
    ..."; `only` are then the values that need nothing of it, none meaning that the key is refused
    whatever it holds. Of a key and the one named by `instead`, which stands in the same section,
    exactly one is compulsory.
    """

    path: str
    kind: Kind
    default: Any
    doc: str
    restart: bool = False
    lacks: str = ""
    only: tuple[Any, ...] = ()
    instead: str = ""

    @property
    def refused(self) -> bool:
        """Whether this version takes no value at all for this key."""
        return bool(self.lacks) and not self.only


_A_NAME = text("a name of printable characters", r"[^\x00-\x1f\x7f-\x9f]+")
_AN_ID = text("an id of letters, digits, dot, hyphen, underscore", r"[A-Za-z0-9][A-Za-z0-9._-]*")
_A_SENTENCE = text("a text in one line", r"[^\x00-\x1f\x7f-\x9f]+", max_bytes=1024)
_A_HOST = text("a host name", r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ASSURANCE = whole_number(0, 3)
_MANY = 1_000_000_000
_TIMEOUT = duration("1ms", "1d")

KEYS: Final[tuple[Key, ...]] = (
    Key("gate", A_SECTION, {}, "The gate itself."),
    Key(
        "gate.id",
        _AN_ID,
        "gate",
        "The gate's id: passports may name it as audience, and its log and signatures carry it.",
        restart=True,
    ),
    Key("gate.name", or_null(_A_NAME), None, "A name for people; the id where there is none."),
    Key(
        "gate.profile",
        choice("L1", "L2", "L3"),
        "L2",
        "How much trust is asked: L1 any issuer listed, L2 also fresh revocations of each, L3 also "
        "a proof of possession with every request, and revocations no older than 60 s.",
    ),
    Key(
        "gate.audience",
        a_list_of(_A_NAME, "audiences"),
        [],
        "Other names of this gate that a passport's `aud` may hold.",
    ),
    Key(
        "gate.data_dir",
        A_DIRECTORY,
        "./passgate-data",
        "Where the gate keeps its key, log, counters and last good trust.",
        restart=True,
    ),
    Key(
        "gate.mode",
        choice("enforce", "observe"),
        "enforce",
        "What a refusal does: `enforce` refuses.",
        lacks="observe mode",
        only=("enforce",),
    ),
    Key("listen", A_SECTION, {}, "Where agents connect."),
    Key(
        "listen.address",
        AN_ADDRESS,
        "127.0.0.1:8080",
        "Address to listen on: HOST:PORT or unix:PATH; port 0 takes a free one.",
        restart=True,
    ),
    Key(
        "listen.public_url",
        or_null(A_PUBLIC_URL),
        None,
        "The URL that agents use, where it differs from the address.",
    ),
    Key(
        "listen.trusted_proxies",
        a_list_of(A_NETWORK, "networks"),
        [],
        "Proxies before the gate whose word on the client's address counts: networks, or `unix`.",
    ),
    Key(
        "listen.proxy_protocol",
        choice("none", "v2"),
        "none",
        "`v2`: every connection begins with a PROXY protocol header of version 2, before TLS.",
        restart=True,
    ),
    Key(
        "listen.proxy_protocol_from",
        a_list_of(A_NETWORK, "networks"),
        [],
        "Who may send that header, and nobody else may connect; compulsory with `v2`.",
    ),
    Key(
        "listen.http2",
        A_BOOL,
        True,
        "HTTP/2 beside HTTP/1.1: chosen within TLS (ALPN), by prior knowledge in clear text.",
        restart=True,
    ),
    Key("listen.tls", A_SECTION_OR_NULL, None, "TLS for agents.", restart=True),
    Key(
        "listen.tls.cert",
        A_FILE,
        COMPULSORY,
        "PEM file of the certificate chain; read again when it changes.",
    ),
    Key("listen.tls.key", A_FILE, COMPULSORY, "PEM file of its private key."),
    Key(
        "listen.tls.client_ca",
        or_null(A_FILE),
        None,
        "PEM file of authorities; with it clients must present a certificate of theirs.",
    ),
    Key(
        "listen.tls.client_auth",
        choice("required", "optional"),
        "required",
        "With `client_ca`: `optional` lets clients without any certificate in as well.",
    ),
    Key("admin", A_SECTION, {}, "The listener for operators."),
    Key(
        "admin.address",
        AN_ADDRESS,
        "127.0.0.1:9901",
        "Address of health, metrics and the API.",
        restart=True,
    ),
    Key(
        "admin.token",
        or_null(A_SECRET),
        None,
        "Bearer token of name and role `admin`; without any token everything under /api is off.",
        restart=True,
    ),
    Key("admin.tokens", NAMED_SECTIONS, {}, "More bearer tokens, by name.", restart=True),
    Key("admin.tokens.*.secret", A_SECRET, COMPULSORY, "The token.", restart=True),
    Key(
        "admin.tokens.*.role",
        choice("viewer", "approver", "admin"),
        COMPULSORY,
        "What it may do: viewer, approver or admin.",
        restart=True,
    ),
    Key(
        "admin.metrics_token",
        or_null(A_SECRET),
        None,
        "Bearer token that /metrics asks for; null leaves it open.",
        restart=True,
    ),
    Key("upstream", A_SECTION, {}, "The service behind the gate."),
    Key(
        "upstream.url",
        AN_UPSTREAM_OR_NULL,
        None,
        "Its URL, without a path, or unix:PATH; compulsory unless there are `urls`. Requests are "
        "forwarded as they came.",
        instead="urls",
    ),
    Key(
        "upstream.urls",
        a_list_of(AN_UPSTREAM, "URLs"),
        [],
        "Instead of `url`: the URLs of several servers that are all the same service.",
    ),
    Key(
        "upstream.http2",
        A_BOOL,
        False,
        "Ask it over HTTP/2 and nothing else, as gRPC servers need it: by ALPN within TLS, else by "
        "prior knowledge.",
    ),
    Key(
        "upstream.balance",
        choice("least_connections", "round_robin"),
        "least_connections",
        "Which of several addresses gets a request: the one with the fewest under way, or in turn.",
    ),
    Key(
        "upstream.dns_refresh",
        duration("1s", "1d"),
        "30s",
        "How long until a host name is resolved again, in the background.",
    ),
    Key("upstream.health", A_SECTION, {}, "When an address gets no requests for a while."),
    Key(
        "upstream.health.failures",
        whole_number(1, 1000),
        3,
        "Failures in a row that put an address out: no connection, no answer in time, none that "
        "could be used.",
    ),
    Key(
        "upstream.health.ejection",
        duration("10ms", "1h"),
        "1s",
        "How long it is out the first time; twice as long each time that it fails again.",
    ),
    Key(
        "upstream.health.max_ejection",
        duration("10ms", "1d"),
        "30s",
        "The longest that it is out.",
    ),
    Key(
        "upstream.connect_timeout",
        _TIMEOUT,
        "2s",
        "The longest wait for a connection.",
    ),
    Key(
        "upstream.first_byte_timeout",
        _TIMEOUT,
        "30s",
        "The longest wait from the end of a request to the answer's first byte.",
    ),
    Key(
        "upstream.idle_timeout",
        _TIMEOUT,
        "60s",
        "The longest silence in the middle of an answer or a tunnel.",
    ),
    Key(
        "upstream.max_connections",
        whole_number(1, 65536),
        256,
        "The most connections to the upstream at a time, to all its addresses together.",
    ),
    Key(
        "upstream.cut_on_revocation",
        A_BOOL,
        True,
        "Cut open streams when their passport is revoked or expires.",
    ),
    Key(
        "upstream.assertion",
        choice("none", "jwt"),
        "none",
        "`jwt` sends the upstream a signed statement of each decision, `X-Passport-Assertion`.",
    ),
    Key(
        "upstream.assertion_audience",
        or_null(_A_NAME),
        None,
        "Whom assertions are for, their `aud`; the origin of `url` where it is not given.",
    ),
    Key(
        "upstream.keep_passport",
        A_BOOL,
        False,
        "Forward the passport itself; normally it stays at the gate.",
    ),
    Key(
        "upstream.pass_headers",
        a_list_of(A_HEADER, "header names"),
        [],
        "Headers to forward although they could change what was judged, such as X-Original-URL.",
    ),
    Key(
        "upstream.tls",
        A_SECTION_OR_NULL,
        None,
        "TLS to an https upstream, beyond the defaults.",
    ),
    Key(
        "upstream.tls.ca",
        or_null(A_FILE),
        None,
        "PEM file of authorities to trust instead of the system's.",
    ),
    Key(
        "upstream.tls.cert",
        or_null(A_FILE),
        None,
        "PEM file of the gate's own certificate.",
    ),
    Key("upstream.tls.key", or_null(A_FILE), None, "PEM file of its private key."),
    Key(
        "upstream.tls.server_name",
        or_null(_A_HOST),
        None,
        "The name to ask for and to verify, where it is not the URL's host.",
    ),
    Key(
        "upstream.tls.verify",
        A_BOOL,
        True,
        "The upstream's certificate is always verified.",
        lacks="a way to turn verification off",
        only=(True,),
    ),
    Key("passport", A_SECTION, {}, "How passports are presented and judged."),
    Key(
        "passport.headers",
        a_list_of(A_HEADER, "header names", at_least=1),
        ["X-Agent-Passport", "Authorization"],
        "The headers that passports are read from.",
    ),
    Key(
        "passport.accept_bearer",
        A_BOOL,
        False,
        "Take `Authorization: Bearer` as a passport; otherwise it is the upstream's.",
    ),
    Key(
        "passport.formats",
        a_list_of(choice("jwt", "envelope", "csp"), "formats", at_least=1),
        ["jwt"],
        "The passport formats that are read.",
    ),
    Key(
        "passport.clock_skew",
        duration("0s", "120s"),
        "30s",
        "How far clocks may differ where times are judged.",
    ),
    Key(
        "passport.proof",
        choice("bound", "required"),
        "bound",
        "Who must prove possession of a key: holders of key-bound passports (`bound`), or of any "
        "passport (`required`, and nothing else in profile L3).",
    ),
    Key(
        "passport.proof_max_age",
        duration("5s", "10m"),
        "60s",
        "How long after it was made a proof of possession is good, apart from `clock_skew`. Proofs "
        "are remembered for as long.",
    ),
    Key(
        "passport.proof_nonce",
        A_BOOL,
        False,
        "Whether a proof must hold a nonce that the gate gave out in an earlier answer.",
    ),
    Key(
        "passport.max_lifetime",
        duration("1s", "3650d"),
        "90d",
        "The longest time between a passport's `iat` and `exp`.",
    ),
    Key("issuers", A_LIST_OF_SECTIONS, [], "Whose passports are accepted."),
    Key("issuers[].id", _A_NAME, COMPULSORY, "The issuer's id; equals the passports' `iss`."),
    Key(
        "issuers[].keys",
        A_KEY_SOURCE,
        COMPULSORY,
        "Its public keys: a URL, file:PATH, bundle, oidc:URL, did:web:HOST, or a JWK set written "
        "here.",
    ),
    Key(
        "issuers[].keys_origin",
        or_null(AN_ORIGIN),
        None,
        "Where else an OpenID issuer may say that its keys are: scheme, host and port.",
    ),
    Key(
        "issuers[].revocations",
        or_null(A_SOURCE),
        None,
        "Its revocation list: a URL, file:PATH or bundle; compulsory in profiles L2 and L3.",
    ),
    Key(
        "issuers[].revocations_push",
        or_null(A_URL),
        None,
        "Where it pushes what it revokes: the URL of server-sent events, as `passgate authority "
        "serve` has it. Needs `revocations`.",
    ),
    Key(
        "issuers[].passports",
        or_null(A_SOURCE),
        None,
        "Its passports, a JSON array, for presentation by their id: a URL or file:PATH.",
    ),
    Key(
        "issuers[].by_reference",
        choice("proof", "bearer"),
        "proof",
        "What presenting a passport by its id needs besides: a proof of possession of its key "
        "(`proof`), or nothing (`bearer`), though an id is no secret.",
    ),
    Key(
        "issuers[].delegators_prove",
        or_null(A_BOOL),
        None,
        "Whether who presents an envelope that may delegate must prove to hold its key; by default "
        "at tier L2 and above.",
    ),
    Key(
        "issuers[].tier",
        choice("L0", "L1", "L2", "L3"),
        "L2",
        "The trust tier of its passports; the passport's own word on it does not count.",
    ),
    Key(
        "issuers[].formats",
        a_list_of(choice("jwt", "envelope", "csp"), "formats", at_least=1),
        ["jwt"],
        "The formats that it may issue.",
    ),
    Key(
        "issuers[].refresh",
        duration("1s", "1d"),
        "60s",
        "The longest time between two looks at its sources; in profile L3 without "
        "`revocations_push` at most 20s, and that if nothing is said.",
    ),
    Key(
        "issuers[].max_stale",
        duration("1s", "365d"),
        "1h",
        "The age from which what is known of it no longer counts, and its passports are refused.",
    ),
    Key("issuers[].assurance", A_SECTION, {}, "The least assurance of its passports."),
    *(
        Key(
            f"issuers[].assurance.{level}",
            _ASSURANCE,
            0,
            f"The least {name} assurance level (NIST SP 800-63); 0 asks for none. Only csp "
            "passports have levels.",
        )
        for level, name in (("ial", "identity"), ("aal", "authenticator"), ("fal", "federation"))
    ),
    Key(
        "issuers[].catch_all",
        A_BOOL,
        False,
        "Let the scope of its csp passports name nothing, such as `*`; otherwise such are refused.",
    ),
    Key(
        "issuers[].permissions",
        a_list_of(A_PERMISSION, "permissions"),
        ["*"],
        "The most that it may grant; what its passports say beyond this is refused.",
    ),
    Key(
        "issuers[].constraints",
        CONSTRAINTS,
        {},
        "Constraints that each of its passports owes.",
    ),
    Key(
        "issuers[].insecure_http",
        A_BOOL,
        False,
        "Allow http:// sources beyond this machine; whoever is on the way can then forge them.",
    ),
    Key("trust", A_SECTION, {}, "Whose trust bundles are taken."),
    Key(
        "trust.bundle_keys",
        KEYS_OR_NULL,
        None,
        "The keys of the gates that export trust bundles for this one: file:PATH of a JWKS, or one "
        "written here.",
        restart=True,
    ),
    Key(
        "allow_self_issued",
        A_BOOL,
        False,
        "Accept passports that agents sign for themselves, of tier L0; profile L1 only.",
    ),
    Key(
        "self_issued",
        A_SECTION_OR_NULL,
        None,
        "What self-issued passports may do; compulsory with `allow_self_issued`.",
    ),
    Key(
        "self_issued.permissions",
        a_list_of(A_PERMISSION, "permissions"),
        COMPULSORY,
        "The most that they may grant themselves.",
    ),
    Key(
        "self_issued.constraints",
        CONSTRAINTS,
        COMPULSORY,
        "Constraints that each of them owes, and all of one client address together.",
    ),
    Key("actions", A_SECTION, {}, "Which request is which action."),
    Key(
        "actions.default",
        choice("deny", "method_path"),
        "deny",
        "What a request that no route matches is: refused, or an action such as get:/v1/search.",
    ),
    Key("actions.routes", A_LIST_OF_SECTIONS, [], "Routes; the first that matches counts."),
    Key(
        "actions.routes[].match",
        A_MATCH,
        COMPULSORY,
        "METHOD /path; ANY is every method, {name} one segment, ** at the end the rest.",
    ),
    Key("actions.routes[].action", AN_ACTION, COMPULSORY, "The action's key."),
    Key(
        "actions.routes[].cost_cents",
        or_null(A_COST),
        None,
        "What the request costs, in cents, or the source that says so.",
    ),
    Key(
        "actions.routes[].amount",
        or_null(A_FACT_SOURCE),
        None,
        "Source of the amount that grants limit.",
    ),
    *(
        Key(f"actions.routes[].{name}", or_null(A_FACT_SOURCE), None, doc)
        for name, doc in (
            ("vendor", "Source of the vendor."),
            ("domain", "Source of the domain that domain lists judge; else the target's host."),
            ("resource", "Source of the resource."),
            ("currency", "Source of the currency of the cost."),
        )
    ),
    Key(
        "actions.routes[].require",
        a_list_of(choice("cost", "amount", "vendor", "domain", "resource"), "facts"),
        [],
        "Facts that a request must declare: cost, amount, vendor, domain, resource.",
    ),
    Key(
        "actions.routes[].redact",
        a_list_of(text("a name between braces of the match", r"[A-Za-z_][A-Za-z0-9_]*"), "names"),
        [],
        "Named parts of the path that records hide.",
    ),
    Key(
        "actions.routes[].cost_from_upstream",
        A_BOOL,
        False,
        "Let the upstream lower the cost, by X-Passport-Cost-Cents in its answer.",
    ),
    Key(
        "actions.routes[].idempotent",
        A_BOOL,
        False,
        "Say that the upstream honours Idempotency-Key: a repeat under one is charged no more.",
    ),
    Key("catalog", A_SECTION, {}, "What the API offers, and on which terms."),
    Key(
        "catalog.file",
        or_null(A_FILE),
        None,
        "The catalog, YAML or JSON; once a version of it is published, that is what counts.",
    ),
    Key(
        "catalog.min_version",
        whole_number(0, _MANY),
        0,
        "The oldest published version that a passport may be pinned to.",
    ),
    Key("anonymous", A_SECTION, {}, "What requests without any passport may do."),
    Key("anonymous.enabled", A_BOOL, False, "Whether they may do anything."),
    Key(
        "anonymous.allowed_actions",
        a_list_of(A_PERMISSION, "actions"),
        [],
        "What they may do; an empty list allows nothing.",
    ),
    Key(
        "anonymous.blocked_actions",
        a_list_of(A_PERMISSION, "actions"),
        [],
        "What they may not do, whatever is allowed.",
    ),
    Key("anonymous.read_only", A_BOOL, True, "Only GET, HEAD and OPTIONS."),
    Key(
        "anonymous.rate_limit_per_minute",
        whole_number(0, _MANY),
        5,
        "Requests in any minute, per client address.",
    ),
    Key(
        "anonymous.rate_limit_per_hour",
        whole_number(0, _MANY),
        50,
        "Requests in any hour, per client address.",
    ),
    Key(
        "anonymous.upgrade_message",
        or_null(_A_SENTENCE),
        None,
        "What every anonymous answer says about getting a passport.",
    ),
    Key("anonymous.upgrade_url", or_null(A_LINK), None, "Where an agent can get one."),
    Key(
        "constraints",
        CONSTRAINTS,
        {},
        "The gate's own constraints; of these and others the strictest counts.",
    ),
    Key("approvals", A_SECTION, {}, "How a person decides held requests."),
    Key(
        "approvals.ttl",
        duration("1s", "7d"),
        "5m",
        "How long a request waits for a person; then it is denied. A denial is remembered as long.",
    ),
    Key(
        "approvals.grant_ttl",
        duration("1s", "7d"),
        "30m",
        "How long an approval can be used, once, for the request sent again.",
    ),
    Key(
        "approvals.preview",
        size("0KiB", "64KiB"),
        "4KiB",
        "How much of the target and of the body the person sees; erased when somebody decides.",
    ),
    Key(
        "approvals.webhook",
        A_SECTION_OR_NULL,
        None,
        "Where holds are announced when they open, are decided, and end.",
    ),
    Key("approvals.webhook.url", A_LINK, COMPULSORY, "The URL that events are posted to."),
    Key(
        "approvals.webhook.secret",
        A_SECRET,
        COMPULSORY,
        "What events are signed with: HMAC-SHA-256 in `Passgate-Signature`.",
    ),
    Key(
        "approvals.webhook.insecure_http",
        A_BOOL,
        False,
        "Allow an http:// URL beyond this machine; whoever is on the way can then read events.",
    ),
    Key("ledger", A_SECTION, {}, "Where rates and budgets are counted."),
    Key(
        "ledger.kind",
        choice("memory", "embedded", "valkey"),
        "embedded",
        "`memory` forgets at a restart, `embedded` keeps counters in data_dir, `valkey` shares "
        "them with other gates on a Valkey or Redis server.",
        restart=True,
    ),
    Key(
        "ledger.idempotency_keys",
        duration("1s", "7d"),
        "24h",
        "How long an Idempotency-Key of a route with `idempotent: true` is remembered: no longer "
        "than by the upstream, or what that does a second time is free.",
        restart=True,
    ),
    Key(
        "ledger.url",
        A_COUNTER_SERVER_OR_NULL,
        None,
        "Where the shared counters are: redis://HOST, rediss:// over TLS, unix:PATH, or "
        "redis+sentinel://HOST,HOST/MASTER; compulsory with `valkey`.",
        restart=True,
    ),
    Key(
        "ledger.name",
        text("a name of letters, digits, dot, hyphen, underscore", r"[A-Za-z0-9._-]+"),
        "passgate",
        "What every key there begins with; gates that share counters have the same.",
        restart=True,
    ),
    Key("ledger.user", or_null(_A_NAME), None, "Whom to log in as (ACL).", restart=True),
    Key("ledger.password", or_null(A_SECRET), None, "That user's password.", restart=True),
    Key(
        "ledger.sentinel_password",
        or_null(A_SECRET),
        None,
        "The sentinels' own password.",
        restart=True,
    ),
    Key(
        "ledger.tls",
        A_SECTION_OR_NULL,
        None,
        "TLS to a rediss server, beyond the defaults; its certificate is always verified.",
        restart=True,
    ),
    Key(
        "ledger.tls.ca",
        or_null(A_FILE),
        None,
        "PEM file of authorities to trust instead of the system's.",
        restart=True,
    ),
    Key(
        "ledger.tls.cert",
        or_null(A_FILE),
        None,
        "PEM file of the gate's own certificate.",
        restart=True,
    ),
    Key("ledger.tls.key", or_null(A_FILE), None, "PEM file of its private key.", restart=True),
    Key(
        "ledger.insecure",
        A_BOOL,
        False,
        "Allow redis:// beyond this machine; whoever is on the way can then change what was spent.",
        restart=True,
    ),
    Key(
        "ledger.connect_timeout",
        duration("10ms", "1m"),
        "1s",
        "The longest wait for a connection.",
        restart=True,
    ),
    Key(
        "ledger.timeout",
        duration("5ms", "4s"),
        "250ms",
        "The longest wait for an answer; then the server counts as away.",
        restart=True,
    ),
    Key(
        "ledger.lease_cents",
        A_LEASE,
        "auto",
        "How many cents of a budget a gate takes at a time, to decide without asking; `auto` is "
        "2 % of what is left, 0 asks for every request.",
        restart=True,
    ),
    Key(
        "ledger.lease_calls",
        A_LEASE,
        "auto",
        "Likewise of rates, uses in all, and requests in flight.",
        restart=True,
    ),
    Key(
        "ledger.on_loss",
        A_SECTION,
        {},
        "What happens to what no lease covers while the server is away.",
    ),
    Key(
        "ledger.on_loss.rate",
        choice("local", "deny"),
        "local",
        "Rates and requests in flight: `local` counts here, up to this gate's part of each limit.",
        restart=True,
    ),
    Key(
        "ledger.on_loss.spend",
        choice("deny", "local"),
        "deny",
        "Budgets and uses in all; with `local` gates that know nothing of each other can together "
        "spend more than a budget.",
        restart=True,
    ),
    Key(
        "ledger.on_loss.replay",
        choice("deny", "local"),
        "deny",
        "Idempotency keys and proofs of possession: a repeat cannot be told from a first use, so "
        "both are refused.",
        restart=True,
        lacks="a memory of its own for what counts once at all gates",
        only=("deny",),
    ),
    Key("audit", A_SECTION, {}, "The signed log."),
    Key(
        "audit.durability",
        choice("strict", "relaxed"),
        "strict",
        "`strict` forwards only what is on disk; `relaxed` writes within 10 ms.",
    ),
    Key("audit.stdout", A_BOOL, False, "Copy every line to standard output.", restart=True),
    Key(
        "audit.on_failure",
        choice("deny", "allow_reads"),
        "deny",
        "While the log cannot be written: refuse everything, or let GET, HEAD and OPTIONS pass.",
    ),
    Key(
        "audit.rotate",
        size("4KiB", "1TiB"),
        "256MiB",
        "The size at which a new segment begins.",
    ),
    Key("audit.keep", A_SECTION, {}, "When old segments are removed."),
    Key(
        "audit.keep.age",
        or_null(duration("1m", "36500d")),
        None,
        "Remove segments older than this; null keeps them.",
    ),
    Key(
        "audit.keep.bytes",
        or_null(size("4KiB", "1024TiB")),
        None,
        "Remove the oldest segments beyond this size in all; null keeps them.",
    ),
    Key("limits", A_SECTION, {}, "What one client may make the gate hold."),
    Key(
        "limits.header_bytes",
        size("1KiB", "1MiB"),
        "128KiB",
        "Size of a header section.",
    ),
    Key("limits.headers", whole_number(1, 10_000), 100, "Headers of a request."),
    Key(
        "limits.target_bytes",
        size("1KiB", "64KiB"),
        "8KiB",
        "Size of a request target.",
    ),
    Key("limits.body_bytes", size("0KiB", "1024TiB"), "10MiB", "Size of a body."),
    Key(
        "limits.judged_body_bytes",
        size("1KiB", "64MiB"),
        "1MiB",
        "Size of a body that a rule must read whole.",
    ),
    Key(
        "limits.header_timeout",
        _TIMEOUT,
        "10s",
        "Time to send a header section; a PROXY header and a TLS handshake have as long together.",
    ),
    Key(
        "limits.body_idle_timeout",
        _TIMEOUT,
        "30s",
        "The longest silence within a body; a body that a rule must read whole must also come at "
        "1 KiB a second, after as long to begin with.",
    ),
    Key(
        "limits.keepalive_timeout",
        _TIMEOUT,
        "75s",
        "How long an idle connection stays.",
    ),
    Key(
        "limits.connections",
        whole_number(1, 1_000_000),
        10_000,
        "Connections at a time, counted from when they are accepted.",
    ),
    Key(
        "limits.connections_per_client",
        or_null(whole_number(1, 1_000_000)),
        None,
        "Connections at a time from one address (IPv6: /64), but for `listen.trusted_proxies`.",
    ),
    Key(
        "limits.streams",
        whole_number(1, 1000),
        100,
        "Requests at a time on one HTTP/2 connection; further ones are to be sent again.",
    ),
    Key(
        "limits.drain_timeout",
        duration("0s", "1d"),
        "30s",
        "Time that requests have to finish when the gate stops.",
    ),
    Key(
        "limits.refusals_per_second",
        whole_number(1, 1_000_000),
        20,
        "Refusals per client and second that are judged and recorded one by one.",
    ),
    Key("agent", A_SECTION, {}, "The gate's own endpoints for agents."),
    Key(
        "agent.prefix",
        A_PREFIX,
        "/.well-known/passgate",
        "The path they begin with; it is never forwarded.",
        restart=True,
    ),
)
"""Every key, in the order of the documents."""
