"""The route table agrees with trying every route in turn."""

import re

from hypothesis import given
from hypothesis import strategies as st

from passgate.core.reasons import Refusal
from passgate.core.route_table import RouteTable
from passgate.core.routes import Route, make_route

segments = st.sampled_from(["a", "b", "c", "{x}", "*"])
methods = st.sampled_from(["GET", "HEAD", "POST", "ANY"])
patterns = st.tuples(
    st.lists(segments, min_size=1, max_size=4), st.sampled_from(["", "", "/", "/**"])
)


def _match(method: str, pattern: tuple[list[str], str]) -> str:
    parts, ending = pattern
    named = [
        part.replace("x", f"x{index}") if "{" in part else part for index, part in enumerate(parts)
    ]
    return f"{method} /{'/'.join(named)}{ending}"


route_lists = st.lists(st.builds(_match, methods, patterns), max_size=12).map(
    lambda matches: [make_route(index, match, "a:b") for index, match in enumerate(matches)]
)
paths = st.tuples(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=5),
    st.sampled_from(["", "/"]),
).map(lambda made: "/" + "/".join(made[0]) + made[1])
requests = st.tuples(st.sampled_from(["GET", "HEAD", "POST", "PURGE"]), paths)


def _matches(route: Route, method: str, path: str) -> bool:
    """What the documents say of a pattern, by a regular expression of its own."""
    if route.method not in ("ANY", method) and (route.method, method) != ("GET", "HEAD"):
        return False
    expression = ""
    for part in route.pattern.split("/")[1:]:
        if part == "**":
            expression += "/.*"
        elif part == "*" or part.startswith("{"):
            expression += "/[^/]+"
        else:
            expression += "/" + re.escape(part)
    return re.fullmatch(expression, path) is not None


@given(route_lists, requests)
def test_the_first_match_in_file_order_wins(routes: list[Route], request: tuple[str, str]) -> None:
    method, path = request
    expected = next((route for route in routes if _matches(route, method, path)), None)
    assert RouteTable(routes).match(method, path) is expected


@given(route_lists, st.lists(requests, max_size=20))
def test_a_route_called_unreachable_is_never_matched(
    routes: list[Route], sent: list[tuple[str, str]]
) -> None:
    """And whatever it matches, the route that is said to cover it matches too."""
    table = RouteTable(routes)
    unreachable = dict(table.unreachable())
    for method, path in sent:
        found = table.match(method, path)
        assert not isinstance(found, Refusal)
        assert found is None or found.index not in unreachable
    for index, covering in unreachable.items():
        assert covering < index
        for method, path in sent:
            if _matches(routes[index], method, path):
                assert any(_matches(route, method, path) for route in routes[:index])


@given(route_lists)
def test_a_literal_route_that_is_not_called_unreachable_is_matched_by_its_own_path(
    routes: list[Route],
) -> None:
    table = RouteTable(routes)
    unreachable = dict(table.unreachable())
    for route in routes:
        if not route.names and "*" not in route.pattern:
            method = "PURGE" if route.method == "ANY" else route.method
            reached = [
                table.match(each, route.pattern)
                for each in ((method, "HEAD") if method == "GET" else (method,))
            ]
            assert (route in reached) is (route.index not in unreachable)
