"""What one decision costs, by the size of what it looks things up in; a process of its own.

The same requests are judged in small and large tables, in turn: of each table ten entries, spread
over its whole length, by a thousand passports that were seen before. Prints one JSON object.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from time import perf_counter, time

from passgate.core.catalog import Catalog, parse_catalog
from passgate.core.decision import conclude, decide
from passgate.core.instant import Instant
from passgate.core.policy import Policy
from passgate.core.request import Request, Wire, canonical_request
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route
from passgate.core.trust import Trust
from passgate.core.verified_cache import VerifiedCache
from passgate.testing import TestIssuer, revocations

_USED = 10
_PASSPORTS = 1000
# What looks at a request and what counts it, as a careful issuer would write them.
_TEN = {
    "core:rate:max_per_minute": 1_000_000,
    "core:scope:method_allowlist": ["GET", "HEAD"],
    "core:scope:path_allowlist": ["/v1/**"],
    "core:scope:action_allowlist": ["api:*"],
    "core:scope:domain_allowlist": ["api.example"],
    "core:scope:ip_allowlist": ["127.0.0.0/8"],
    "core:time:max_age": "7d",
    "core:cost:max_per_action": 500,
    "core:data:read_only": True,
    "core:identity:max_delegation_depth": 2,
}
SIZES = {
    "constraints": (1, len(_TEN)),
    "routes": (10, 10_000),
    "catalog entries": (10, 100_000),
    "revocations": (1, 1_000_000),
}
"""Each table with its small and its large size."""


def costs(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds per decision, small and large, in each round, for each table."""
    issuer = TestIssuer("iss_bench")
    now = Instant(time(), 1_000.0)
    plain = _minted(issuer, now, 0)
    found = {}
    for name, (small, large) in SIZES.items():
        judged = []
        for size in (small, large):
            passports = _minted(issuer, now, size) if name == "constraints" else plain
            judged.append(_judge(issuer, passports, now, name, size))
        timed: dict[str, list[float]] = {"small": [], "large": []}
        for judge in judged:
            judge()
        for _ in range(rounds):
            for size, judge in zip(timed, judged, strict=True):
                timed[size].append(judge())
        found[name] = timed
    return found


def _minted(issuer: TestIssuer, now: Instant, constraints: int) -> list[str]:
    """A thousand passports, each with the first so many of the ten constraints."""
    limits = dict(list(_TEN.items())[:constraints])
    return [
        issuer.mint(permissions=["api:*"], now=now.wall, constraints=limits or None)
        for _ in range(_PASSPORTS)
    ]


def _judge(
    issuer: TestIssuer, passports: list[str], now: Instant, name: str, size: int
) -> Callable[[], float]:
    """Judges every request once, and says how long one took in µs."""
    routes = size if name == "routes" else _USED
    policy = Policy(
        gate_id="gate_bench",
        hash="",
        audience=frozenset({"gate_bench"}),
        routes=RouteTable(
            [
                make_route(n, f"GET /v1/{_word(n, routes)}/items/{{id}}", _action(n, routes))
                for n in range(routes)
            ]
        ),
        catalog=_catalog(size) if name == "catalog entries" else None,
    )
    revoked = (f"pass_{n:026d}" for n in range(size if name == "revocations" else 1))
    listed = revocations(now, passports=revoked)
    trust = Trust({issuer.id: issuer.trusted(now, revocations=listed)})
    requests = [
        _request(policy, passport, f"/v1/used{number % _USED}/items/7")
        for number, passport in enumerate(passports)
    ]
    cache = VerifiedCache()
    for request in requests:
        decision = conclude(decide(request, policy, trust, now, cache), None)
        if decision.decision != "allow":
            raise SystemExit(f"a wrong decision: {decision}")
    repeats = range(20)

    def judge() -> float:
        gc.collect()
        gc.disable()
        begin = perf_counter()
        for _ in repeats:
            for request in requests:
                decide(request, policy, trust, now, cache)
        elapsed = perf_counter() - begin
        gc.enable()
        return elapsed / len(repeats) / len(requests) * 1e6

    return judge


def _word(number: int, size: int) -> str:
    """The name of an entry; ten of them, from the first to the last tenth, are the ones in use."""
    step = size // _USED
    used, rest = divmod(number, step)
    return f"used{used}" if rest == step - 1 and used < _USED else f"entry{number}"


def _action(number: int, size: int) -> str:
    return f"api:{_word(number, size)}"


def _catalog(size: int) -> Catalog:
    return parse_catalog(
        {
            "permissions": [
                {"key": _action(n, size), "constraints": {"core:rate:max_per_minute": 1_000_000}}
                for n in range(size)
            ]
        }
    )


def _request(policy: Policy, passport: str, target: str) -> Request:
    headers = [(b"Host", b"api.example"), (b"Authorization", b"Passport " + passport.encode())]
    wire = Wire("GET", target.encode(), headers, "127.0.0.1")
    request = canonical_request(wire, policy.request_rules)
    if not isinstance(request, Request):
        raise SystemExit(f"no request: {request}")
    return request


def main() -> None:
    """Reads the command line, measures, and says what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.deciding", description=__doc__)
    parser.add_argument("--rounds", type=int, required=True)
    json.dump(costs(parser.parse_args().rounds), sys.stdout)


if __name__ == "__main__":
    main()
