"""Kinds of value that say what a request is: matches, actions, permissions, sources of facts."""

from typing import Any, Final

from passgate.config.kinds import BAD, At, ScalarKind, text, whole_number
from passgate.core.jws import is_name
from passgate.core.permissions import is_pattern
from passgate.core.sources import parse_source

_CENTS: Final = whole_number(0, 1_000_000_000_000)


def _parse_permission(value: Any, at: At) -> Any:
    del at
    return value if isinstance(value, str) and is_pattern(value) else BAD


def _parse_action(value: Any, at: At) -> Any:
    del at
    return value if isinstance(value, str) and is_name(value) and "*" not in value else BAD


def _parse_cost(value: Any, at: At) -> Any:
    return _CENTS.parse(value, at) if type(value) is int else A_FACT_SOURCE.parse(value, at)


def _parse_source(value: Any, at: At) -> Any:
    del at
    if not isinstance(value, str):
        return BAD
    try:
        parse_source(value)
    except ValueError as error:
        raise ValueError(f"is not usable: {error}") from None
    return value


_A_SOURCE: Final = "a source: header:NAME, query:NAME, path:NAME or body:/POINTER"

A_FACT_SOURCE: Final = ScalarKind(
    _A_SOURCE, {"type": "string", "pattern": "^(header|query|path|body):.+$"}, _parse_source
)
A_COST: Final = ScalarKind(
    f"a number of cents, or {_A_SOURCE}",
    {"anyOf": [dict(_CENTS.shape), dict(A_FACT_SOURCE.shape)]},
    _parse_cost,
)
A_MATCH: Final = text(
    "a method and a path such as GET /v1/items/{id} or ANY /public/**",
    r"\S+ +\S+",
    max_bytes=1024,
)
AN_ACTION: Final = ScalarKind(
    "the key of an action such as api:search", {"type": "string"}, _parse_action
)
A_PERMISSION: Final = ScalarKind(
    "an action such as api:search, a prefix such as api:*, or *",
    {"type": "string"},
    _parse_permission,
)
