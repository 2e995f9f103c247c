"""Routes: which requests are which action, and where their facts are found.

A pattern is `METHOD /path`. METHOD is a method or `ANY`; a GET route matches HEAD as well, because
HEAD is GET without the body (RFC 9110 section 9.3.2). In the path `{name}` and `*` each match one
segment that is not empty; a final `**` matches everything after its slash, also nothing. Segments
are compared exactly: letter case and a final slash count.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from passgate.core.jws import is_name
from passgate.core.reasons import Refusal
from passgate.core.sources import Source, parse_source
from passgate.core.target import judge_path, plain_path

ANY: Final = "ANY"
ONE: Final = "*"
REST: Final = "**"
REQUIRABLE: Final = ("cost", "amount", "vendor", "domain", "resource")
"""What `require` may name."""

_PATTERN: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)")
_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_COST: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of `actions.routes`; made by `make_route`.

    `index` is its place in the file. `cost` is a fixed number of cents, a source, or None. `names`
    are the path's parameters as (position of the segment, name); `redact` those that a log hides.
    With `cost_from_upstream` the upstream's answer may lower the cost; where it is `idempotent` the
    upstream honours `Idempotency-Key`. `name` is the route as its configuration spells it.
    """

    index: int
    method: str
    pattern: str
    action: str
    cost: int | Source | None = None
    amount: Source | None = None
    vendor: Source | None = None
    domain: Source | None = None
    resource: Source | None = None
    currency: Source | None = None
    cost_from_upstream: bool = False
    require: frozenset[str] = frozenset()
    redact: tuple[str, ...] = ()
    names: tuple[tuple[int, str], ...] = ()
    segments: tuple[str, ...] = field(default=(), repr=False)
    judges_body: bool = False
    idempotent: bool = False
    declares: bool = False
    name: str = field(init=False, default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.method} {self.pattern}")

    def params(self, path: str) -> dict[str, str]:
        """The path's parameters, as they stand in the judged `path`."""
        if not self.names:
            return {}
        parts = path.split("/")
        return {name: parts[position] for position, name in self.names}

    def hides(self, fact: str) -> bool:
        """Whether records may not show this fact, since it is a path parameter in `redact`."""
        source: Source | None = getattr(self, fact)
        return source is not None and source.kind == "path" and source.name in self.redact

    def redacted(self, path: str) -> str:
        """The judged path as records may show it: each parameter in `redact` by its name alone."""
        if not self.redact:
            return path
        parts = path.split("/")
        for position, name in self.names:
            if name in self.redact:
                parts[position] = f"{{{name}}}"
        return "/".join(parts)


def make_route(
    index: int,
    match: str,
    action: str,
    *,
    cost_cents: int | str | None = None,
    amount: str | None = None,
    vendor: str | None = None,
    domain: str | None = None,
    resource: str | None = None,
    currency: str | None = None,
    cost_from_upstream: bool = False,
    require: Iterable[str] = (),
    redact: Iterable[str] = (),
    idempotent: bool = False,
) -> Route:
    """Compiles one entry of `actions.routes`; sources are text as `sources.parse_source` reads it.

    Raises `ValueError` with a sentence for whatever could never match or never be read.
    """
    method, pattern, segments, names = _parse(match)
    if not is_name(action) or "*" in action:
        raise ValueError(f"{action!r} cannot name an action: 1 to 256 printable bytes without `*`")
    cost: int | Source | None
    if isinstance(cost_cents, str):
        cost = parse_source(cost_cents)
    else:
        cost = cost_cents
        if cost is not None and (isinstance(cost, bool) or not 0 <= cost <= _MAX_COST):
            raise ValueError("cost_cents must be a whole number of cents, not below 0, or a source")
    declared = {
        name: None if text is None else parse_source(text)
        for name, text in (
            ("amount", amount),
            ("vendor", vendor),
            ("domain", domain),
            ("resource", resource),
            ("currency", currency),
        )
    }
    sources = [item for item in (cost, *declared.values()) if isinstance(item, Source)]
    known = [name for _, name in names]
    for source in sources:
        if source.kind == "path" and source.name not in known:
            raise ValueError(f"{source} names no parameter of {pattern}")
    needed = frozenset(require)
    for name in sorted(needed):
        if name not in REQUIRABLE:
            raise ValueError(f"require knows {', '.join(REQUIRABLE)}, not {name!r}")
        if name != "cost" and declared[name] is None:
            raise ValueError(f"require names {name}, and the route has no source for it")
    hidden = tuple(redact)
    for name in hidden:
        if name not in known:
            raise ValueError(f"redact names {name!r}, which is no parameter of {pattern}")
    return Route(
        index,
        method,
        pattern,
        action,
        cost,
        **declared,
        cost_from_upstream=cost_from_upstream,
        require=needed,
        redact=hidden,
        names=names,
        segments=segments,
        judges_body=any(source.kind == "body" for source in sources),
        declares=bool(sources or needed),
        idempotent=idempotent,
    )


def _parse(match: str) -> tuple[str, str, tuple[str, ...], tuple[tuple[int, str], ...]]:
    found = _PATTERN.fullmatch(match)
    if found is None:
        raise ValueError(f"{match!r} is no route: write METHOD /path, such as GET /v1/items/{{id}}")
    method, pattern = found.groups()
    if method in ("CONNECT", "TRACE"):
        raise ValueError(f"the gate refuses every {method} request, so no route can match one")
    if method != method.upper():
        raise ValueError(f"methods are case-sensitive: write {method.upper()}")
    if pattern == "*" and method == "OPTIONS":
        return method, pattern, (), ()
    if not pattern.startswith("/"):
        raise ValueError(f"the path of {match!r} must begin with a slash")
    segments: list[str] = []
    names: list[tuple[int, str]] = []
    parts = pattern.split("/")[1:]
    for position, part in enumerate(parts, start=1):
        parameter = _PARAMETER.fullmatch(part)
        if part == REST and position < len(parts):
            raise ValueError(f"`**` must end the path of {match!r}")
        if part in (ONE, REST):
            segments.append(part)
        elif parameter is not None:
            if any(name == parameter[1] for _, name in names):
                raise ValueError(f"{match!r} names two parameters {parameter[1]!r}")
            names.append((position, parameter[1]))
            segments.append(ONE)
        else:
            _check_literal(part, match, last=position == len(parts))
            segments.append(part)
    return method, pattern, tuple(segments), tuple(names)


def _check_literal(part: str, match: str, *, last: bool) -> None:
    """A literal that is not spelt as judged paths are would never match."""
    if any(mark in part for mark in "*{}"):
        raise ValueError(f"in {match!r} `*`, `**` and {{name}} must each be a whole segment")
    # An empty segment is one slash too many, except after the last slash.
    judged = judge_path(b"/" + part.encode() if part or last else b"//")
    if isinstance(judged, Refusal):
        raise ValueError(  # noqa: TRY004 - what was authored is wrong
            f"no judged path holds the segment {part!r} of {match!r}: {judged.detail}"
        )
    spelt = plain_path(judged)[1:]
    if spelt != part:
        raise ValueError(f"in {match!r} write {spelt!r} instead of {part!r}")
    if ";" in part:
        raise ValueError(f"{match!r} holds a `;`, at which many servers cut a segment")
