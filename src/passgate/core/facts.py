"""What a request says about itself that rules look at: money, counterparty, content."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared facts of one request; None where the route declares no source for it.

    `cost_cents` is in minor units; `amount` is an exact decimal in the request's own unit, as
    (digits, scale): 7.42 is (742, 2). Where the cost is the catalog's price, `minute_cents` of it
    are for the first minute and owed again for each that follows, and an agent's first `free_calls`
    calls cost nothing; elsewhere both are 0. `currency` is the declared one, else the catalog's.
    """

    cost_cents: int = 0
    amount: tuple[int, int] | None = None
    vendor: str | None = None
    domain: str | None = None
    resource: str | None = None
    currency: str | None = None
    minute_cents: int = 0
    free_calls: int = 0


NO_FACTS = Facts()
