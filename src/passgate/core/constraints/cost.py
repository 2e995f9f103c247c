"""What a request may cost, alone and together with others, and from where on a person decides."""

from typing import Final, TypeAlias

from passgate.core.constraints.base import Charge, Constraint, Context, Hold
from passgate.core.constraints.values import count, currency, duration_s
from passgate.core.reasons import Refusal

MAX_PER_ACTION: Final = "core:cost:max_per_action"
MAX_CUMULATIVE: Final = "core:cost:max_cumulative"
CUMULATIVE_WINDOW: Final = "core:cost:cumulative_window"
CURRENCY: Final = "core:cost:currency"
APPROVAL_THRESHOLD: Final = "core:cost:approval_threshold"

Window: TypeAlias = int | str
"""A calendar window's name, or the length of a rolling one in seconds."""

Limits: TypeAlias = tuple[tuple[Window, int], ...]
"""What may be spent in each window; several windows are all owed."""

_CALENDAR: Final = frozenset({"daily", "weekly", "monthly", "total"})

_TOO_DEAR: Final = Refusal(
    "budget_exhausted", "The request costs more than one may.", MAX_PER_ACTION
)
_OTHER_CURRENCY: Final = Refusal(
    "constraint_violated", "The request is not in the currency that is allowed.", CURRENCY
)
_DEAR: Final = Hold(APPROVAL_THRESHOLD, "A person must approve a request of this cost.")


def _judge_max_per_action(limit: int, context: Context) -> Refusal | None:
    return _TOO_DEAR if context.facts.cost_cents > limit else None


def _parse_max_cumulative(raw: object) -> Limits:
    return (("daily", count(raw)),)


def _merge_max_cumulative(left: Limits, right: Limits) -> Limits:
    limits = dict(left)
    for window, limit in right:
        limits[window] = min(limit, limits.get(window, limit))
    return tuple(sorted(limits.items(), key=lambda item: str(item[0])))


def _charge_max_cumulative(limits: Limits, subject: str) -> tuple[Charge, ...]:
    return tuple(
        Charge(f"spend/{window}/{subject}", "spend", window, 0, limit, MAX_CUMULATIVE)
        for window, limit in limits
    )


def _parse_window(raw: object) -> Window:
    if isinstance(raw, str) and raw in _CALENDAR:
        return raw
    try:
        return duration_s(raw)
    except ValueError:
        raise ValueError(
            "must be daily, weekly, monthly, total, or a duration from 1s to 366d, such as 90m"
        ) from None


def _apply_window(limits: Limits, window: Window) -> Limits:
    return ((window, limits[0][1]),)


def _parse_currency(raw: object) -> frozenset[str]:
    return frozenset((currency(raw),))


def _all(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    return left | right


def _judge_currency(wanted: frozenset[str], context: Context) -> Refusal | None:
    facts = context.facts
    # A route that asks for the currency is not answered by silence: the upstream has a default.
    if "currency" in facts.missing:
        return _OTHER_CURRENCY
    known = facts.currency
    return None if known is None or wanted == {known} else _OTHER_CURRENCY


def _judge_approval_threshold(threshold: int, context: Context) -> Hold | None:
    return _DEAR if context.facts.cost_cents > threshold else None


_CENTS: Final = "a whole number of minor units (cents)"
_COST: Final = (
    "The cost is the route's `cost_cents`, else the catalog's price, else 0; a route that requires"
    " a cost refuses a request without one."
)

ROWS: Final = (
    Constraint(
        key=MAX_PER_ACTION,
        order=40,
        parse=count,
        merge=min,
        value=_CENTS,
        refuses="the request costs more; exactly this much passes (`budget_exhausted`)",
        merging="the least",
        example=500,
        note=_COST,
        judge=_judge_max_per_action,
    ),
    Constraint(
        key=MAX_CUMULATIVE,
        order=41,
        parse=_parse_max_cumulative,
        merge=_merge_max_cumulative,
        value=_CENTS,
        refuses=(
            "what was spent in the window, what is reserved and what this request costs are"
            " together more (`budget_exhausted`)"
        ),
        merging="the least for each window; limits over different windows are all owed",
        example=10000,
        note="The window is `core:cost:cumulative_window`, by default `daily`. " + _COST,
        charge=_charge_max_cumulative,
    ),
    Constraint(
        key=CUMULATIVE_WINDOW,
        order=41,
        parse=_parse_window,
        merge=_apply_window,
        value=(
            "`daily` (from 00:00 UTC), `weekly` (from Monday), `monthly` (from the 1st), `total`,"
            " or a duration such as `90m` for a rolling window"
        ),
        refuses="never by itself: it says over which time `core:cost:max_cumulative` sums",
        merging="with its limit",
        example="weekly",
        note="Without `core:cost:max_cumulative` beside it, it is an error.",
        parameter_of=MAX_CUMULATIVE,
    ),
    Constraint(
        key=CURRENCY,
        order=42,
        parse=_parse_currency,
        merge=_all,
        value="a currency of ISO 4217",
        refuses=(
            "the currency that the request declares, or that of the catalog's price, is another, or"
            " the route has a source for it and the request does not say it"
        ),
        merging="all must hold, so two different currencies allow none",
        example="EUR",
        note=(
            "A route declares it with `currency`, the catalog with `core:pricing:currency`. Where"
            " neither names any, the gate's prices are in one currency and this refuses nothing."
        ),
        judge=_judge_currency,
    ),
    Constraint(
        key=APPROVAL_THRESHOLD,
        order=43,
        parse=count,
        merge=min,
        value=_CENTS,
        refuses="holds, when the request costs strictly more (`approval_required`)",
        merging="the least",
        example=2500,
        note=_COST,
        judge=_judge_approval_threshold,
    ),
)
"""The rows of this family."""
