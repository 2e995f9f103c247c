"""Translates the operations of a document: one route and one catalog entry each, or a note.

A risk level is a guess by the method: `low` for GET, HEAD and OPTIONS, `high` for DELETE, `medium`
for everything else. Prices, limits and tiers are nobody's to guess.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from passgate.core.routes import make_route
from passgate.openapi.document import Document
from passgate.openapi.naming import Names
from passgate.openapi.notes import Note
from passgate.openapi.patterns import Pattern, make_pattern

METHODS: Final = ("head", "get", "post", "put", "patch", "delete", "options", "trace")
"""The operations of a path; HEAD before GET, which matches it too."""

RISKS: Final = {"GET": "low", "HEAD": "low", "OPTIONS": "low", "DELETE": "high"}
_BESIDE: Final = frozenset(("$ref", "summary", "description", "servers", "parameters"))
_LONGEST: Final = 500
# The scheme may be a variable, which no parser of URLs takes for one.
_URL: Final = re.compile(r"(?:[^/?#]*:)?//([^/?#]*)([^?#]*)")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that becomes a route. `public` says that it needs no security scheme."""

    method: str
    path: str
    pattern: Pattern
    action: str
    display_name: str
    description: str
    public: bool

    @property
    def match(self) -> str:
        """The route, as `actions.routes` names it."""
        return f"{self.method} {self.pattern.path}"

    @property
    def risk_level(self) -> str:
        """The guess by the method."""
        return RISKS.get(self.method, "medium")


@dataclass(slots=True)
class Translation:
    """Routes in the order in which the gate must try them, and all that there is to tell.

    `found` are the operations in the document, routed or not.
    """

    operations: list[Operation] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    found: int = 0
    base_path: str = ""

    def count(self, kind: str) -> int:
        """How many notes there are of one kind."""
        return sum(note.kind == kind for note in self.notes)


def translate(document: Document, base_path: str | None = None) -> Translation:
    """The routes and entries of all operations.

    `base_path` comes before every path; without one it is that of the first server. Raises
    `ValueError` with a sentence where the document has no operations at all.
    """
    made = Translation(notes=list(document.notes))
    tree = document.tree
    hosts = _Servers(made.notes, base_path, tree.get("servers"))
    made.base_path = hosts.base
    paths = tree.get("paths", {})
    if not isinstance(paths, Mapping):
        raise ValueError("its `paths` are no object")  # noqa: TRY004 - what was written is wrong
    names = Names()
    routed: list[Operation] = []
    public = _needs_nothing(tree.get("security"))
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        for method, operation, servers in _operations(document, path, item, made):
            made.found += 1
            where = f"{method} {path}"
            try:
                pattern = make_pattern(hosts.of(where, servers) + path)
                make_route(0, f"{method} {pattern.path}", "x")
            except ValueError as error:
                made.notes.append(Note("left_out", where, str(error)))
                continue
            made.notes.extend(Note("widened", where, said) for said in pattern.widened)
            routed.append(_operation(operation, method, path, pattern, names, made.notes, public))
    if tree.get("webhooks"):
        made.notes.append(
            Note("unread", "webhooks", "these are requests that the API sends, not takes")
        )
    if not made.found:
        raise ValueError("it describes no operation")
    made.operations = _in_order(routed, made.notes)
    return made


def _operations(
    document: Document, path: str, item: Any, made: Translation
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """(method, operation, servers) of one path."""
    try:
        item = document.resolve(item)
    except ValueError as error:
        made.found += 1
        made.notes.append(Note("left_out", path, str(error)))
        return
    if not isinstance(item, Mapping):
        made.found += 1
        made.notes.append(Note("left_out", path, "it is no object"))
        return
    for name in item:
        if name not in METHODS and name not in _BESIDE and not str(name).startswith("x-"):
            made.notes.append(Note("unread", f"{path} {name}", "OpenAPI 3.1 has no such member"))
    for name in METHODS:
        if name not in item:
            continue
        where = f"{name.upper()} {path}"
        try:
            operation = document.resolve(item[name])
        except ValueError as error:
            operation = None
            said = str(error)
        else:
            said = "it is no object"
        if not isinstance(operation, Mapping):
            made.found += 1
            made.notes.append(Note("left_out", where, said))
            continue
        yield name.upper(), operation, operation.get("servers") or item.get("servers")


def _operation(
    operation: Mapping[str, Any],
    method: str,
    path: str,
    pattern: Pattern,
    names: Names,
    notes: list[Note],
    public: bool,
) -> Operation:
    tags = operation.get("tags")
    tag = _text(tags[0]) if isinstance(tags, list) and tags else ""
    operation_id = _text(operation.get("operationId"))
    action, asked = names.give(tag, operation_id, method, path)
    if action != asked:
        notes.append(Note("renamed", f"{method} {path}", f"{action}, for {asked} is taken"))
    shown = _text(operation.get("summary")) or operation_id or f"{method} {path}"
    # Only the first paragraph: what a person needs to recognize it, not the manual.
    description = _text(operation.get("description"), first_paragraph=True)
    if "security" in operation:
        public = _needs_nothing(operation["security"])
    return Operation(method, path, pattern, action, shown, description, public)


def _needs_nothing(security: Any) -> bool:
    """Whether no scheme is needed: the list is empty, or one of its ways is (`{}`).

    A document that names no security at all leaves it open, and is not taken to mean public.
    """
    return isinstance(security, list) and (not security or {} in security)


def _text(value: Any, *, first_paragraph: bool = False) -> str:
    """`value` in one line, cut after 500 characters; "" if it is no text."""
    if not isinstance(value, str):
        return ""
    if first_paragraph:
        value = value.strip().replace("\r\n", "\n").split("\n\n", 1)[0]
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"


class _Servers:
    """Base paths: of the document, and where an operation says otherwise."""

    def __init__(self, notes: list[Note], given: str | None, servers: Any) -> None:
        self._notes = notes
        self._given = None if given is None else given.rstrip("/")
        self._hosts: set[str] = set()
        self.base = "" if self._given is None else self._given
        bases = [
            each for each in map(_server, servers if isinstance(servers, list) else ()) if each
        ]
        if bases and self._given is None:
            self.base = bases[0][1]
        self._hosts = {host for host, _ in bases}
        others = list(dict.fromkeys(base for _, base in bases if base != self.base))
        for base in others if self._given is None else ():
            self._notes.append(
                Note("other_server", base or "/", f"routes are made for {self.base or '/'} alone")
            )

    def of(self, where: str, servers: Any) -> str:
        """The base path of one operation, whose `servers` are its own or its path's."""
        named = [
            each for each in map(_server, servers if isinstance(servers, list) else ()) if each
        ]
        if not named:
            return self.base
        host, base = named[0]
        if host and host not in self._hosts:
            self._notes.append(Note("other_server", where, f"it is served by {host}"))
        return self.base if self._given is not None else base


def _server(entry: Any) -> tuple[str, str] | None:
    """(host, base path) of one server, its variables at their defaults where they have one."""
    url = entry.get("url") if isinstance(entry, Mapping) else None
    if not isinstance(url, str):
        return None
    variables = entry.get("variables")
    for name, variable in variables.items() if isinstance(variables, Mapping) else ():
        default = variable.get("default") if isinstance(variable, Mapping) else None
        if default is not None:
            url = url.replace(f"{{{name}}}", str(default))
    found = _URL.match(url)
    host, path = found.groups() if found else ("", re.split(r"[?#]", url, maxsplit=1)[0])
    path = path.strip("/")
    return host, f"/{path}" if path else ""


def _in_order(operations: list[Operation], notes: list[Note]) -> list[Operation]:
    """Most particular first, so that none is hidden; of two that match the same one is kept."""
    kept: dict[tuple[str, tuple[str, ...]], Operation] = {}
    # What a widened pattern cannot be told from is what the document means by it.
    for each in sorted(operations, key=lambda each: bool(each.pattern.widened)):
        first = kept.setdefault((each.method, each.pattern.shape), each)
        if first is not each:
            notes.append(
                Note(
                    "conflict",
                    f"{each.method} {each.path}",
                    f"{first.match} matches it too, so it is judged as {first.action}",
                )
            )
    places = {id(each): place for place, each in enumerate(operations)}
    # A GET route matches HEAD too, and would hide the same path's own.
    ordered = sorted(
        kept.values(),
        key=lambda each: (each.pattern.kinds, each.method != "HEAD", places[id(each)]),
    )
    _note_overlaps(ordered, notes)
    return ordered


def _note_overlaps(ordered: list[Operation], notes: list[Note]) -> None:
    """Notes pairs of which neither matches all of the other, and both match some request."""
    groups: dict[tuple[str, int], list[Operation]] = {}
    for each in ordered:
        if 2 not in each.pattern.kinds:
            groups.setdefault((each.method, len(each.pattern.kinds)), []).append(each)
    for group in groups.values():
        for index, second in enumerate(group):
            if 1 not in second.pattern.kinds:
                continue
            notes.extend(
                Note("ambiguous", first.match, f"some requests match {second.match} too")
                for first in group[:index]
                if _crosses(first.pattern, second.pattern)
            )


def _crosses(first: Pattern, second: Pattern) -> bool:
    wider = narrower = False
    for mine, theirs in zip(first.shape, second.shape, strict=True):
        if mine == theirs:
            continue
        if mine == "*":
            if not theirs:
                return False
            wider = True
        elif theirs == "*":
            if not mine:
                return False
            narrower = True
        else:
            return False
    return wider and narrower
