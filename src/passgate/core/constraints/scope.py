"""Which actions, hosts, paths, methods, resources, clients and models a request may be about.

A list that allows, merged with another, becomes both: a value is a tuple of lists, every one of
which must match. Patterns have no exact intersection, and to require both lets through exactly
what both let through.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple, TypeAlias

from passgate.core.client_address import normal_address
from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.domains import Domains, canonical, domains
from passgate.core.constraints.globs import PathGlobs, forbidden_globs, path_globs
from passgate.core.constraints.patterns import (
    ActionPatterns,
    action_patterns,
    forbid,
    forbidden_patterns,
)
from passgate.core.constraints.values import texts
from passgate.core.reasons import Refusal

ACTION_BLOCKLIST = "core:scope:action_blocklist"
ACTION_ALLOWLIST = "core:scope:action_allowlist"
DOMAIN_BLOCKLIST = "core:scope:domain_blocklist"
DOMAIN_ALLOWLIST = "core:scope:domain_allowlist"
PATH_BLOCKLIST = "core:scope:path_blocklist"
PATH_ALLOWLIST = "core:scope:path_allowlist"
METHOD_ALLOWLIST = "core:scope:method_allowlist"
RESOURCE_ALLOWLIST = "core:scope:resource_allowlist"
IP_ALLOWLIST = "core:scope:ip_allowlist"
MODEL_ALLOWLIST = "core:scope:model_allowlist"

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")


def _forbidden(key: str, detail: str) -> Refusal:
    return Refusal("constraint_violated", detail, key)


_ACTION_BLOCKED = _forbidden(ACTION_BLOCKLIST, "The action is on a list of those forbidden.")
_ACTION_NOT_ALLOWED = _forbidden(ACTION_ALLOWLIST, "The action is not on a list of those allowed.")
_DOMAIN_BLOCKED = _forbidden(DOMAIN_BLOCKLIST, "The host is on a list of those forbidden.")
_DOMAIN_NOT_ALLOWED = _forbidden(DOMAIN_ALLOWLIST, "The host is not on a list of those allowed.")
_PATH_BLOCKED = _forbidden(PATH_BLOCKLIST, "The path is on a list of those forbidden.")
_PATH_NOT_ALLOWED = _forbidden(PATH_ALLOWLIST, "The path is not on a list of those allowed.")
_METHOD_NOT_ALLOWED = _forbidden(METHOD_ALLOWLIST, "The method is not on a list of those allowed.")
_RESOURCE_UNKNOWN = _forbidden(RESOURCE_ALLOWLIST, "The request declares no resource or vendor.")
_RESOURCE_NOT_ALLOWED = _forbidden(
    RESOURCE_ALLOWLIST, "The resource or vendor is not on a list of those allowed."
)
_IP_NOT_ALLOWED = _forbidden(IP_ALLOWLIST, "The client's address is not among those allowed.")
_MODEL_UNKNOWN = _forbidden(MODEL_ALLOWLIST, "The agent's model is not known to the gate.")
_MODEL_NOT_ALLOWED = _forbidden(MODEL_ALLOWLIST, "The agent's model is not among those allowed.")


# Values: what forbids is one list, what allows is a conjunction of lists.


def _all_of(read: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    def parse(raw: object) -> tuple[Any, ...]:
        return (read(raw),)

    return parse


def _both(left: tuple[Any, ...], right: tuple[Any, ...]) -> tuple[Any, ...]:
    return left + tuple(entry for entry in right if entry not in left)


def _union(left: Any, right: Any) -> Any:
    return left | right


def _intersection(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    return left & right


def _names(raw: object) -> frozenset[str]:
    return frozenset(texts(raw))


def _methods(raw: object) -> frozenset[str]:
    methods = texts(raw)
    if not all(_METHOD.fullmatch(method) for method in methods):
        raise ValueError("must be a list of HTTP methods, such as GET")
    return frozenset(method.upper() for method in methods)


class _Network(NamedTuple):
    """A network as the numbers of its first and last address."""

    version: int
    first: int
    last: int


Networks: TypeAlias = tuple[_Network, ...]


def _networks(raw: object) -> Networks:
    try:
        return tuple(sorted({_network(entry) for entry in texts(raw)}))
    except ValueError:
        raise ValueError(
            "must be a list of addresses and networks such as 10.0.0.0/8, without host bits"
        ) from None


def _network(entry: str) -> _Network:
    # Without this `10.0.0.0/0.255.255.255` would be read as a host mask, and be 10.0.0.0/8.
    if not _NETWORK.fullmatch(entry):
        raise ValueError(entry)
    network: IPv4Network | IPv6Network = ip_network(entry)
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        # Clients are compared as IPv4 where they are IPv4-mapped, so networks are too.
        low = int(network.network_address) & 0xFFFF_FFFF
        network = IPv4Network((low, network.prefixlen - 96))
    return _Network(network.version, int(network.network_address), int(network.broadcast_address))


# An address is read once and not per request: it takes longer than all of the comparing.
@lru_cache(maxsize=8192)
def _address(client: str) -> tuple[int, int] | None:
    normal = normal_address(client)
    try:
        address = ip_address(normal or "")
    except ValueError:
        return None
    return address.version, int(address)


# Judges.


def _judge_action_blocklist(patterns: ActionPatterns, context: Context) -> Refusal | None:
    return _ACTION_BLOCKED if forbid(patterns, context.action) else None


def _judge_action_allowlist(lists: tuple[ActionPatterns, ...], context: Context) -> Refusal | None:
    action = context.action
    for patterns in lists:
        if not patterns.cover(action):
            return _ACTION_NOT_ALLOWED
    return None


def _host(context: Context) -> str | None:
    domain = context.facts.domain
    return canonical(context.request.host if domain is None else domain)


def _judge_domain_blocklist(listed: Domains, context: Context) -> Refusal | None:
    host = _host(context)
    return _DOMAIN_BLOCKED if host is None or listed.forbid(host) else None


def _judge_domain_allowlist(lists: tuple[Domains, ...], context: Context) -> Refusal | None:
    host = _host(context)
    for listed in lists:
        if host is None or not listed.allow(host):
            return _DOMAIN_NOT_ALLOWED
    return None


def _judge_path_blocklist(globs: PathGlobs, context: Context) -> Refusal | None:
    return _PATH_BLOCKED if globs.forbid(context.request.path) else None


def _judge_path_allowlist(lists: tuple[PathGlobs, ...], context: Context) -> Refusal | None:
    path = context.request.path
    for globs in lists:
        if not globs.match(path):
            return _PATH_NOT_ALLOWED
    return None


def _judge_method_allowlist(methods: frozenset[str], context: Context) -> Refusal | None:
    return None if context.request.method in methods else _METHOD_NOT_ALLOWED


def _judge_resource_allowlist(names: frozenset[str], context: Context) -> Refusal | None:
    resource = context.facts.resource
    vendor = context.facts.vendor
    if resource is None and vendor is None:
        return _RESOURCE_UNKNOWN
    # Whatever is declared must be listed: else a listed vendor would carry any resource.
    if (resource is None or resource in names) and (vendor is None or vendor in names):
        return None
    return _RESOURCE_NOT_ALLOWED


def _judge_ip_allowlist(lists: tuple[Networks, ...], context: Context) -> Refusal | None:
    address = _address(context.request.client)
    if address is None:
        return _IP_NOT_ALLOWED
    version, number = address
    for networks in lists:
        for network in networks:
            if network.version == version and network.first <= number <= network.last:
                break
        else:
            return _IP_NOT_ALLOWED
    return None


def _judge_model_allowlist(models: frozenset[str], context: Context) -> Refusal | None:
    model = context.facts.model
    if model is None:
        return _MODEL_UNKNOWN
    return None if model in models else _MODEL_NOT_ALLOWED


_FORBIDS = "the union"
_ALLOWS = "the intersection: every list must match"
_LENIENT = (
    " Compared as written, and also as a lenient server reads it: escapes decoded once, in lower"
    " case, each segment cut at `;`, with and without a final `/`."
)
_PATTERNS = "a list of actions, `namespace:*` or `*`"
_HOSTS = "a list of hosts, and `.domain` for every subdomain of it"
_GLOBS = "a list of globs over the path: `*` inside a segment, `**` across"
_HOST_NOTE = (
    "The host is the domain that the request declares, else the host that it is sent to, compared"
    " in lower case and without port. A host that is not certain is refused."
)

ROWS = (
    Constraint(
        key=ACTION_BLOCKLIST,
        order=20,
        parse=forbidden_patterns,
        merge=_union,
        value=_PATTERNS,
        refuses="the action matches",
        merging=_FORBIDS,
        example=["shop:refund", "admin:*"],
        note="`a:*` covers `a:b` and `a:b:c`, not `a`." + _LENIENT,
        judge=_judge_action_blocklist,
    ),
    Constraint(
        key=ACTION_ALLOWLIST,
        order=21,
        parse=_all_of(action_patterns),
        merge=_both,
        value=_PATTERNS,
        refuses="the action matches none",
        merging=_ALLOWS,
        example=["api:search", "shop:*"],
        note="`a:*` covers `a:b` and `a:b:c`, not `a`. An empty list allows nothing.",
        judge=_judge_action_allowlist,
    ),
    Constraint(
        key=DOMAIN_BLOCKLIST,
        order=22,
        parse=domains,
        merge=_union,
        value=_HOSTS,
        refuses="the host is listed, or is the domain or a subdomain of a `.domain` entry",
        merging=_FORBIDS,
        example=["ads.example.org", ".example.net"],
        note=_HOST_NOTE,
        judge=_judge_domain_blocklist,
    ),
    Constraint(
        key=DOMAIN_ALLOWLIST,
        order=23,
        parse=_all_of(domains),
        merge=_both,
        value=_HOSTS,
        refuses="the host is neither listed nor a subdomain of a `.domain` entry",
        merging=_ALLOWS,
        example=["api.example.org", ".example.com"],
        note=(
            "`.example.com` allows `www.example.com` and not `example.com`; list both where both"
            " are meant. An empty list allows nothing. " + _HOST_NOTE
        ),
        judge=_judge_domain_allowlist,
    ),
    Constraint(
        key=PATH_BLOCKLIST,
        order=24,
        parse=forbidden_globs,
        merge=_union,
        value=_GLOBS,
        refuses="the path matches",
        merging=_FORBIDS,
        example=["/admin/**", "/v1/*/secrets"],
        note="`/admin/**` forbids `/admin` too." + _LENIENT,
        judge=_judge_path_blocklist,
    ),
    Constraint(
        key=PATH_ALLOWLIST,
        order=25,
        parse=_all_of(path_globs),
        merge=_both,
        value=_GLOBS,
        refuses="the path matches none",
        merging=_ALLOWS,
        example=["/v1/search", "/public/**"],
        note="Compared exactly with the judged path. An empty list allows nothing.",
        judge=_judge_path_allowlist,
    ),
    Constraint(
        key=METHOD_ALLOWLIST,
        order=26,
        parse=_methods,
        merge=_intersection,
        value="a list of HTTP methods",
        refuses="the method is not listed",
        merging="the intersection",
        example=["GET", "HEAD"],
        note="GET does not include HEAD. An empty list allows nothing.",
        judge=_judge_method_allowlist,
    ),
    Constraint(
        key=RESOURCE_ALLOWLIST,
        order=27,
        parse=_names,
        merge=_intersection,
        value="a list of resources and vendors",
        refuses="the declared resource or vendor is not listed, or none is declared",
        merging="the intersection",
        example=["acme", "orders"],
        note=(
            "Compared exactly. Where a request declares both, both must be listed. A route declares"
            " them with `resource` and `vendor`. An empty list allows nothing."
        ),
        judge=_judge_resource_allowlist,
    ),
    Constraint(
        key=IP_ALLOWLIST,
        order=28,
        parse=_all_of(_networks),
        merge=_both,
        value="a list of networks (CIDR) and addresses, without host bits",
        refuses="the client's address is in none of them",
        merging=_ALLOWS,
        example=["192.0.2.0/24", "2001:db8::/32"],
        note=(
            "The client is judged behind trusted proxies only. An IPv4-mapped IPv6 address is its"
            " IPv4 address. A client on a Unix socket has no address and is refused. An empty list"
            " allows nothing."
        ),
        judge=_judge_ip_allowlist,
    ),
    Constraint(
        key=MODEL_ALLOWLIST,
        order=29,
        parse=_names,
        merge=_intersection,
        value="a list of model names",
        refuses="the model that the passport names is not listed, or it names none",
        merging="the intersection",
        example=["model-a"],
        note="Only csp passports name a model, in `agent_model`; no other passport satisfies it.",
        judge=_judge_model_allowlist,
    ),
)
"""The rows of this family."""
