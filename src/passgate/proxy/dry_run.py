"""The question of `POST /check`: an action, and what a request for it would say."""

from dataclasses import dataclass, replace
from typing import Any, Final

from passgate.core.facts import Facts
from passgate.core.hosts import domain_of, host_of_header
from passgate.core.judged_body import Number, judge_body, plain_decimal
from passgate.core.jws import is_name
from passgate.core.policy import Policy
from passgate.core.pricing import GREATEST_CENTS
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.routes import ANY, Route
from passgate.core.target import read_target

_MEMBERS: Final = frozenset(
    {"action", "target", "method", "cost_cents", "amount", "vendor", "resource", "domain"}
)
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class DryRun:
    """The action asked about, its facts, and the request as it would be judged.

    What the question leaves out is as the action's route has it: its method, and its cost if that
    is fixed. Where neither says what it costs it is not `priced`: then the catalog's price counts.
    """

    action: str
    facts: Facts
    request: Request
    priced: bool = True


def read_dry_run(request: Request, policy: Policy) -> DryRun | Refusal:
    """The question in the body of `request`: `action`, and optionally `target`, `method`,
    `cost_cents`, `amount`, `vendor`, `resource`, `domain`. Anything else is `request_malformed`.
    """
    assert request.body is not None
    asked = judge_body(request.body, request.sorted)
    if isinstance(asked, Refusal):
        return asked
    if type(asked) is not dict or not asked.keys() <= _MEMBERS:
        return _bad(f"A check is an object of {', '.join(sorted(_MEMBERS))}.")
    action = asked.get("action")
    if type(action) is not str or not is_name(action) or "*" in action:
        return _bad("A check must name one action.")
    stated = asked.get("method")
    if "method" in asked and (type(stated) is not str or stated not in _METHODS):
        return _bad("The method of a check is one of the usual ones.")
    judged = replace(request, method=stated or "GET", path="/", target=b"/", query=b"", body=None)
    if "target" in asked:
        text = asked["target"]
        if type(text) is not str or not text.isascii():
            return _bad("The target of a check is the path and query of a request.")
        host = request.sorted.host
        authority = None if host is None else host_of_header(host)
        target = read_target(text.encode(), judged.method, authority)
        if isinstance(target, Refusal):
            return target
        judged = replace(judged, path=target.path, target=target.forward, query=target.query)
    route = _route_of(action, stated, judged.path, policy)
    if stated is None and route is not None and route.method != ANY:
        judged = replace(judged, method=route.method)
    facts = _facts(asked, route)
    return facts if isinstance(facts, Refusal) else DryRun(action, facts[0], judged, facts[1])


def _route_of(action: str, method: str | None, path: str, policy: Policy) -> Route | None:
    """The route that makes this request the action, else the first that makes any so."""
    routes = [route for route in policy.routes.routes if route.action == action]
    for route in routes:
        named = "GET" if route.method == ANY else route.method
        if policy.routes.match(method or named, path) is route:
            return route
    return routes[0] if routes else None


def _facts(asked: dict[str, Any], route: Route | None) -> tuple[Facts, bool] | Refusal:
    """What the question says, and whether it or its route says what the request costs."""
    fixed = route.cost if route is not None and isinstance(route.cost, int) else None
    cost = asked.get("cost_cents", Number(fixed or 0))
    cents = plain_decimal(cost) if isinstance(cost, Number) else None
    if cents is None or cents[1] or cents[0] > GREATEST_CENTS:
        return _bad("cost_cents is a whole number of cents.")
    amount = None
    if "amount" in asked:
        text = asked["amount"]
        amount = plain_decimal(text) if isinstance(text, str) else None
        if amount is None:
            return _bad("amount is a plain decimal of at most 18 digits.")
    for name in ("vendor", "resource", "domain"):
        text = asked.get(name, "x")
        if type(text) is not str or not 0 < len(text) <= 256 or not text.isprintable():
            return _bad(f"{name} is a text of 1 to 256 printable characters.")
    domain = asked.get("domain")
    if domain is not None:
        host = domain_of(domain)
        if isinstance(host, Refusal):
            return host
        domain = host
    facts = Facts(cents[0], amount, asked.get("vendor"), domain, asked.get("resource"))
    return facts, "cost_cents" in asked or fixed is not None


def _bad(detail: str) -> Refusal:
    return Refusal("request_malformed", detail)
