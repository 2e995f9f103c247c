"""Other systems' names for constraints: each stands for rows of the table, or is refused.

Names of delegation limits are read wherever constraints are. The guardrail object is the operator's
own, and is read in catalogs and in the gate's constraints.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from passgate.core.constraints.values import currency, flag, members
from passgate.core.judged_body import plain_decimal

Rows: TypeAlias = list[dict[str, object]]
"""What a name stands for: sets of rows, all of which are owed."""

_CUMULATIVE: Final = "core:cost:max_cumulative"
_WINDOW: Final = "core:cost:cumulative_window"

_DELEGATION: Final = {
    "max_per_action_cost": "core:cost:max_per_action",
    "rate_limit_per_minute": "core:rate:max_per_minute",
    "rate_limit_per_hour": "core:rate:max_per_hour",
    "allowed_domains": "core:scope:domain_allowlist",
    "allowed_paths": "core:scope:path_allowlist",
    "allowed_models": "core:scope:model_allowlist",
    "operating_hours": "core:time:operating_hours",
}
_SPENT_OVER: Final = {"max_daily_cost": "daily", "max_total_cost": "total"}

_RATES: Final = {
    "requests_per_minute": "core:rate:max_per_minute",
    "requests_per_hour": "core:rate:max_per_hour",
    "requests_per_day": "core:rate:max_per_day",
    "concurrent_requests": "core:rate:max_concurrent",
}
_DOMAINS: Final = {
    "allowed_domains": "core:scope:domain_allowlist",
    "blocked_domains": "core:scope:domain_blocklist",
}
_SPENDS: Final = frozenset(
    {"per_transaction_usd", "daily_usd", "monthly_usd", "require_approval_above_usd"}
)
_PII_MODES: Final = frozenset({"block", "redact", "log_only"})
_NONE: Final[frozenset[str]] = frozenset()
_MOST_DIGITS: Final = 15
"""Digits that every binary float keeps: what YAML and JSON have as a number is exact up to here."""

# ISO 4217: how many decimals a currency has where they are not two.
_DECIMALS: Final = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)


def translated(key: str, raw: object, *, guardrails: bool) -> Rows | None:
    """The rows that `key` stands for with this value; None where it stands for none.

    Raises `ValueError` whose text completes "KEY ..." where the value cannot be what it should.
    """
    if key in _DELEGATION:
        return [{_DELEGATION[key]: raw}]
    if key in _SPENT_OVER:
        return [{_CUMULATIVE: raw, _WINDOW: _SPENT_OVER[key]}]
    if guardrails and key in _GUARDRAILS:
        return _GUARDRAILS[key](raw)
    return None


def aliases(*, guardrails: bool) -> tuple[str, ...]:
    """Every name that is read."""
    return (*_DELEGATION, *_SPENT_OVER, *(_GUARDRAILS if guardrails else ()))


def _rate_limits(raw: object) -> Rows:
    given = members(raw, _NONE, frozenset(_RATES))
    return [{_RATES[name]: value} for name, value in given.items()]


def _domain_controls(raw: object) -> Rows:
    given = members(raw, _NONE, frozenset(_DOMAINS))
    return [{_DOMAINS[name]: value} for name, value in given.items()]


def _spend_limits(raw: object) -> Rows:
    given = members(raw, _NONE, _SPENDS | {"currency"})
    # The names say what it is where nothing else does.
    code = currency(given.get("currency", "USD"))
    rows: Rows = [{"core:cost:currency": code}]
    for name, value in given.items():
        if name == "currency":
            continue
        try:
            units = _minor_units(value, _DECIMALS.get(code, 2))
        except ValueError as error:
            raise ValueError(f"must have a {name} that is {error}") from None
        if name == "per_transaction_usd":
            rows.append({"core:cost:max_per_action": units})
        elif name == "require_approval_above_usd":
            rows.append({"core:cost:approval_threshold": units})
        else:
            rows.append({_CUMULATIVE: units, _WINDOW: name.removesuffix("_usd")})
    return rows


def _minor_units(raw: object, decimals: int) -> int:
    """A decimal amount in minor units, exactly; a number, or a text of one."""
    text = raw if isinstance(raw, str) else ""
    if type(raw) is int or type(raw) is float:
        text = repr(raw)
    found = plain_decimal(text)
    if found is None or (type(raw) is float and len(str(found[0])) > _MOST_DIGITS):
        raise ValueError(
            "a plain decimal, zero or more; in quotes where it is longer than 15 digits"
        )
    digits, scale = found
    whole: int = 10**scale
    units, rest = divmod(digits * int(10**decimals), whole)
    if rest:
        raise ValueError(f"of at most {decimals} decimals")
    return units


def _pii_controls(raw: object) -> Rows:
    mode = members(raw, frozenset({"mode"}), _NONE)["mode"]
    if not isinstance(mode, str) or mode not in _PII_MODES:
        raise ValueError("must have a mode that is block, redact or log_only")
    return [{"core:data:pii_mode": mode}]


def _enforce_permission_scope(raw: object) -> Rows:
    if not flag(raw):
        raise ValueError("must be true: permissions are always enforced")
    return []


def _guardrails(raw: object) -> Rows:
    given = members(raw, _NONE, frozenset(_GUARDRAILS) - {"guardrails"})
    rows: Rows = []
    for name, value in given.items():
        try:
            rows += _GUARDRAILS[name](value)
        except ValueError as error:
            raise ValueError(f"holds {name}, which {error}") from None
    return rows


_GUARDRAILS: Final[Mapping[str, Callable[[Any], Rows]]] = {
    "rate_limits": _rate_limits,
    "spend_limits": _spend_limits,
    "domain_controls": _domain_controls,
    "pii_controls": _pii_controls,
    "enforce_permission_scope": _enforce_permission_scope,
    "guardrails": _guardrails,
}
