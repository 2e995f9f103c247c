"""One request against one gate, good unless a test makes it bad; judged without any I/O.

`Scene()` is a request that passes. Each field can be replaced, and `but` merges changes in, so that
several faults can be put into one request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from tests.craft import KEY, KID, NOW, SEED, credential, key_set, revocations

from passgate.core.anonymous import NO_ANONYMOUS, AnonymousPolicy
from passgate.core.catalog import Catalog, parse_catalog
from passgate.core.constraints import parse_constraints, refusal_for
from passgate.core.decision import Decision, Plan, conclude, decide
from passgate.core.explanation import Explanation, explain
from passgate.core.header_rules import header_rules
from passgate.core.instant import Instant
from passgate.core.kills import Kill, kills_of
from passgate.core.policy import Policy
from passgate.core.proof import ProofRules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import Acceptance
from passgate.core.verified_cache import VerifiedCache
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Shortfall

ROUTES = RouteTable(
    [
        make_route(0, "GET /v1/search", "api:search"),
        make_route(1, "POST /v1/export", "api:export", cost_cents=50),
        make_route(
            2, "GET /v1/pay", "shop:pay", amount="query:amount", cost_cents="query:cents",
            require=["amount"],
        ),
        make_route(3, "POST /v1/orders", "shop:order", amount="body:/amount", vendor="body:/to"),
        make_route(4, "ANY /public/**", "public"),
        make_route(5, "GET /v1/priced", "api:priced", cost_cents="query:cents", require=["cost"]),
        make_route(6, "ANY /v1/transfers", "api:transfer", cost_cents=50, idempotent=True),
        make_route(
            7, "POST /v1/gifts", "api:gift", cost_cents="header:X-Cents", currency="header:X-In",
            idempotent=True,
        ),
    ]
)  # fmt: skip


def catalog(*keys: str, **constraints: Mapping[str, Any]) -> Catalog:
    """A catalog of `keys`; `constraints` by the part of a key after its colon."""
    return parse_catalog(
        {
            "permissions": [
                {"key": key, "constraints": dict(constraints.get(key.rpartition(":")[2], {}))}
                for key in keys
            ]
        }
    )


@dataclass(frozen=True)
class Scene:
    """What a request, its passport and its gate are made of."""

    method: str = "GET"
    target: bytes = b"/v1/search"
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Host", b"api.example"),)
    body: bytes | None = None
    received: bytes | None = None
    peer: str = "192.0.2.1"
    presents: bool = True
    claims: Mapping[str, Any] = field(
        default_factory=lambda: {"permissions": ["api:*", "shop:*", "public"], "constraints": {}}
    )
    jose: Mapping[str, Any] = field(default_factory=dict)
    seed: bytes = SEED
    now: Instant = NOW
    issuer: Mapping[str, Any] = field(default_factory=dict)
    issuer_constraints: Mapping[str, Any] = field(default_factory=dict)
    revoked: Mapping[str, Any] = field(default_factory=dict)
    gate_constraints: Mapping[str, Any] = field(default_factory=dict)
    kills: tuple[Kill, ...] = ()
    catalog: Catalog | None = None
    anonymous: AnonymousPolicy = NO_ANONYMOUS
    default_action: str = "deny"
    max_lifetime_s: float = 90 * 86400.0
    proof: ProofRules = field(default_factory=ProofRules)
    formats: frozenset[str] = frozenset({"jwt"})

    def but(self, **changes: Any) -> Self:
        """The same with `changes`; mappings are merged, also the claim `constraints`."""
        merged: dict[str, Any] = {}
        for each in fields(self):
            if each.name in changes:
                old, new = getattr(self, each.name), changes[each.name]
                merged[each.name] = _merged(old, new)
        return replace(self, **merged)

    def wire(self) -> Wire:
        headers = list(self.headers)
        if self.presents:
            token = credential(self.claims, self.jose, self.seed)
            headers.append((b"Authorization", b"Passport " + token.encode()))
        return Wire(self.method, self.target, headers, self.peer)

    def request(self) -> Request | Refusal:
        found = canonical_request(self.wire(), RequestRules(header_rules()))
        if isinstance(found, Request):
            found.body = self.body
            found.received = self.received
        return found

    def good_request(self) -> Request:
        found = self.request()
        assert isinstance(found, Request)
        return found

    def policy(self) -> Policy:
        return Policy(
            gate_id="gate_a",
            hash="0" * 64,
            audience=frozenset({"gate_a", "https://api.example"}),
            routes=ROUTES,
            default_action=self.default_action,
            max_lifetime_s=self.max_lifetime_s,
            catalog=self.catalog,
            anonymous=self.anonymous,
            constraints=parse_constraints(self.gate_constraints),
            proof=self.proof,
            acceptance=Acceptance(self.formats),
        )

    def trust(self) -> Trust:
        settings: dict[str, Any] = {
            "id": "iss_lab",
            "tier": "L2",
            "formats": frozenset({"jwt"}),
            "permissions": ("*",),
            "constraints": parse_constraints(self.issuer_constraints),
            "max_stale_s": 3600.0,
            "revocations_required": True,
            "keys": key_set({KID: KEY}),
            "revocations": revocations(**self.revoked),
        }
        entry = Issuer(**(settings | dict(self.issuer)))
        return Trust({entry.id: entry}, kills=kills_of(self.kills))

    def decide(self, cache: VerifiedCache | None = None) -> Plan:
        """Checks 2 to 15."""
        return decide(self.good_request(), self.policy(), self.trust(), self.now, cache)

    def explain(self, **given: Any) -> Explanation:
        return explain(self.good_request(), self.policy(), self.trust(), self.now, **given)

    def judge(self, ledger: MemoryLedger | None = None) -> Decision:
        """Checks 1 to 16, with fresh counters unless there is a `ledger`."""
        request = self.request()
        if isinstance(request, Refusal):
            return Decision("block", request)
        plan = decide(request, self.policy(), self.trust(), self.now)
        assert not (plan.needs_body and plan.refusal), "a refused request waits for nothing"
        if plan.needs_body:
            return Decision("needs_body", None)
        decision = conclude(plan, None)
        if decision.decision != "allow":
            return decision
        taken = (ledger or MemoryLedger()).reserve(plan.charges, self.now)
        short = None
        if isinstance(taken, Shortfall):
            short = refusal_for(taken.charge, taken.retry_after_s)
        return conclude(plan, short)


def verdict(decision: Decision) -> str:
    """The reason code, or `allow`."""
    return decision.refusal.code if decision.refusal is not None else decision.decision


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [*old, *(name for name in new if name not in old)]
        return {
            name: _merged(old[name], new[name])
            if name in old and name in new
            else new.get(name, old.get(name))
            for name in names
        }
    if isinstance(old, Sequence) and isinstance(new, tuple) and isinstance(old, tuple):
        return (*old, *new)
    return new
