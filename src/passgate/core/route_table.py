"""Finds the first route in file order that matches, at a cost that no number of routes raises."""

from collections.abc import Sequence
from typing import Final

from passgate.core.reasons import Refusal
from passgate.core.routes import ANY, ONE, REST, Route
from passgate.core.target import plain_path, without_parameters

_NO_ROUTE: Final = 1 << 62

_TWO_ACTIONS: Final = Refusal(
    "request_malformed", "Servers could read the path of this request as two different ones."
)


class _Node:
    """One segment of the patterns of one method; numbers are the least indexes of routes.

    `end` is the route that ends here, `rest` the one with `**` after this segment's slash, and
    `least` the least below, so that a search leaves out what cannot win any more.
    """

    __slots__ = ("end", "least", "literals", "one", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.one: _Node | None = None
        self.end = _NO_ROUTE
        self.rest = _NO_ROUTE
        self.least = _NO_ROUTE

    def add(self, route: Route) -> None:
        node = self
        node.least = min(node.least, route.index)
        for segment in route.segments:
            if segment == REST:
                node.rest = min(node.rest, route.index)
                return
            if segment == ONE:
                if node.one is None:
                    node.one = _Node()
                node = node.one
            else:
                node = node.literals.setdefault(segment, _Node())
            node.least = min(node.least, route.index)
        node.end = min(node.end, route.index)

    def first(self, parts: Sequence[str]) -> int:
        """The least index of a route that matches these segments."""
        best = _NO_ROUTE
        length = len(parts)
        others = [(self, 0)]
        while others:
            node, at = others.pop()
            while node.least < best:
                if at == length:
                    best = min(best, node.end)
                    break
                if node.rest < best:
                    best = node.rest
                part = parts[at]
                at += 1
                literal = node.literals.get(part)
                one = node.one if part else None
                if literal is None:
                    if one is None:
                        break
                    node = one
                else:
                    if one is not None:
                        others.append((one, at))
                    node = literal
        return best

    def first_covering(self, segments: Sequence[str]) -> int:
        """The least index of a route that matches all that a pattern of these segments matches."""
        best = _NO_ROUTE
        others = [(self, 0)]
        while others:
            node, at = others.pop()
            if at == len(segments):
                best = min(best, node.end)
                continue
            best = min(best, node.rest)
            segment = segments[at]
            if node.one is not None and segment not in ("", REST):
                others.append((node.one, at + 1))
            if segment in node.literals:
                others.append((node.literals[segment], at + 1))
        return best


class _Method:
    """The routes that one method can match: literal paths in a dict, all of them in a trie."""

    __slots__ = ("literal", "root", "routes")

    def __init__(self, routes: Sequence[Route], matching: list[Route]) -> None:
        self.routes = routes
        self.root = _Node()
        for route in matching:
            self.root.add(route)
        # A literal path may be matched by an earlier pattern too; who wins is settled here.
        self.literal: dict[str, Route] = {}
        for route in matching:
            if ONE not in route.segments and REST not in route.segments:
                path = route.pattern
                self.literal[path] = routes[self.root.first(path.split("/")[1:])]

    def find(self, path: str) -> Route | None:
        route = self.literal.get(path)
        if route is not None or path == "*":
            return route
        index = self.root.first(path.split("/")[1:])
        return None if index == _NO_ROUTE else self.routes[index]


class RouteTable:
    """Compiled routes. `routes` are in file order, each with its place as `index`."""

    __slots__ = ("_any", "_methods", "routes")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        named = {route.method for route in routes} - {ANY}
        if "GET" in named:
            named.add("HEAD")
        self._methods = {name: self._of(name) for name in named}
        self._any = self._of(ANY)

    def _of(self, method: str) -> _Method:
        taken = {method, ANY}
        if method == "HEAD":
            taken.add("GET")
        return _Method(self.routes, [route for route in self.routes if route.method in taken])

    def match(self, method: str, path: str) -> Route | Refusal | None:
        """The first route that matches a judged path, None if none does.

        A path with escapes or `;` is refused with `request_malformed` where a server that decodes
        more, or cuts segments at `;`, would serve what another route stands for.
        """
        table = self._methods.get(method, self._any)
        route = table.find(path)
        if "%" in path or ";" in path:
            plain = plain_path(path)
            cut = plain_path(without_parameters(path))
            for reading in (plain, cut, without_parameters(plain)):
                if reading != path and table.find(reading) is not route:
                    return _TWO_ACTIONS
        return route

    def unreachable(self) -> list[tuple[int, int]]:
        """(index, index of an earlier route) of each route that an earlier one wholly covers.

        A route that only several earlier ones cover together is not found.
        """
        found = []
        for route in self.routes:
            methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
            covering = max(
                self._methods.get(name, self._any).root.first_covering(route.segments)
                for name in methods
            )
            if covering < route.index:
                found.append((route.index, covering))
        return found
