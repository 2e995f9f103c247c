"""What a request says about itself that rules look at: money, counterparty, content."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared facts of one request; None where the route declares no source for it.

    `cost_cents` is in minor units; `amount` is an exact decimal in the request's own unit, as
    (digits, scale): 7.42 is (742, 2). Where the cost is the catalog's price, `minute_cents` of it
    are for the first minute and owed again for each that follows, and an agent's first `free_calls`
    calls cost nothing; elsewhere both are 0. `currency` is the declared one, else the catalog's.
    `missing` are those of vendor, domain, resource and currency that the route has a source for and
    the request does not hold.

    What is known of who presents stands here too: `model` that the agent runs, `assurance` as its
    identity, authenticator and federation level (1 to 3 each, None where one is not known), whether
    possession of the passport's key was `proven` with this request, and `chain_length`, how many
    passports it was delegated through. What is absent satisfies no rule that asks for it.
    """

    cost_cents: int = 0
    amount: tuple[int, int] | None = None
    vendor: str | None = None
    domain: str | None = None
    resource: str | None = None
    currency: str | None = None
    minute_cents: int = 0
    free_calls: int = 0
    missing: tuple[str, ...] = ()
    model: str | None = None
    assurance: tuple[int | None, int | None, int | None] = (None, None, None)
    proven: bool = False
    chain_length: int = 0


NO_FACTS = Facts()
