"""The question of a dry run: one action, and what a request for it would say; nothing else."""

import json
from typing import Any

import pytest
from tests.support.decisions import catalog

from passgate.core.catalog import Catalog
from passgate.core.facts import Facts
from passgate.core.header_rules import header_rules
from passgate.core.policy import Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route
from passgate.proxy.dry_run import DryRun, read_dry_run

ROUTES = RouteTable(
    [
        make_route(0, "GET /v1/search", "api:search"),
        make_route(1, "POST /v1/export", "api:export", cost_cents=50),
        make_route(2, "PUT /v2/export", "api:export", cost_cents=70),
        make_route(3, "ANY /any", "any"),
        make_route(4, "POST /v1/orders", "shop:order", cost_cents="body:/cents"),
    ]
)
PRICED = catalog("api:search", "shop:order", search={"core:pricing:per_call_cents": 3})


def read(
    asked: Any, *, content_type: bytes = b"application/json", offered: Catalog | None = None
) -> DryRun | Refusal:
    raw = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    wire = Wire(
        "POST",
        b"/.well-known/passgate/check?x=1",
        [(b"Host", b"api.example"), (b"Content-Type", content_type)],
        "192.0.2.1",
    )
    request = canonical_request(wire, RequestRules(header_rules()))
    assert isinstance(request, Request)
    request.body = raw
    policy = Policy(
        gate_id="g", hash="", audience=frozenset(), routes=ROUTES, catalog=offered
    )  # fmt: skip
    return read_dry_run(request, policy)


def good(asked: Any, offered: Catalog | None = None) -> DryRun:
    found = read(asked, offered=offered)
    assert isinstance(found, DryRun), found
    return found


def test_an_action_alone_is_a_question() -> None:
    """Asked of the same client, host and headers, at the root."""
    found = good({"action": "api:search"})

    assert (found.action, found.facts) == ("api:search", Facts())
    judged = found.request
    assert (judged.method, judged.path, judged.query, judged.body) == ("GET", "/", b"", None)
    assert (judged.client, judged.host) == ("192.0.2.1", "api.example")


def test_everything_can_be_said() -> None:
    """Each member lands where a route's source would put it."""
    found = good(
        {
            "action": "shop:order",
            "target": "/v1/%6Frders?x=1",
            "method": "PATCH",
            "cost_cents": 50,
            "amount": "7.420",
            "vendor": "acme",
            "resource": "ledger",
            "domain": "https://Shop.Example:443/x",
        }
    )

    assert found.facts == Facts(50, (7420, 3), "acme", "shop.example", "ledger")
    judged = found.request
    assert (judged.method, judged.path) == ("PATCH", "/v1/orders")
    assert (judged.target, judged.query) == (b"/v1/%6Frders?x=1", b"x=1")


def test_an_amount_is_exact_as_a_number_too() -> None:
    """Its digits are read as written, as those of a body's source are."""
    assert good({"action": "a", "amount": 7.42}).facts.amount == (742, 2)


@pytest.mark.parametrize(
    ("asked", "method", "cents"),
    [
        ({"action": "api:export"}, "POST", 50),
        ({"action": "api:export", "target": "/v2/export"}, "PUT", 70),
        ({"action": "api:export", "method": "PUT", "target": "/v2/export"}, "PUT", 70),
        ({"action": "api:export", "target": "/elsewhere"}, "POST", 50),
        ({"action": "api:export", "cost_cents": 0}, "POST", 0),
        ({"action": "any", "target": "/any"}, "GET", 0),
        ({"action": "any", "target": "/any", "method": "DELETE"}, "DELETE", 0),
        ({"action": "shop:order"}, "POST", 0),
        ({"action": "no:such"}, "GET", 0),
    ],
)
def test_what_is_left_out_is_as_the_route_has_it(
    asked: dict[str, Any], method: str, cents: int
) -> None:
    """So that a question about an action costs what the action costs."""
    found = good(asked)

    assert (found.request.method, found.facts.cost_cents) == (method, cents)


def test_the_catalog_prices_what_no_route_does() -> None:
    """As it does for requests."""
    for action in ("api:search", "shop:order"):
        found = good({"action": action}, PRICED)
        assert (found.facts.cost_cents, found.priced) == (0, False)
    assert good({"action": "api:search", "cost_cents": 0}, PRICED).priced
    assert good({"action": "api:export"}, PRICED).priced


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"[]",
        b'"api:search"',
        b"null",
        b'{"action": "a", "action": "b"}',
        b'{"action": "a"} {}',
        b"{" * 100,
        {},
        {"action": 5},
        {"action": ""},
        {"action": "api:*"},
        {"action": "a\nb"},
        b'{"action": "\\ud800"}',
        {"action": "x" * 257},
        {"action": "a", "passport": "x"},
        {"action": "a", "method": "TRACE"},
        {"action": "a", "method": "get"},
        {"action": "a", "method": []},
        {"action": "a", "method": None},
        {"action": "a", "target": 5},
        {"action": "a", "target": "/é"},
        {"action": "a", "target": "v1"},
        {"action": "a", "target": ""},
        {"action": "a", "target": "/a/../b"},
        {"action": "a", "target": "http://other.example/"},
        {"action": "a", "target": "/a b"},
        {"action": "a", "target": "/a\r\nHost: b"},
        {"action": "a", "cost_cents": -1},
        {"action": "a", "cost_cents": 1.5},
        {"action": "a", "cost_cents": "5"},
        {"action": "a", "cost_cents": True},
        {"action": "a", "cost_cents": None},
        {"action": "a", "cost_cents": 2**53},
        b'{"action": "a", "cost_cents": 1e2}',
        {"action": "a", "amount": [5]},
        {"action": "a", "amount": "-5"},
        {"action": "a", "amount": "5,00"},
        {"action": "a", "amount": "1" * 19},
        {"action": "a", "vendor": ""},
        {"action": "a", "vendor": 5},
        {"action": "a", "vendor": "x" * 257},
        {"action": "a", "resource": "a\tb"},
        {"action": "a", "domain": "a@b"},
        {"action": "a", "domain": "http://0x7f.1/"},
        {"action": "a", "domain": None},
    ],
    ids=str,
)
def test_a_question_has_one_reading(asked: Any) -> None:
    """Whatever is not such a question is malformed, and nothing raises."""
    found = read(asked)

    assert isinstance(found, Refusal)
    assert (found.code, found.http_status) == ("request_malformed", 400)
    assert found.detail.isascii()


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"application/json; charset=latin1"])
def test_a_question_is_json(content_type: bytes) -> None:
    """Any other type is refused with 415."""
    found = read({"action": "api:search"}, content_type=content_type)

    assert isinstance(found, Refusal)
    assert found.http_status == 415
