"""What a request declares of itself, by the sources of its route."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from passgate.core.facts import NO_FACTS, Facts
from passgate.core.hosts import domain_of
from passgate.core.judged_body import Number, plain_decimal
from passgate.core.passport import Passport
from passgate.core.pricing import CURRENCY, GREATEST_CENTS, NO_TERMS, Terms
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.routes import Route
from passgate.core.sources import Reader, Source

_MAX_TEXT: Final = 256


def _malformed(detail: str) -> Refusal:
    return Refusal("request_malformed", detail)


_BAD_COST: Final = _malformed("The declared cost is not a plain whole number of cents.")
_BAD_AMOUNT: Final = _malformed("The declared amount is not a plain decimal of at most 18 digits.")
_BAD_CURRENCY: Final = _malformed("The declared currency is not three letters.")
_BAD_TEXT: Final = {
    name: _malformed(f"The declared {name} is not a text of 1 to 256 printable characters.")
    for name in ("vendor", "domain", "resource", "currency")
}
_MISSING: Final = {
    name: _malformed(f"This request must declare its {name}, and does not.")
    for name in ("amount", "vendor", "domain", "resource")
}
_NO_COST: Final = Refusal("constraint_violated", "This request must have a known cost.")
_NO_DECLARED_COST: Final = _malformed("This request must declare its cost, and does not.")
_OTHER_CURRENCY: Final = Refusal(
    "constraint_violated", "The catalog's prices are in another currency.", CURRENCY
)


def read_facts(
    route: Route | None,
    request: Request,
    params: Mapping[str, str],
    terms: Terms = NO_TERMS,
) -> Facts | Refusal:
    """What a request declares, by the sources of its route.

    The cost is the route's, else the price in `terms`, the catalog's, else 0. Where a fact that
    `require` names is absent the request is `request_malformed`, as only the agent can add it; a
    required cost that neither the route nor the catalog knows is `constraint_violated`, and so is a
    currency that is not the catalog's. A fact that has two readings, or not the shape of such a
    fact, is `request_malformed`, a body that cannot be judged likewise with status 415. Raises
    `ValueError` if a body source is read before the body.
    """
    if route is None or not route.declares:
        if route is None or route.cost is None:
            return terms.facts
        assert not isinstance(route.cost, Source)  # such a route declares
        return _priced(route.cost, terms.currency)
    reader = Reader(request, params)
    require = route.require
    cost = route.cost
    if isinstance(cost, Source):
        read = _cost(reader, cost)
        if isinstance(read, Refusal):
            return read
        if read is None and terms.cost_cents is None and "cost" in require:
            return _NO_DECLARED_COST
        cost = read
    by_catalog = cost is None
    if cost is None:
        if terms.cost_cents is None and "cost" in require:
            return _NO_COST
        cost = terms.facts.cost_cents
    amount = None
    if route.amount is not None:
        value = reader.read(route.amount)
        if isinstance(value, Refusal):
            return value
        if value is not None:
            amount = plain_decimal(value)
            if amount is None:
                return _BAD_AMOUNT
        elif "amount" in require:
            return _MISSING["amount"]
    texts: dict[str, str | None] = {}
    missing: list[str] = []
    for name, source in (
        ("vendor", route.vendor),
        ("domain", route.domain),
        ("resource", route.resource),
        ("currency", route.currency),
    ):
        text = None if source is None else _text(reader, source, name)
        if isinstance(text, Refusal):
            return text
        if text is None and name in require:
            return _MISSING[name]
        if text is None and source is not None:
            missing.append(name)
        texts[name] = text
    domain = texts["domain"]
    if domain is not None:
        host = domain_of(domain)
        if isinstance(host, Refusal):
            return host
        domain = host
    currency = texts["currency"]
    if currency is not None:
        currency = currency.upper()
        if len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
            return _BAD_CURRENCY
        if terms.currency is not None and currency != terms.currency:
            return _OTHER_CURRENCY
    return Facts(
        cost,
        amount,
        texts["vendor"],
        domain,
        texts["resource"],
        currency or terms.currency,
        terms.facts.minute_cents if by_catalog else 0,
        terms.facts.free_calls if by_catalog else 0,
        tuple(missing),
    )


def with_presenter(facts: Facts, passport: Passport, proven: bool = False) -> Facts:
    """The facts of a request together with those of whom `passport` says that it comes from.

    `proven` says that possession of its key was proven with this request.
    """
    chain, principal = passport.chain, passport.principal
    if not chain and not proven and principal is None and passport.model is None:
        return facts
    return replace(
        facts,
        chain_length=len(chain),
        proven=proven,
        model=passport.model,
        assurance=(None, None, None) if principal is None else principal.assurance,
    )


# Routes have few prices, and declare nothing else here: one of each is enough.
@lru_cache(maxsize=1024)
def _priced(cents: int, currency: str | None) -> Facts:
    return Facts(cents, currency=currency) if cents or currency else NO_FACTS


def _cost(reader: Reader, source: Source) -> int | Refusal | None:
    value = reader.read(source)
    if value is None or isinstance(value, Refusal):
        return value
    cents = plain_decimal(value)
    if cents is None or cents[1] or cents[0] > GREATEST_CENTS:
        return _BAD_COST
    return cents[0]


def _text(reader: Reader, source: Source, name: str) -> str | Refusal | None:
    value = reader.read(source)
    if value is None or isinstance(value, Refusal):
        return value
    # A number in a body has many spellings; what names somebody must be a text.
    longest = 2048 if name == "domain" else _MAX_TEXT
    if isinstance(value, Number) or not 0 < len(value) <= longest or not value.isprintable():
        return _BAD_TEXT[name]
    return value
