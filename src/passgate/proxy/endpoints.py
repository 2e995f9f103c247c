"""The gate's own endpoints for agents, under its prefix on the proxy's address; never forwarded."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passgate import __version__
from passgate.core.decision import conclude
from passgate.core.explanation import explain
from passgate.core.jwks import thumbprint
from passgate.core.passport import Passport
from passgate.core.possession import judge_possession
from passgate.core.presented import choose_credential
from passgate.core.proof import DPOP, SIGNATURE
from passgate.core.reasons import REASONS, Refusal
from passgate.core.references import resolve
from passgate.core.request import Request
from passgate.core.verification import (
    check_audience,
    check_kills,
    check_revocation,
    check_times,
    verify,
)
from passgate.log import Log
from passgate.proxy.catalog_endpoint import answer_catalog, describe_catalog
from passgate.proxy.dry_run import DryRun, read_dry_run
from passgate.proxy.standing import hold_state, standing
from passgate.proxy.steps import Answer, NeedBody, Step

if TYPE_CHECKING:
    from passgate.proxy.case import Case

_READ: Final = ("GET", "HEAD")
_MAX_CHECK_BYTES: Final = 16 * 1024
_encode = msgspec.json.Encoder().encode
_JSON: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_VERSIONS: Final = "/catalog/"

_NO_ENDPOINT: Final = Refusal("action_unknown", "The gate has no such endpoint.")
_NO_HOLD: Final = Refusal("action_unknown", "The gate knows of no such hold of this passport.")
_WRONG_METHOD: Final = Refusal(
    "action_unknown", "The gate has no such endpoint for this method.", status=405
)


class Endpoints:
    """Answers `GET /`, `/keys`, `/catalog`, `/catalog/{version or hash}`, `/passport`,
    `/holds/{id}`, `/checkpoint`, `/reasons` and `POST /check`.

    A presented passport is judged by checks 4 to 9 like anywhere else; what these endpoints tell of
    it they tell to nobody without it. Nothing here charges, and only refusals are put on record.
    """

    def __init__(self, prefix: str, public_key: bytes, log: Log, key_since: int = 0) -> None:
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
                    "nbf": key_since,
                }
            ]
        }
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[Case, Request], Step]]] = {
            "/": (_READ, self._describe),
            "/keys": (_READ, self._keys),
            "/catalog": (_READ, self._catalog),
            "/passport": (_READ, self._passport),
            "/check": (("POST",), self._need_check),
            "/checkpoint": (_READ, self._checkpoint),
            "/reasons": (_READ, self._reasons),
            "/holds/{id}": (_READ, self._hold),
        }

    def owns(self, path: str) -> bool:
        """Whether a judged path lies under the prefix."""
        return path.startswith(self._below) or path == self._prefix

    def begin(self, case: "Case", request: Request) -> Step:
        """The step for a request to one of the endpoints."""
        name = request.path[len(self._prefix) :].rstrip("/") or "/"
        found = self._routes.get("/holds/{id}" if name.startswith("/holds/") else name)
        if found is None and name.startswith(_VERSIONS):
            found = _READ, self._catalog
        if found is None:
            return case.refuse(_NO_ENDPOINT)
        methods, answer = found
        if request.method not in methods:
            refused = case.refuse(_WRONG_METHOD)
            # RFC 9110 section 15.5.6: a 405 names the methods that there are.
            allow = b"Allow: %b\r\n" % ", ".join(methods).encode()
            return replace(refused, headers=refused.headers + allow)
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
                "proofs": [DPOP, SIGNATURE],
                "anonymous": world.policy.anonymous.enabled,
                "version": __version__,
                **describe_catalog(world.policy),
                "links": {
                    "keys": f"{prefix}/keys",
                    **({"catalog": f"{prefix}/catalog"} if world.policy.catalog else {}),
                    "passport": f"{prefix}/passport",
                    "check": f"{prefix}/check",
                    "checkpoint": f"{prefix}/checkpoint",
                    "reasons": f"{prefix}/reasons",
                },
            }
        )

    def _keys(self, _: "Case", __: Request) -> Step:
        return _answer(self._jwks)

    def _catalog(self, case: "Case", request: Request) -> Step:
        return answer_catalog(case, request, request.path[len(self._prefix) + len(_VERSIONS) :])

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
        everything = case.trust.kills.judge_everything()
        passport = _presented(case, request) if everything is None else everything
        return _question(
            case, request, passport, lambda asks: _answer(standing(case, request, asks))
        )

    def _hold(self, case: "Case", request: Request) -> Step:
        """What became of a hold, for the passport that asked; to others there is none."""
        passport = _presented(case, request)
        return _question(case, request, passport, lambda asks: self._state_of(case, request, asks))

    def _state_of(self, case: "Case", request: Request, passport: Passport) -> Step:
        held = case.asking().held(request.path[len(self._prefix) + len("/holds/") :].rstrip("/"))
        if held is None or not held.is_of(passport.issuer, passport.id, passport.agent):
            return case.refuse(_NO_HOLD)
        return _answer(hold_state(held))

    def _need_check(self, case: "Case", request: Request) -> Step:
        passport = _presented(case, request) if request.sorted.presented else None
        # Whose credential does not verify learns that alone; who presents nothing may ask as well.
        if passport is None:
            return case.asking().take(None, None, lambda: NeedBody(_MAX_CHECK_BYTES))
        return _question(case, request, passport, lambda _: NeedBody(_MAX_CHECK_BYTES))

    def with_body(self, case: "Case", request: Request) -> Step:
        """`POST /check`: what would be decided, without charging anything."""
        if request.sorted.presented:
            # Again, for the passport may have been revoked while the question was on its way.
            passport = _presented(case, request)
            if isinstance(passport, Refusal):
                return case.refuse(passport)
        asked = read_dry_run(request, case.world.policy)
        if isinstance(asked, Refusal):
            return case.refuse(asked)
        case.asking().count_check()
        # Whoever got as far as this with a proof has proven it: a bad one was refused above.
        return _answer(_dry_run(case, asked, request.sorted.proving))


def _question(
    case: "Case",
    request: Request,
    presented: Passport | Refusal,
    answer: Callable[[Passport], Step],
) -> Step:
    """Checks 10 and 11 on what was presented, and what a question costs; then its answer."""
    if isinstance(presented, Refusal):
        return case.refuse(presented)
    if presented.flaw is not None:
        return case.refuse(presented.flaw)
    issuer = case.trust.issuer_of(presented.issuer)
    assert issuer is not None
    proven = judge_possession(request, presented, issuer, case.world.policy.proof, case.now)
    if isinstance(proven, Refusal):
        return case.refuse(proven)
    return case.asking().take(presented, proven, lambda: answer(presented))


def _presented(case: "Case", request: Request) -> Passport | Refusal:
    """Checks 3 to 9 on what was presented."""
    credential = choose_credential(request.sorted.presented)
    if credential is None:
        return Refusal("passport_missing")
    if not isinstance(credential, Refusal) and credential.referred:
        credential = resolve(credential.text, case.trust, case.now)
    if isinstance(credential, Refusal):
        return credential
    policy = case.world.policy
    passport = verify(credential, case.trust, policy.acceptance, case.cache)
    if isinstance(passport, Refusal):
        case.note_key(passport, credential.text)
        return passport
    issuer = case.trust.issuer_of(passport.issuer)
    assert issuer is not None
    return (
        check_times(passport, case.now, policy.clock_skew_s, policy.max_lifetime_s)
        or check_audience(passport, policy.audience)
        or check_revocation(passport, issuer, case.now)
        or check_kills(passport, case.trust.kills)
        or passport
    )


def _dry_run(case: "Case", asked: DryRun, proven: bool) -> dict[str, Any]:
    found = explain(
        asked.request,
        case.world.policy,
        case.trust,
        case.now,
        action=asked.action,
        facts=asked.facts,
        priced=asked.priced,
        proven=proven,
    )
    plan = found.plan
    case.asking().consult(plan)
    passes = plan.refusal is None and plan.hold is None
    short = case.asking().shortfall(plan.charges) if passes else None
    decided = conclude(plan, short)
    checks: list[dict[str, Any]] = []
    for row in found.checks:
        shown: dict[str, Any] = {"check": row.number, "name": row.name, "outcome": row.outcome}
        if row.number == 16 and passes:
            shown["outcome"] = "refused" if short else "ok"
            if short is not None:
                shown.update(code=short.code, constraint=short.constraint)
        for key in ("code", "detail", "constraint"):
            if getattr(row, key):
                shown[key] = getattr(row, key)
        checks.append(shown)
    answer: dict[str, Any] = {
        "decision": decided.decision,
        "action": plan.action,
        "cost_cents": plan.facts.cost_cents,
        "checks": checks,
    }
    refusal = decided.refusal
    if refusal is not None:
        answer["code"] = refusal.code
        if refusal.constraint:
            answer["constraint"] = refusal.constraint
    return answer


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(200, _JSON, _encode(body) + b"\n")
