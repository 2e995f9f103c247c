"""What a request says about itself that rules look at: money, counterparty, content."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared facts of one request; None where the route declares no source for it.

    `cost_cents` is in minor units; `amount` is an exact decimal in the request's own unit, as
    (digits, scale): 7.42 is (742, 2).
    """

    cost_cents: int = 0
    amount: tuple[int, int] | None = None
    vendor: str | None = None
    domain: str | None = None
    resource: str | None = None
    currency: str | None = None


NO_FACTS = Facts()
