"""The gate's own endpoints for agents, under its prefix on the proxy's address; never forwarded."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passgate import __version__
from passgate.core.decision import derive
from passgate.core.explanation import explain
from passgate.core.jwks import thumbprint
from passgate.core.passport import Passport
from passgate.core.policy import Policy
from passgate.core.presented import choose_credential
from passgate.core.reasons import REASONS, Refusal
from passgate.core.request import Request
from passgate.core.verification import (
    check_audience,
    check_revocation,
    check_times,
    verify,
)
from passgate.log import Log
from passgate.proxy.dry_run import DryRun, read_dry_run
from passgate.proxy.steps import Answer, NeedBody, Step

if TYPE_CHECKING:
    from passgate.proxy.case import Case

_MAX_CHECK_BYTES: Final = 16 * 1024
_encode = msgspec.json.Encoder().encode
_JSON: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"

_NO_ENDPOINT: Final = Refusal("action_unknown", "The gate has no such endpoint.")
_WRONG_METHOD: Final = Refusal(
    "action_unknown", "The gate has no such endpoint for this method.", status=405
)


class Endpoints:
    """Answers `GET /`, `/keys`, `/passport`, `/checkpoint`, `/reasons` and `POST /check`.

    A presented passport is judged by checks 4 to 9 like anywhere else; what these endpoints tell of
    it they tell to nobody without it. Nothing here charges, and only refusals are put on record.
    """

    def __init__(self, prefix: str, public_key: bytes, log: Log) -> None:
        self._prefix = prefix
        self._below = prefix + "/"
        self._log = log
        self._jwks = {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": urlsafe_b64encode(public_key).rstrip(b"=").decode(),
                    "kid": thumbprint(public_key),
                    "use": "sig",
                    "alg": "EdDSA",
                }
            ]
        }
        self._routes: dict[str, tuple[str, Callable[[Case, Request], Step]]] = {
            "/": ("GET", self._describe),
            "/keys": ("GET", self._keys),
            "/passport": ("GET", self._passport),
            "/check": ("POST", self._need_check),
            "/checkpoint": ("GET", self._checkpoint),
            "/reasons": ("GET", self._reasons),
        }

    def owns(self, path: str) -> bool:
        """Whether a judged path lies under the prefix."""
        return path.startswith(self._below) or path == self._prefix

    def begin(self, case: "Case", request: Request) -> Step:
        """The step for a request to one of the endpoints."""
        name = request.path[len(self._prefix) :].rstrip("/") or "/"
        found = self._routes.get(name)
        if found is None:
            return case.refuse(_NO_ENDPOINT)
        method, answer = found
        if request.method != method and not (method == "GET" and request.method == "HEAD"):
            return case.refuse(_WRONG_METHOD)
        return answer(case, request)

    def _describe(self, case: "Case", _: Request) -> Step:
        world = case.world
        prefix = self._prefix
        return _answer(
            {
                "gate_id": world.policy.gate_id,
                "name": world.name,
                "profile": world.policy.profile,
                "formats": sorted(world.policy.acceptance.formats),
                "proofs": [],
                "anonymous": world.policy.anonymous.enabled,
                "version": __version__,
                "links": {
                    "keys": f"{prefix}/keys",
                    "passport": f"{prefix}/passport",
                    "check": f"{prefix}/check",
                    "checkpoint": f"{prefix}/checkpoint",
                    "reasons": f"{prefix}/reasons",
                },
            }
        )

    def _keys(self, _: "Case", __: Request) -> Step:
        return _answer(self._jwks)

    def _checkpoint(self, _: "Case", __: Request) -> Step:
        note = self._log.newest_checkpoint().encode()
        lines = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
        return Answer(200, lines, note)

    def _reasons(self, _: "Case", __: Request) -> Step:
        return _answer(
            {
                "reasons": [
                    {"code": row.code, "check": row.check, "status": row.status, "title": row.title}
                    for row in REASONS.values()
                ]
            }
        )

    def _passport(self, case: "Case", request: Request) -> Step:
        passport = _presented(case, request)
        if isinstance(passport, Refusal):
            return case.refuse(passport, anonymous=passport.code == "passport_missing")
        policy = case.world.policy
        issuer = case.trust.issuers[passport.issuer]
        actions: dict[str, Any] = {}
        for action in _known_actions(policy):
            derived = derive(passport, issuer, action, policy)
            if derived.compiled is None:
                continue
            balances = case.balances(derived.compiled.charges)
            actions[action] = {
                "constraints": [key for key, _ in derived.compiled.results],
                "left": [
                    {
                        "constraint": balance.charge.constraint,
                        "kind": balance.charge.kind,
                        "window": balance.charge.window,
                        "limit": balance.charge.limit,
                        "remaining": balance.remaining,
                        "reset_s": balance.reset_s,
                    }
                    for balance in balances
                ],
            }
        return _answer(
            {
                "id": passport.id,
                "agent": passport.agent,
                "issuer": passport.issuer,
                "tier": issuer.tier,
                "expires_at": passport.expires_at,
                "permissions": [entry.pattern for entry in passport.permissions],
                "actions": actions,
            }
        )

    def _need_check(self, _: "Case", __: Request) -> Step:
        return NeedBody(_MAX_CHECK_BYTES)

    def with_body(self, case: "Case", request: Request) -> Step:
        """`POST /check`: what would be decided, without charging anything."""
        too_many = case.take_check()
        if too_many is not None:
            return case.refuse(too_many)
        asked = read_dry_run(request)
        if isinstance(asked, Refusal):
            return case.refuse(asked)
        if request.sorted.presented:
            passport = _presented(case, request)
            if isinstance(passport, Refusal):
                # Whose credential does not verify learns that alone.
                return case.refuse(passport)
        return _answer(_dry_run(case, asked))


def _presented(case: "Case", request: Request) -> Passport | Refusal:
    """Checks 3 to 9 on what was presented."""
    credential = choose_credential(request.sorted.presented)
    if credential is None:
        return Refusal("passport_missing")
    if isinstance(credential, Refusal):
        return credential
    policy = case.world.policy
    passport = verify(credential, case.trust, policy.acceptance, case.cache)
    if isinstance(passport, Refusal):
        return passport
    return (
        check_times(passport, case.now, policy.clock_skew_s, policy.max_lifetime_s)
        or check_audience(passport, policy.audience)
        or check_revocation(passport, case.trust.issuers[passport.issuer], case.now)
        or passport
    )


def _known_actions(policy: Policy) -> list[str]:
    """Every action that the routes or the catalog name, once, in their order."""
    names = [route.action for route in policy.routes.routes]
    if policy.catalog is not None:
        names += policy.catalog.entries
    return list(dict.fromkeys(names))


def _dry_run(case: "Case", asked: DryRun) -> dict[str, Any]:
    found = explain(
        asked.request,
        case.world.policy,
        case.trust,
        case.now,
        action=asked.action,
        facts=asked.facts,
    )
    plan = found.plan
    short = case.shortfall(plan.charges) if plan.refusal is None else None
    refusal = plan.refusal or short
    decision = "block" if refusal else "request_hold" if plan.hold else "allow"
    code = refusal.code if refusal else "approval_required" if plan.hold else ""
    checks: list[dict[str, Any]] = []
    for row in found.checks:
        shown: dict[str, Any] = {"check": row.number, "name": row.name, "outcome": row.outcome}
        if row.number == 16 and row.outcome == "open":
            shown["outcome"] = "refused" if short else "ok"
            if short is not None:
                shown.update(code=short.code, constraint=short.constraint)
        for key in ("code", "detail", "constraint"):
            if getattr(row, key):
                shown[key] = getattr(row, key)
        checks.append(shown)
    answer: dict[str, Any] = {"decision": decision, "action": plan.action, "checks": checks}
    if code:
        answer["code"] = code
    if refusal is not None and refusal.constraint:
        answer["constraint"] = refusal.constraint
    return answer


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(200, _JSON, _encode(body))
