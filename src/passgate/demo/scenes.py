"""What the demo's agents try, and what the gate must make of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Scene:
    """One request: who sends what, and the status, decision and reason that it must end in.

    `holder` names one of the demo's credentials ("" for none). The request is sent `times` times
    and the last answer counts. `order` is what the operator does first: `approve` what waits,
    `stop` the agent, or `lift` that. `shows` are headers that the answer must have; `note` says
    what they mean.
    """

    title: str
    holder: str
    method: str
    target: str
    status: int
    decision: str
    reason: str = ""
    times: int = 1
    shows: tuple[str, ...] = ()
    note: str = ""
    body: bytes = b""
    streams: bool = False
    order: str = ""
    revokes: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """One agent's passport: what it may, and how it was spoilt, if it was.

    A `bound` one needs a proof of its key when it is presented, and may delegate. `parent` names
    the one that it is delegated from, which stands before it.
    """

    permissions: tuple[str, ...] = ("api:*",)
    constraints: dict[str, Any] = field(default_factory=dict)
    ttl_s: int = 3600
    spoilt: str = ""  # "" | signature | issuer | expired
    audience: tuple[str, ...] = ()
    bound: bool = False
    parent: str = ""


HOLDERS = {
    "scout": Holder(),
    "reader": Holder(permissions=("api:search",)),
    "forged": Holder(spoilt="signature"),
    "late": Holder(spoilt="expired"),
    "stranger": Holder(spoilt="issuer"),
    "visitor": Holder(audience=("gate_elsewhere",)),
    "leaver": Holder(),
    "eager": Holder(constraints={"core:rate:max_per_minute": 2}),
    "spender": Holder(constraints={"core:cost:max_cumulative": 100}),
    "careful": Holder(constraints={"core:approval:for_actions": ["api:order"]}),
    "sleeper": Holder(constraints={"core:data:read_only": True}),
    "leader": Holder(constraints={"core:cost:max_cumulative": 50}, bound=True),
    "helper": Holder(permissions=("api:export",), parent="leader"),
}

SCENES = (
    Scene("a passport that permits it", "scout", "GET", "/v1/search?q=maps", 200, "allow",
          shows=("passport-decision-id",)),
    Scene("nobody, where nobody may", "", "GET", "/v1/search?q=maps", 401, "block",
          "passport_missing", shows=("www-authenticate",)),
    Scene("anonymous, where that is open", "", "GET", "/public/about", 200, "allow",
          shows=("passport-upgrade",), note="upgrade prompt"),
    Scene("anonymous write", "", "POST", "/public/about", 401, "block", "passport_missing"),
    Scene("forged, where anonymous may", "forged", "GET", "/public/about", 401, "block",
          "signature_invalid"),
    Scene("expired passport", "late", "GET", "/v1/search", 401, "block", "passport_expired"),
    Scene("issuer that nobody listed", "stranger", "GET", "/v1/search", 401, "block",
          "issuer_unknown"),
    Scene("passport for another gate", "visitor", "GET", "/v1/search", 401, "block",
          "audience_mismatch"),
    Scene("permission that it lacks", "reader", "POST", "/v1/export", 403, "block",
          "permission_denied"),
    Scene("path that is no action", "scout", "GET", "/admin", 404, "block", "action_unknown"),
    Scene("third call of two a minute", "eager", "GET", "/v1/search", 429, "block",
          "rate_limited", times=3, shows=("retry-after",)),
    Scene("third export, 50 of 100 cents", "spender", "POST", "/v1/export", 403, "block",
          "budget_exhausted", times=3),
    Scene("order that a person must see", "careful", "POST", "/v1/order", 403, "request_hold",
          "approval_required"),
    Scene("the same, once it is approved", "careful", "POST", "/v1/order", 200, "allow",
          order="approve"),
    Scene("an approval used twice", "careful", "POST", "/v1/order", 403, "request_hold",
          "approval_required"),
    Scene("write on a read-only passport", "sleeper", "POST", "/v1/export", 403, "block",
          "constraint_violated"),
    Scene("path that hides another one", "scout", "GET", "/v1/%2e%2e/admin", 400, "block",
          "request_malformed"),
    Scene("bound passport, no proof", "leader", "GET", "/v1/search", 401, "block",
          "proof_missing"),
    Scene("delegated, may less", "helper", "GET", "/v1/search", 403, "block",
          "permission_denied"),
    Scene("delegated, on parent's budget", "helper", "POST", "/v1/export", 403, "block",
          "budget_exhausted", times=2),
    Scene("agent that was stopped", "reader", "GET", "/v1/search", 403, "block", "killed",
          order="stop"),
    Scene("and let in again", "reader", "GET", "/v1/search", 200, "allow", order="lift"),
    Scene("answer that streams", "scout", "GET", "/v1/stream", 200, "allow", streams=True,
          note="streamed"),
    Scene("before it is revoked", "leaver", "GET", "/v1/search", 200, "allow"),
    Scene("revoked while running", "leaver", "GET", "/v1/search", 401, "block",
          "passport_revoked", revokes=True),
)  # fmt: skip
"""In the order in which they are played; the last revokes its passport first, then waits for it."""

GATE_YAML = """\
gate:
  id: gate_demo
  name: Demo API
  data_dir: {directory}/data
listen:
  address: 127.0.0.1:{port}
admin:
  address: 127.0.0.1:{admin_port}
  token: file:{directory}/operator
upstream:
  url: {upstream}
issuers:
  - id: iss_demo
    keys: file:{directory}/issuer/jwks.json
    revocations: file:{directory}/issuer/revocations.jwt
    refresh: 1s
actions:
  routes:
    - {{match: "GET /v1/search", action: "api:search"}}
    - {{match: "GET /v1/stream", action: "api:stream"}}
    - {{match: "POST /v1/export", action: "api:export", cost_cents: 50}}
    - {{match: "POST /v1/order", action: "api:order"}}
    - {{match: "ANY /public/**", action: "public"}}
limits:
  refusals_per_second: 100   # all agents of the demo share one address
anonymous:
  enabled: true
  allowed_actions: [public]
  upgrade_url: https://api.example/signup
  upgrade_message: A passport lifts this limit
"""
