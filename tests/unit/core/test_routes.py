"""Routes: what one entry of `actions.routes` may be."""

from typing import Any

import pytest

from passgate.core.routes import make_route
from passgate.core.sources import Source


def test_a_route_is_what_was_written() -> None:
    route = make_route(
        3,
        "POST /v1/items/{id}/export",
        "api:export",
        cost_cents="query:cost",
        amount="body:/amount",
        vendor="header:X-Vendor",
        domain="query:url",
        resource="path:id",
        currency="query:cur",
        require=["cost", "amount"],
        redact=["id"],
    )
    assert (route.index, route.method, route.action) == (3, "POST", "api:export")
    assert route.name == "POST /v1/items/{id}/export"
    assert route.cost == Source("query", "cost")
    assert route.resource == Source("path", "id")
    assert route.require == {"cost", "amount"}
    assert route.judges_body
    assert route.declares
    assert route.params("/v1/items/a%20b/export") == {"id": "a%20b"}
    assert route.redacted("/v1/items/7/export") == "/v1/items/{id}/export"


def test_a_plain_route_declares_nothing() -> None:
    route = make_route(0, "GET /v1/search", "api:search", cost_cents=50)
    assert route.cost == 50
    assert not route.judges_body
    assert not route.declares
    assert route.params("/v1/search") == {}
    assert route.redacted("/v1/search") == "/v1/search"


def test_only_what_redact_names_is_hidden() -> None:
    route = make_route(0, "GET /a/{x}/{y}/**", "a:b", redact=["y"])
    assert route.redacted("/a/1/2/3") == "/a/1/{y}/3"
    assert route.params("/a/1/2/3/4") == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    "match",
    [
        "GET /",
        "GET /v1/",
        "ANY /public/**",
        "ANY /**",
        "GET /*/x",
        "OPTIONS *",
        "PROPFIND /x",
        "GET  /x",
        "GET /.well-known/x",
        "GET /caf%C3%A9",
        "GET /a:b@c,d",
        "GET /a%25",
    ],
)
def test_patterns_that_can_match(match: str) -> None:
    make_route(0, match, "a:b")


@pytest.mark.parametrize(
    ("match", "sentence"),
    [
        ("", "is no route"),
        ("/v1", "is no route"),
        ("GET", "is no route"),
        ("GET /a /b", "is no route"),
        ("GET v1", "begin with a slash"),
        ("GET *", "begin with a slash"),
        ("ANY *", "begin with a slash"),
        ("get /v1", "write GET"),
        ("any /v1", "write ANY"),
        ("CONNECT /v1", "refuses every CONNECT"),
        ("TRACE /v1", "refuses every TRACE"),
        ("GET /a/**/b", "must end"),
        ("GET /{id}/{id}", "names two parameters"),
        ("GET /{id", "whole segment"),
        ("GET /{}", "whole segment"),
        ("GET /{a-b}", "whole segment"),
        ("GET /x{id}", "whole segment"),
        ("GET /*.json", "whole segment"),
        ("GET /***", "whole segment"),
        ("GET //a", "no judged path"),
        ("GET /a//b", "no judged path"),
        ("GET /a/../b", "no judged path"),
        ("GET /a/.", "no judged path"),
        ("GET /a\\b", "no judged path"),
        ("GET /a%2Fb", "no judged path"),
        ("GET /a?b", "no judged path"),
        ("GET /a#b", "no judged path"),
        ("GET /café", "no judged path"),
        ("GET /caf%c3%a9", "write 'caf%C3%A9'"),
        ("GET /%61", "write 'a'"),
        ("GET /a%3Ab", "write 'a:b'"),
        ("GET /a;b", "cut a segment"),
    ],
)
def test_patterns_that_could_never_match_are_refused(match: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_route(0, match, "a:b")


@pytest.mark.parametrize("action", ["", "a:*", "*", "a\nb", "a" * 257])
def test_an_action_must_be_a_name(action: str) -> None:
    with pytest.raises(ValueError, match="cannot name an action"):
        make_route(0, "GET /", action)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cost_cents": -1}, "whole number of cents"),
        ({"cost_cents": 2**53}, "whole number of cents"),
        ({"cost_cents": True}, "whole number of cents"),
        ({"cost_cents": "50"}, "is no source"),
        ({"amount": "5"}, "is no source"),
        ({"vendor": "header:Host"}, "never reaches"),
        ({"resource": "path:name"}, "names no parameter"),
        ({"require": ["price"]}, "require knows"),
        ({"require": ["currency"]}, "require knows"),
        ({"require": ["amount"]}, "no source for it"),
        ({"redact": ["name"]}, "no parameter"),
    ],
)
def test_fields_that_cannot_be_enforced_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_route(0, "GET /x/{id}", "a:b", **fields)


def test_a_fact_of_a_hidden_parameter_is_hidden() -> None:
    """What `redact` keeps out of the path must not come back as a declared fact."""
    route = make_route(
        0,
        "GET /a/{x}/{y}",
        "a:b",
        resource="path:y",
        vendor="path:x",
        domain="query:y",
        redact=["y"],
    )

    hidden = [name for name in ("resource", "vendor", "domain", "currency") if route.hides(name)]

    assert hidden == ["resource"]
