"""Policy: everything configured that decides about a request, compiled, frozen, swapped whole."""

from dataclasses import dataclass, field
from typing import Final

from passgate.core.anonymous import NO_ANONYMOUS, AnonymousPolicy
from passgate.core.catalog import Catalog
from passgate.core.client_address import NO_PROXIES
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.header_rules import header_rules
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.proof.base import ProofRules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules
from passgate.core.route_table import RouteTable
from passgate.core.routes import Route
from passgate.core.signatures import trusted_issuer
from passgate.core.target import plain_path
from passgate.core.trust import Trust
from passgate.core.verification import (
    Acceptance,
    check_kills,
    check_revocation,
    check_times,
    lacks_its_key,
)

DENY: Final = "deny"
METHOD_PATH: Final = "method_path"
_MAX_ACTION: Final = 256

_UNKNOWN: Final = Refusal("action_unknown")
_NO_PARAMS: Final[dict[str, str]] = {}


class Mark:
    """Nothing but an identity: two of them are never the same."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One gate's policy. `audience` holds the gate's id; `hash` is of the effective configuration.

    `default_action` is what an unmatched request is: `deny` (nothing), or `method_path` (the action
    `get:/v1/search`). Times are seconds. `mark` is this very policy's and no other's: what was
    worked out under a policy remembers the mark alone, and keeps no policy from the past in memory.
    """

    gate_id: str
    hash: str
    name: str = ""
    profile: str = "L2"
    audience: frozenset[str]
    clock_skew_s: float = 30.0
    max_lifetime_s: float = 90 * 86400.0
    acceptance: Acceptance = field(default_factory=Acceptance)
    request_rules: RequestRules = field(
        default_factory=lambda: RequestRules(header_rules(), NO_PROXIES)
    )
    routes: RouteTable = field(default_factory=lambda: RouteTable(()))
    default_action: str = DENY
    catalog: Catalog | None = None
    anonymous: AnonymousPolicy = NO_ANONYMOUS
    constraints: ConstraintSet = NO_CONSTRAINTS
    agent_prefix: str = "/.well-known/passgate"
    public_url: str | None = None
    proof: ProofRules = field(default_factory=ProofRules)
    mark: Mark = field(init=False, default_factory=Mark, compare=False, repr=False)

    def action_of(self, request: Request) -> tuple[str, Route | None, dict[str, str]] | Refusal:
        """Check 2: the action of a request, its route, and the path's parameters.

        Refuses with `action_unknown` what no route matches, unless the default makes an action of
        method and path; then an action of more than 256 bytes, or one that could be read in two
        ways, is unknown.
        """
        route = self.routes.match(request.method, request.path)
        if route is None:
            return self._by_default(request)
        if isinstance(route, Refusal):
            return route
        return route.action, route, route.params(request.path) if route.names else _NO_PARAMS

    def stopped(self, action: str, passport: Passport | None, trust: Trust) -> Refusal | None:
        """What the kill switch says to what began as `action` of this passport or of nobody's."""
        kills = trust.kills
        if not kills.active:
            return None
        refusal = kills.judge_action(action)
        if refusal is None and passport is not None:
            refusal = check_kills(passport, kills)
        return refusal

    def still_allowed(self, passport: Passport | None, trust: Trust, now: Instant) -> bool:
        """Whether what began may go on: the passport has neither expired nor been revoked since,
        and its issuer still has the key that signed it.

        What was known when the request was judged may have become stale meanwhile: that refuses
        new requests, and cuts no open one. Nothing of the kind can befall a request without one.
        The kill switch is asked by `stopped`.
        """
        if passport is None:
            return True
        issuer = trusted_issuer(trust, passport.issuer, passport.format, passport.principal)
        if isinstance(issuer, Refusal):
            return False
        if check_times(passport, now, self.clock_skew_s, self.max_lifetime_s) is not None:
            return False
        if lacks_its_key(passport, issuer):
            return False
        refusal = check_revocation(passport, issuer, now)
        return refusal is None or refusal.code == "trust_stale"

    def _by_default(self, request: Request) -> tuple[str, None, dict[str, str]] | Refusal:
        method = request.method
        # A `;` or a star would let an action look like another one, or like a pattern.
        path = plain_path(request.path)
        if (
            self.default_action != METHOD_PATH
            or method != method.upper()
            or ";" in path
            or "*" in path
            or len(method) + 1 + len(path) > _MAX_ACTION
        ):
            return _UNKNOWN
        return f"{method.lower()}:{path}", None, _NO_PARAMS
