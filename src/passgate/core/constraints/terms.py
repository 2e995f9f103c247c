"""Terms: what a call costs and what its service promises; recorded, never judged."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from passgate.core.constraints.base import Constraint
from passgate.core.constraints.values import count, text


def _currency(raw: object) -> str:
    code = text(raw)
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError("must be a currency of ISO 4217: three capital letters, such as EUR")
    return code


def _right(_left: Any, right: Any) -> Any:
    return right


def _term(
    key: str, order: int, parse: Callable[[object], Any], value: str, example: object
) -> Constraint:
    return Constraint(
        key=key,
        order=order,
        parse=parse,
        merge=_right,
        value=value,
        refuses="never: a term is recorded with each decision",
        merging="the catalog's; within one subject, the one that is merged last",
        example=example,
    )


_COUNT = "a whole number"

ROWS = (
    _term("core:pricing:per_call_cents", 80, count, _COUNT + " of minor units", 5),
    _term("core:pricing:per_minute_cents", 81, count, _COUNT + " of minor units", 2),
    _term("core:pricing:subscription_cents", 82, count, _COUNT + " of minor units", 4900),
    _term("core:pricing:model", 83, text, "a text", "per_call"),
    _term("core:pricing:currency", 84, _currency, "a currency of ISO 4217", "EUR"),
    replace(
        _term("core:pricing:free_tier_calls", 85, count, _COUNT, 100),
        note="Recorded, and not deducted by this version: the price counts from the first call.",
    ),
    _term("core:sla:uptime_basis_points", 86, count, _COUNT + " of basis points", 9990),
    _term("core:sla:response_time_ms", 87, count, _COUNT + " of milliseconds", 200),
    _term("core:sla:p99_response_ms", 88, count, _COUNT + " of milliseconds", 800),
    _term("core:sla:guaranteed_response_ms", 89, count, _COUNT + " of milliseconds", 2000),
    _term("core:platform_fee:basis_points", 90, count, _COUNT + " of basis points", 250),
    _term("core:platform_fee:recipient", 91, text, "a text", "gate_market"),
)
"""The rows of this family."""
