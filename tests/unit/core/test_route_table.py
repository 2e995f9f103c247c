"""The route table: first match in file order, at a flat cost."""

import gc
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from passgate.core.reasons import Refusal
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route


def table(*matches: str) -> RouteTable:
    return RouteTable(
        [make_route(index, match, f"a:{index}") for index, match in enumerate(matches)]
    )


def matched(routes: RouteTable, method: str, path: str) -> int | None:
    route = routes.match(method, path)
    assert not isinstance(route, Refusal)
    return None if route is None else route.index


@pytest.mark.parametrize(
    ("matches", "method", "path", "index"),
    [
        (["GET /a"], "GET", "/a", 0),
        (["GET /a"], "HEAD", "/a", 0),
        (["GET /a"], "POST", "/a", None),
        (["GET /a"], "get", "/a", None),
        (["GET /a"], "GET", "/a/", None),
        (["GET /a"], "GET", "/A", None),
        (["GET /a/"], "GET", "/a/", 0),
        (["GET /a/"], "GET", "/a", None),
        (["HEAD /a", "GET /a"], "HEAD", "/a", 0),
        (["HEAD /a", "GET /a"], "GET", "/a", 1),
        (["POST /a", "ANY /a"], "POST", "/a", 0),
        (["POST /a", "ANY /a"], "PURGE", "/a", 1),
        (["ANY /a", "POST /a"], "POST", "/a", 0),
        (["GET /{x}", "GET /a"], "GET", "/a", 0),
        (["GET /a", "GET /{x}"], "GET", "/a", 0),
        (["GET /a", "GET /{x}"], "GET", "/b", 1),
        (["GET /{x}"], "GET", "/", None),
        (["GET /*"], "GET", "/b", 0),
        (["GET /a/{x}/c", "GET /a/b/{y}"], "GET", "/a/b/c", 0),
        (["GET /a/{x}/c", "GET /a/b/{y}"], "GET", "/a/b/d", 1),
        (["GET /a/b/{y}", "GET /a/{x}/c"], "GET", "/a/b/c", 0),
        (["GET /a/b/d", "GET /a/{x}/c"], "GET", "/a/b/c", 1),
        (["GET /a/b/c/d", "GET /{x}/b/c"], "GET", "/a/b/c", 1),
        (["ANY /public/**"], "GET", "/public/", 0),
        (["ANY /public/**"], "GET", "/public/a/b", 0),
        (["ANY /public/**"], "GET", "/public", None),
        (["ANY /public/**"], "GET", "/publicity", None),
        (["ANY /**"], "GET", "/", 0),
        (["ANY /a/**", "GET /a/b"], "GET", "/a/b", 0),
        (["GET /a/b", "ANY /a/**"], "GET", "/a/b", 0),
        (["GET /a/{x}/**", "GET /a/**"], "GET", "/a/b", 1),
        (["ANY /**"], "OPTIONS", "*", None),
        (["OPTIONS *"], "OPTIONS", "*", 0),
        (["OPTIONS *"], "OPTIONS", "/", None),
        (["OPTIONS *"], "OPTIONS", "/*", None),
        (["GET /caf%C3%A9"], "GET", "/caf%C3%A9", 0),
        (["GET /{x}"], "GET", "/a%40b", 0),
        (["GET /{x}"], "GET", "/a;b", 0),
        ([], "GET", "/a", None),
    ],
)
def test_the_first_route_that_matches(
    matches: list[str], method: str, path: str, index: int | None
) -> None:
    assert matched(table(*matches), method, path) == index


@pytest.mark.parametrize(
    "path",
    ["/items%3Aexport", "/items%3Aexport;x", "/admin;x", "/admin%3Bx", "/admin;a=b;c"],
)
def test_a_path_that_servers_route_in_two_ways_is_refused(path: str) -> None:
    """Not judged as one action and served as another."""
    routes = table("GET /items:export", "GET /admin", "GET /{x}")
    found = routes.match("GET", path)
    assert isinstance(found, Refusal)
    assert found.code == "request_malformed"


def test_a_path_that_only_a_lenient_server_would_serve_is_refused() -> None:
    assert isinstance(table("GET /a/b").match("GET", "/a;x/b"), Refusal)
    assert table("GET /a/b").match("GET", "/c;x/b") is None


@pytest.mark.parametrize(
    ("matches", "unreachable"),
    [
        (["GET /a", "GET /a"], [(1, 0)]),
        (["GET /{x}", "GET /a"], [(1, 0)]),
        (["GET /a", "GET /{x}"], []),
        (["GET /{x}", "GET /{y}"], [(1, 0)]),
        (["GET /{x}", "GET /"], []),
        (["GET /{x}/", "GET /a/"], [(1, 0)]),
        (["ANY /**", "GET /a"], [(1, 0)]),
        (["ANY /**", "GET /a/**"], [(1, 0)]),
        (["ANY /a/{x}", "GET /a/**"], []),
        (["ANY /a/**", "GET /a"], []),
        (["ANY /a/**", "GET /a/{x}/**", "POST /a/"], [(1, 0), (2, 0)]),
        (["GET /a", "HEAD /a"], [(1, 0)]),
        (["HEAD /a", "GET /a"], []),
        (["HEAD /a", "ANY /a", "GET /a"], [(2, 1)]),
        (["GET /a", "ANY /a"], []),
        (["ANY /a", "GET /a", "PURGE /a"], [(1, 0), (2, 0)]),
        (["ANY /**", "OPTIONS *"], []),
        (["OPTIONS *", "OPTIONS *"], [(1, 0)]),
        (["GET /{x}/b", "GET /a/{y}", "GET /a/b"], [(2, 0)]),
        ([], []),
    ],
)
def test_routes_that_can_never_be_reached(
    matches: list[str], unreachable: list[tuple[int, int]]
) -> None:
    assert table(*matches).unreachable() == unreachable


def _lines_run(routes: RouteTable, path: str) -> int:
    """How many lines of the program one match runs: its cost, whatever the machine."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        # Only the gate's own lines: a garbage collection may run finalizers of others in between.
        nonlocal count
        count += event == "line" and "passgate" in frame.f_code.co_filename
        return trace

    before = sys.gettrace()
    # A collection would run other tests' finalizers, and count them.
    gc.disable()
    sys.settrace(trace)
    try:
        routes.match("GET", path)
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def test_the_cost_of_a_match_does_not_grow_with_the_routes() -> None:
    """10,000 routes cost what 10 do, for literal paths, patterns, and paths that match nothing."""

    def matches(number: int) -> Iterator[str]:
        for each in range(number):
            yield f"GET /v1/s{each}" if each % 2 else f"GET /v1/p{each}/{{id}}/export"

    few, many = table(*matches(10)), table(*matches(10_000))
    for path in ("/v1/s1", "/v1/p2/7/export", "/v1/p2/7/other", "/none"):
        assert _lines_run(few, path) == _lines_run(many, path)
