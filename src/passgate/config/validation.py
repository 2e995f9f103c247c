"""Checks that look at more than one key, all reported together and beside those of single keys.

Each check reads the tree, skips what is BAD (that was reported), and notes what it finds.
"""

import re
import ssl
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from passgate.config.approval_checks import approvals_check
from passgate.config.environment import open_to_others
from passgate.config.findings import Findings
from passgate.config.format_checks import formats_check
from passgate.config.kinds import BAD, At
from passgate.config.ledger_checks import ledger_check
from passgate.config.listen_checks import proxy_protocol_check
from passgate.config.places import is_loopback, split_url
from passgate.config.profile_checks import profile_check
from passgate.config.reading import Tree
from passgate.config.trust_checks import references_check, self_issued_check
from passgate.config.upstream_checks import assertion_check, upstream_check, upstream_urls
from passgate.core.constraints import problems as constraint_problems
from passgate.core.header_rules import header_rules
from passgate.core.permissions import covers
from passgate.core.route_table import RouteTable
from passgate.core.routes import Route, make_route

_SELF_ISSUED: Final = ("did:key:", "self:")
_SHORT_TOKEN: Final = 16
_METHOD_ACTION: Final = re.compile(r"[a-z!#$%&'*+.^_`|~0-9-]+:/")


def validate(tree: Tree, at: At, offered: AbstractSet[str] | None) -> None:
    """Runs every check; problems and warnings go to `at.problems`.

    `offered` are the actions of the catalog, None without one or where it could not be read.
    """
    found = Findings(tree, at, offered)
    for check in CHECKS:
        check(found)


def _someone_may_call(found: Findings) -> None:
    if (
        found.get("issuers") == []
        and found.get("anonymous", "enabled") is False
        and found.get("allow_self_issued") is False
    ):
        found.problem(
            "issuers", "must have an entry, or anonymous.enabled be true: nobody could do anything"
        )


def _issuers(found: Findings) -> None:
    places: dict[str, int] = {}
    for index, entry in found.entries("issuers"):
        path = f"issuers[{index}]"
        name = entry["id"]
        if name is not BAD:
            if name.startswith(_SELF_ISSUED):
                found.problem(f"{path}.id", "is one of self-issued passports, which are not listed")
            if name in places:
                first = found.line(f"issuers[{places[name]}].id")
                found.problem(f"{path}.id", f"{name} stands in line {first} already")
            places.setdefault(name, index)
        refresh, max_stale = entry["refresh"], entry["max_stale"]
        if BAD not in (refresh, max_stale) and refresh >= max_stale:
            where = "refresh" if f"{path}.refresh" in found.at.lines else "max_stale"
            found.problem(f"{path}.{where}", "must leave refresh shorter than max_stale")
        if entry["revocations_push"] not in (None, BAD) and entry["revocations"] is None:
            found.problem(f"{path}.revocations_push", "adds to a list: name it as revocations")
        for key in ("keys", "keys_origin", "revocations", "revocations_push", "passports"):
            source = entry[key]
            if source in (None, BAD):
                continue
            if not isinstance(source, str) and source.kind not in ("url", "oidc"):
                if source.kind == "bundle" and key == "passports":
                    found.problem(f"{path}.{key}", "cannot come in a trust bundle")
                elif source.kind == "bundle" and found.get("trust", "bundle_keys") is None:
                    found.problem(
                        f"{path}.{key}", "is bundle, and trust.bundle_keys says of no gate whose"
                    )
                continue
            location = source if isinstance(source, str) else source.location
            parts = split_url(location.removeprefix("oidc:"))
            if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
                if entry["insecure_http"] is False:
                    found.problem(f"{path}.{key}", "must be https:// (or set insecure_http: true)")
                else:
                    found.warn(f"{path}.{key}", "is read without TLS: anyone between can forge it")
        source = entry["keys"]
        origin = entry["keys_origin"]
        if origin not in (None, BAD) and source is not BAD and source.kind != "oidc":
            found.problem(f"{path}.keys_origin", "is for keys: oidc:... alone")
        _constraints(found, f"{path}.constraints", entry["constraints"])


def _gate_constraints(found: Findings) -> None:
    _constraints(found, "constraints", found.get("constraints"), guardrails=True)
    limits = found.get("self_issued")
    if limits not in (None, BAD):
        _constraints(found, "self_issued.constraints", limits["constraints"])


def _constraints(found: Findings, path: str, written: Any, *, guardrails: bool = False) -> None:
    if written is BAD:
        return
    for sentence in constraint_problems(written, guardrails=guardrails):
        # The sentence begins with its key, if it is about one.
        keys = [key for key in written if sentence.startswith(f"{key}: ")]
        where = f"{path}.{max(keys, key=len)}" if keys else path
        found.at.problems.add(found.at.lines.get(where, found.line(path)), f"{path}: {sentence}")


def _routes(found: Findings) -> None:
    routes: list[Route] = []
    places: list[int] = []
    for index, entry in found.entries("actions", "routes"):
        if BAD in entry.values():
            continue
        options = {key: value for key, value in entry.items() if key not in ("match", "action")}
        try:
            # A route's index is its place among those that can be read.
            routes.append(make_route(len(routes), entry["match"], entry["action"], **options))
            places.append(index)
        except ValueError as error:
            found.problem(f"actions.routes[{index}].match", f"is not usable: {error}")
    for later, earlier in RouteTable(routes).unreachable():
        line = found.line(f"actions.routes[{places[earlier]}]")
        found.problem(
            f"actions.routes[{places[later]}].match",
            f"is never reached: {routes[earlier].method} {routes[earlier].pattern} "
            f"in line {line} matches first",
        )


def _unpriced(found: Findings) -> None:
    if found.get("catalog", "file") is not None:
        return
    for index, entry in found.entries("actions", "routes"):
        if entry["cost_from_upstream"] is True and entry["cost_cents"] is None:
            found.warn(
                f"actions.routes[{index}].cost_from_upstream",
                "can lower nothing: neither the route nor a catalog says what the request costs",
            )


def _catalog(found: Findings) -> None:
    if found.offered is None:
        return
    for index, entry in found.entries("actions", "routes"):
        action = entry["action"]
        if action is not BAD and action not in found.offered:
            found.warn(
                f"actions.routes[{index}].action",
                f"{action} is not in the catalog, so every request of this route is refused",
            )


def _anonymous(found: Findings) -> None:
    enabled, allowed = found.get("anonymous", "enabled"), found.get("anonymous", "allowed_actions")
    if enabled is not True or allowed is BAD:
        return
    if not allowed:
        found.warn("anonymous.allowed_actions", "is empty, so anonymous requests may do nothing")
    actions = _route_actions(found)
    by_default = found.get("actions", "default") == "method_path"
    for index, pattern in enumerate(allowed):
        if actions is None or (by_default and (pattern == "*" or _METHOD_ACTION.match(pattern))):
            continue
        if not any(covers(pattern, action) for action in actions):
            found.warn(
                f"anonymous.allowed_actions[{index}]", f"{pattern} is the action of no route"
            )
    address, proxies = found.get("listen", "address"), found.get("listen", "trusted_proxies")
    told = found.get("listen", "proxy_protocol") == "v2"
    if proxies == () and not told and address is not BAD and not is_loopback(address.host):
        found.warn(
            "listen.trusted_proxies",
            "is empty: should a proxy stand before the gate, all behind it share one address "
            "and one anonymous limit",
        )


def _route_actions(found: Findings) -> set[str] | None:
    """The actions of all routes, None where some could not be read."""
    routes = found.get("actions", "routes")
    if not isinstance(routes, list) or any(r is BAD or r["action"] is BAD for r in routes):
        return None
    return {route["action"] for route in routes}


def _headers(found: Findings) -> None:
    _each_header(found, ("passport", "headers"), lambda name: header_rules(carriers=(name,)))
    _each_header(
        found, ("upstream", "pass_headers"), lambda name: header_rules(pass_headers=(name,))
    )


def _each_header(found: Findings, path: tuple[str, str], rules: Callable[[str], object]) -> None:
    names = found.get(*path)
    for index, name in enumerate(() if names is BAD else names):
        try:
            rules(name)
        except ValueError as error:
            found.problem(f"{'.'.join(path)}[{index}]", f"is not usable: {error}")


def _admin(found: Findings) -> None:
    token, tokens = found.get("admin", "token"), found.get("admin", "tokens")
    address = found.get("admin", "address")
    secrets: dict[str, str] = {}
    named = {"admin.token": token, "admin.metrics_token": found.get("admin", "metrics_token")}
    if tokens is not BAD:
        named |= {f"admin.tokens.{name}": entry["secret"] for name, entry in tokens.items()}
        if "admin" in tokens and token not in (None, BAD):
            found.problem("admin.tokens.admin", "has the name that admin.token has already")
    for path, secret in named.items():
        if secret in (None, BAD) or not found.at.secrets:
            continue
        # The name of a token goes into records, so it must be one person's.
        if secret.value in secrets:
            found.problem(path, f"holds the same secret as {secrets[secret.value]}")
        secrets.setdefault(secret.value, path)
        if len(secret.value) < _SHORT_TOKEN:
            found.warn(path, f"is shorter than {_SHORT_TOKEN} characters: use a long random one")
        if open_to_others(secret.reference, found.at.base):
            found.warn(
                path, f"stands in a file that everyone may read: chmod 600 {secret.reference}"
            )
    if address is not BAD and address.path is None and not is_loopback(address.host):
        if token is None and tokens == {}:
            found.warn("admin.address", "can be reached from outside, and no token is set")
        if found.get("admin", "metrics_token") is None:
            found.warn("admin.address", "can be reached from outside, and shows metrics to anyone")


def _addresses(found: Findings) -> None:
    listen, admin = found.get("listen", "address"), found.get("admin", "address")
    if BAD not in (listen, admin) and listen == admin and (listen.port or listen.path):
        found.problem("admin.address", f"is {listen}, which is listen.address already")
    for path, upstream in upstream_urls(found):
        if listen is BAD:
            continue
        if upstream.path is not None:
            itself = listen.path == upstream.path
        else:
            itself = listen.host == upstream.host and listen.port == upstream.port
        if itself:
            found.problem(path, f"is {upstream}, the gate itself")


def _tls(found: Findings) -> None:
    upstream, listen = found.get("upstream", "tls"), found.get("listen", "tls")
    if upstream not in (None, BAD):
        for path, url in upstream_urls(found):
            if url.scheme != "https":
                found.problem("upstream.tls", f"needs an https:// {path}")
                break
        if BAD not in (upstream["cert"], upstream["key"]):
            if (upstream["cert"] is None) != (upstream["key"] is None):
                found.problem("upstream.tls", "needs cert and key together")
            elif upstream["cert"] is not None:
                _key_pair(found, "upstream.tls", upstream)
        _authorities(found, "upstream.tls.ca", upstream["ca"])
    if listen not in (None, BAD):
        if BAD not in (listen["cert"], listen["key"]):
            _key_pair(found, "listen.tls", listen)
        _authorities(found, "listen.tls.client_ca", listen["client_ca"])
        if listen["client_ca"] is None and "listen.tls.client_auth" in found.at.lines:
            found.problem("listen.tls.client_auth", "needs client_ca: who would verify them?")


def _key_pair(found: Findings, path: str, tls: Tree) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The empty password keeps an encrypted key from asking the terminal for one.
        context.load_cert_chain(tls["cert"], tls["key"], password=lambda: b"")
    except (OSError, ValueError):
        found.problem(
            f"{path}.cert", "and key must be PEM files that fit together, the key not encrypted"
        )


def _authorities(found: Findings, path: str, file: Any) -> None:
    if file in (None, BAD):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (OSError, ValueError):
        found.problem(path, "must be a PEM file with certificates")


def _limits(found: Findings) -> None:
    limits = found.get("limits")
    if limits is BAD:
        return
    for smaller, larger in (("target_bytes", "header_bytes"), ("judged_body_bytes", "body_bytes")):
        path = f"limits.{smaller}"
        # The larger limit is met first, so a smaller one beyond it was written in vain.
        if (
            path in found.at.lines
            and BAD not in (limits[smaller], limits[larger])
            and limits[smaller] > limits[larger]
        ):
            found.warn(path, f"is above limits.{larger}, which counts first")
    rotate, keep = found.get("audit", "rotate"), found.get("audit", "keep", "bytes")
    if rotate is not BAD and keep not in (None, BAD) and keep < 2 * rotate:
        found.warn("audit.keep.bytes", "is less than two segments of audit.rotate")


CHECKS: Final[tuple[Callable[[Findings], None], ...]] = (
    _someone_may_call,
    upstream_check,
    ledger_check,
    _issuers,
    profile_check,
    formats_check,
    references_check,
    self_issued_check,
    _gate_constraints,
    approvals_check,
    _routes,
    _unpriced,
    _catalog,
    _anonymous,
    _headers,
    assertion_check,
    _admin,
    _addresses,
    _tls,
    proxy_protocol_check,
    _limits,
)
"""Every check, in the order of the keys that it is about."""
