"""Declared facts: exact, or the request is refused."""

from dataclasses import replace
from typing import Any

import pytest

from passgate.core.declared import read_facts
from passgate.core.facts import NO_FACTS, Facts
from passgate.core.header_rules import header_rules
from passgate.core.pricing import NO_TERMS, Terms
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.routes import make_route

RULES = RequestRules(header_rules())


def facts(
    route: dict[str, Any] | None,
    query: str = "",
    price: int | None = None,
    body: bytes = b"",
    currency: str | None = None,
) -> Facts | Refusal:
    sent = [(b"Host", b"a"), (b"Content-Type", b"application/json")]
    target = b"/x/seven?" + query.encode()
    request = canonical_request(Wire("POST", target, sent, "192.0.2.1"), RULES)
    assert isinstance(request, Request)
    request.body = body
    terms = Terms(price, currency=currency)
    if route is None:
        return read_facts(None, request, {}, terms)
    made = make_route(0, "POST /x/{id}", "a:b", **route)
    return read_facts(made, request, made.params(request.path), terms)


def refused(found: Facts | Refusal) -> tuple[str, int]:
    assert isinstance(found, Refusal)
    return found.code, found.http_status


def test_nothing_declared_is_nothing() -> None:
    assert facts(None) is NO_FACTS
    assert facts({}) is NO_FACTS
    assert facts({"cost_cents": 0}) is NO_FACTS


@pytest.mark.parametrize(
    ("route", "query", "price", "cost"),
    [
        ({"cost_cents": 50}, "", None, 50),
        ({"cost_cents": 50}, "", 7, 50),
        ({"cost_cents": 0}, "", 7, 0),
        ({}, "", 7, 7),
        (None, "", 7, 7),
        ({"cost_cents": "query:c"}, "c=12", 7, 12),
        ({"cost_cents": "query:c"}, "c=0", 7, 0),
        ({"cost_cents": "query:c"}, "", 7, 7),
        ({"cost_cents": "query:c"}, "", None, 0),
        ({"cost_cents": "query:c"}, "c=9007199254740991", None, 9007199254740991),
        ({"cost_cents": 50, "require": ["cost"]}, "", None, 50),
        ({"cost_cents": "query:c", "require": ["cost"]}, "", 7, 7),
        ({"require": ["cost"]}, "", 0, 0),
        ({"vendor": "query:v"}, "", 7, 7),
    ],
)
def test_the_cost_is_the_routes_else_the_catalogs(
    route: dict[str, Any] | None, query: str, price: int | None, cost: int
) -> None:
    found = facts(route, query, price)
    assert isinstance(found, Facts)
    assert found.cost_cents == cost


@pytest.mark.parametrize(
    "cost",
    ["-1", "1.5", "1.0", "1e3", "", "x", "0x1", "01", "9007199254740992", "%C2%B2", "+1", "1%20"],
)
def test_a_cost_that_is_no_whole_number_of_cents_is_refused(cost: str) -> None:
    assert refused(facts({"cost_cents": "query:c"}, f"c={cost}", 7)) == ("request_malformed", 400)


def test_a_cost_from_a_body_is_exact() -> None:
    found = facts({"cost_cents": "body:/c"}, body=b'{"c": 12}')
    assert isinstance(found, Facts)
    assert found.cost_cents == 12
    for body in (b'{"c": 12.5}', b'{"c": -1}', b'{"c": 1e2}', b'{"c": true}', b'{"c": 1, "c": 0}'):
        assert refused(facts({"cost_cents": "body:/c"}, body=body)) == ("request_malformed", 400)


def test_every_fact_is_read() -> None:
    found = facts(
        {
            "amount": "body:/amount",
            "vendor": "body:/vendor",
            "domain": "query:url",
            "resource": "path:id",
            "currency": "query:cur",
        },
        "url=https://Shop.example/x&cur=eur",
        body=b'{"amount": 7.42, "vendor": "acme"}',
    )
    assert found == Facts(0, (742, 2), "acme", "shop.example", "seven", "EUR")


def test_an_amount_may_be_a_text() -> None:
    found = facts({"amount": "body:/amount"}, body=b'{"amount": "7.40"}')
    assert isinstance(found, Facts)
    assert found.amount == (740, 2)


@pytest.mark.parametrize(
    "amount", [b"1e3", b"-1", b'"7,42"', b"null", b"1234567890123456789", b"[]"]
)
def test_an_amount_that_is_no_plain_decimal_is_refused(amount: bytes) -> None:
    body = b'{"amount": ' + amount + b"}"
    assert refused(facts({"amount": "body:/amount"}, body=body)) == ("request_malformed", 400)


@pytest.mark.parametrize("fact", ["vendor", "resource", "domain", "currency"])
@pytest.mark.parametrize(
    "value", [b"5", b'""', b'"a\\u0000"', b'"\\ud800"', b'"' + b"a" * 3000 + b'"']
)
def test_a_text_fact_that_is_no_plain_text_is_refused(fact: str, value: bytes) -> None:
    body = b'{"f": ' + value + b"}"
    assert refused(facts({fact: "body:/f"}, body=body)) == ("request_malformed", 400)


@pytest.mark.parametrize("fact", ["vendor", "resource", "domain", "currency", "amount"])
def test_a_fact_with_two_readings_is_refused(fact: str) -> None:
    assert refused(facts({fact: "query:f"}, "f=a&f=b")) == ("request_malformed", 400)


@pytest.mark.parametrize("url", ["http://a@b/", "//a/", "http://2130706433/", "a b"])
def test_an_ambiguous_domain_is_refused(url: str) -> None:
    assert refused(facts({"domain": "query:u"}, f"u={url.replace(' ', '+')}")) == (
        "request_malformed",
        400,
    )


@pytest.mark.parametrize("currency", ["EURO", "E1R", "e", "%C3%A9ur"])
def test_a_currency_is_three_letters(currency: str) -> None:
    assert refused(facts({"currency": "query:c"}, f"c={currency}"))[0] == "request_malformed"


@pytest.mark.parametrize("fact", ["amount", "vendor", "domain", "resource"])
def test_a_required_fact_that_is_absent_is_malformed(fact: str) -> None:
    """Only the agent can add it, so the request is at fault and not a limit."""
    assert refused(facts({fact: "query:f", "require": [fact]})) == ("request_malformed", 400)
    value = {"amount": "5", "domain": "a.example"}.get(fact, "x")
    assert isinstance(facts({fact: "query:f", "require": [fact]}, f"f={value}"), Facts)
    assert isinstance(facts({fact: "query:f"}), Facts)


def test_a_required_cost_that_nothing_knows_is_refused() -> None:
    assert refused(facts({"require": ["cost"]})) == ("constraint_violated", 403)
    route = {"cost_cents": "query:c", "require": ["cost"]}
    assert refused(facts(route)) == ("request_malformed", 400)


def test_a_body_of_another_type_is_415() -> None:
    made = make_route(0, "POST /x", "a:b", amount="body:/amount")
    sent = [(b"Host", b"a"), (b"Content-Type", b"text/plain")]
    request = canonical_request(Wire("POST", b"/x", sent, "192.0.2.1"), RULES)
    assert isinstance(request, Request)
    request.body = b"5"
    assert refused(read_facts(made, request, {})) == ("request_malformed", 415)


def test_the_currency_is_the_declared_one_or_the_catalogs() -> None:
    """In whatever letters it is declared."""
    declared = {"currency": "query:cur"}
    assert facts(declared, "cur=usd") == Facts(currency="USD")
    assert facts(declared, "cur=eur", currency="EUR") == Facts(currency="EUR")
    silent = Facts(currency="EUR", missing=("currency",))
    assert facts(declared, "", currency="EUR") == silent
    assert facts({"cost_cents": 5}, "", currency="EUR") == Facts(5, currency="EUR")


def test_a_currency_that_is_not_the_catalogs_is_refused() -> None:
    """The gate converts nothing."""
    found = facts({"currency": "query:cur"}, "cur=usd", 5, currency="EUR")
    assert isinstance(found, Refusal)
    assert (found.code, found.constraint) == ("constraint_violated", "core:pricing:currency")


def test_only_the_catalogs_price_has_minutes_and_free_calls() -> None:
    """A route that says what a request costs says all of it."""
    asked = Terms(5, 2, free_calls=3)
    sent = [(b"Host", b"a")]
    for spoken, query, by_catalog in (
        ({}, b"", True),
        ({"cost_cents": 9}, b"", False),
        ({"cost_cents": "query:c"}, b"c=9", False),
        ({"cost_cents": "query:c"}, b"", True),
        ({"vendor": "query:v"}, b"", True),
    ):
        wire = Wire("POST", b"/x/seven?" + query, sent, "192.0.2.1")
        request = canonical_request(wire, RULES)
        assert isinstance(request, Request)
        made = make_route(0, "POST /x/{id}", "a:b", **spoken)
        found = read_facts(made, request, {"id": "seven"}, asked)
        expected = Facts(7, minute_cents=2, free_calls=3) if by_catalog else Facts(9)
        if not query:
            expected = replace(expected, missing=tuple(spoken.keys() & {"vendor"}))
        assert found == expected, spoken
    assert read_facts(None, request, {}, NO_TERMS) is NO_FACTS


def test_what_a_route_asks_for_and_does_not_get_is_named() -> None:
    """A source that the request leaves empty is told from one that the route does not have."""
    silent = facts({"vendor": "query:v", "currency": "query:c", "resource": "query:r"}, "r=x")

    assert isinstance(silent, Facts)
    assert silent.missing == ("vendor", "currency")
    assert facts({"vendor": "query:v"}, "v=acme") == Facts(vendor="acme")
