"""What the catalog asks for one action: its price, its free calls, its currency, and the fee on it.

Money is whole minor units (cents) everywhere, and every sum here is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from passgate.core.facts import NO_FACTS, Facts

PER_CALL: Final = "core:pricing:per_call_cents"
PER_MINUTE: Final = "core:pricing:per_minute_cents"
FREE_CALLS: Final = "core:pricing:free_tier_calls"
CURRENCY: Final = "core:pricing:currency"
FEE: Final = "core:platform_fee:basis_points"
RECIPIENT: Final = "core:platform_fee:recipient"

GREATEST_CENTS: Final = 2**53 - 1
"""The most that anything can cost: the greatest integer that every reader of a line keeps exact."""

WHOLE: Final = 10_000
"""Basis points in a whole."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the catalog asks for an action. `call_cents` is None where it states no price by call.

    `minute_cents` is added for every minute that was begun. The first `free_calls` calls of each
    agent cost nothing. `fee_basis_points` of what a call cost are `fee_recipient`'s.
    """

    call_cents: int | None = None
    minute_cents: int = 0
    free_calls: int = 0
    currency: str | None = None
    fee_basis_points: int = 0
    fee_recipient: str = ""
    facts: Facts = field(init=False, repr=False, compare=False, default=NO_FACTS)

    def __post_init__(self) -> None:
        cents = self.cost_cents or 0
        facts = Facts(
            cents,
            currency=self.currency,
            minute_cents=self.minute_cents,
            free_calls=self.free_calls if cents else 0,
        )
        # What a request has that declares nothing itself: one for all of them.
        object.__setattr__(self, "facts", NO_FACTS if facts == NO_FACTS else facts)

    @property
    def cost_cents(self) -> int | None:
        """What a call costs at its beginning, its first minute included; None without a price."""
        if self.call_cents is None:
            return self.minute_cents or None
        return self.call_cents + self.minute_cents


NO_TERMS: Final = Terms()


def priced_by(terms: Terms, facts: Facts) -> Facts:
    """`facts` at the price of `terms`, whatever their own was."""
    of_terms = terms.facts
    return replace(
        facts,
        cost_cents=of_terms.cost_cents,
        currency=facts.currency or of_terms.currency,
        minute_cents=of_terms.minute_cents,
        free_calls=of_terms.free_calls,
    )


def read_terms(values: Mapping[str, Any]) -> Terms:
    """The terms among the parsed constraints of a catalog entry.

    Raises `ValueError` with a sentence where a call's price and its first minute's are together
    more than anything can cost.
    """
    terms = Terms(
        values.get(PER_CALL),
        values.get(PER_MINUTE, 0),
        values.get(FREE_CALLS, 0),
        values.get(CURRENCY),
        values.get(FEE, 0),
        values.get(RECIPIENT, ""),
    )
    if (terms.cost_cents or 0) > GREATEST_CENTS:
        raise ValueError(
            f"`{PER_CALL}` and `{PER_MINUTE}` must together be at most {GREATEST_CENTS}"
        )
    return NO_TERMS if terms == NO_TERMS else terms


def fee_cents(cost_cents: int, basis_points: int) -> int:
    """The platform's fee on a cost: `ceil(cost_cents * basis_points / 10000)`."""
    return -(-cost_cents * basis_points // WHOLE)


def started_minutes(elapsed_ms: int) -> int:
    """How many minutes have begun after so long: one at once, the second when a minute is over."""
    return max(1, -(-elapsed_ms // 60_000))
