"""Terms: what a call costs and what its service promises; recorded, never judged by themselves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from passgate.core.constraints.base import Constraint
from passgate.core.constraints.values import count, currency, text
from passgate.core.pricing import CURRENCY, FEE, FREE_CALLS, PER_CALL, PER_MINUTE, RECIPIENT, WHOLE


def _basis_points(raw: object) -> int:
    points = count(raw)
    if points > WHOLE:
        raise ValueError("must be a whole number of basis points from 0 to 10000, which is all")
    return points


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

_OF_CATALOG: Final = " Only the catalog's counts: a passport's or the gate's own is recorded."

ROWS: Final = (
    replace(
        _term(PER_CALL, 80, count, _COUNT + " of minor units", 5),
        note=(
            "What one call costs, where its route says nothing of the cost; with"
            f" `{PER_MINUTE}` both are owed." + _OF_CATALOG
        ),
    ),
    replace(
        _term(PER_MINUTE, 81, count, _COUNT + " of minor units", 2),
        note=(
            "Owed for each minute that has begun, where the route says nothing of the cost: the"
            " first with the decision, each other one while the exchange lasts, which is cut where"
            " the budget does not cover it." + _OF_CATALOG
        ),
    ),
    _term("core:pricing:subscription_cents", 82, count, _COUNT + " of minor units", 4900),
    _term("core:pricing:model", 83, text, "a text", "per_call"),
    replace(
        _term(CURRENCY, 84, currency, "a currency of ISO 4217", "EUR"),
        note=(
            "The currency of the catalog's prices: a request that declares another one is refused"
            " (`constraint_violated`)." + _OF_CATALOG
        ),
    ),
    replace(
        _term(FREE_CALLS, 85, count, _COUNT, 100),
        note=(
            "So many calls of each agent cost nothing, for as long as the catalog's price counts;"
            " a call of which nothing was sent upstream is not one of them. Limits on the cost of"
            " one action, and thresholds for approval, judge a free call by its price."
            + _OF_CATALOG
        ),
    ),
    _term("core:sla:uptime_basis_points", 86, count, _COUNT + " of basis points", 9990),
    _term("core:sla:response_time_ms", 87, count, _COUNT + " of milliseconds", 200),
    _term("core:sla:p99_response_ms", 88, count, _COUNT + " of milliseconds", 800),
    _term("core:sla:guaranteed_response_ms", 89, count, _COUNT + " of milliseconds", 2000),
    replace(
        _term(FEE, 90, _basis_points, "basis points, 0 to 10000", 250),
        note=(
            "The platform's share of what a call costs, rounded up to whole minor units and"
            " recorded with each decision and outcome; nobody is charged more for it." + _OF_CATALOG
        ),
    ),
    _term(RECIPIENT, 91, text, "a text", "gate_market"),
)
"""The rows of this family."""
