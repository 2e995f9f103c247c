"""From a path template to the pattern of a route, which may have to match more.

A route's parameter is one whole segment. What a template says within a segment, of several
segments, or of the query is therefore widened, and told.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_EXPRESSION: Final = re.compile(r"\{([^{}/]*)\}")
_SEVERAL: Final = re.compile(r"\+.*|.*[+*]|.*:path|.*:\.[*+]|.*=.*\*\*")
_QUERY: Final = re.compile(r"\{[?&#;][^{}]*\}")
_ALLOWED: Final = "!$&'()+,=:@-._~%"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The path of a route, by `kinds` of its segments, and why it is wider than its template.

    A kind is 0 for a literal, 1 for a parameter, 2 for all that follows: sorted by them, a pattern
    comes before every other that matches all that it matches.
    """

    path: str
    shape: tuple[str, ...]
    kinds: tuple[int, ...]
    widened: tuple[str, ...] = ()


def make_pattern(template: str) -> Pattern:
    """The pattern of a path template. Raises `ValueError` with a sentence where there is none."""
    if not template.startswith("/"):
        raise ValueError("its path does not begin with a slash")
    widened: list[str] = []
    path = _QUERY.sub("", template)
    if path != template:
        widened.append("what it says of the query is not matched")
    bare = re.split(r"[?#]", path, maxsplit=1)[0]
    if bare != path:
        widened.append(f"a path ends before {path[len(bare)]!r}: the rest is not matched")
    names: set[str] = set()
    segments: list[str] = []
    parts = bare.split("/")[1:]
    for position, part in enumerate(parts, start=1):
        last = position == len(parts)
        expressions = _EXPRESSION.findall(part)
        rest = _EXPRESSION.sub("", part)
        if "{" in rest or "}" in rest:
            raise ValueError(f"the braces in {part!r} do not match")
        if not expressions:
            segments.append(_literal(part, last=last))
            continue
        if any(_SEVERAL.fullmatch(name) for name in expressions):
            if not last:
                raise ValueError(f"{part!r} may be several segments, and more follows it")
            segments.append("**")
            widened.append(f"{part!r} may be several segments: everything from there matches")
            continue
        if rest or len(expressions) > 1:
            widened.append(f"{part!r} is matched as a whole segment, whatever it holds")
        segments.append(f"{{{_parameter(expressions[0], names)}}}")
    # Two paths that differ only in the names of parameters are one.
    shape = tuple(["*" if segment[:1] == "{" else segment for segment in segments])
    kinds = tuple([{"*": 1, "**": 2}.get(segment, 0) for segment in shape])
    return Pattern("/" + "/".join(segments), shape, kinds, tuple(widened))


def _literal(part: str, *, last: bool) -> str:
    if not part and not last:
        raise ValueError("it has an empty segment, which no judged path has")
    if part in (".", ".."):
        raise ValueError(f"it has the segment {part!r}, which no judged path has")
    # A literal star means every segment in a route; escaped, it would never match.
    for mark in "*;\\":
        if mark in part:
            raise ValueError(f"it has a {mark!r} in {part!r}, which a route cannot name")
    return quote(part, safe=_ALLOWED)


def _parameter(text: str, names: set[str]) -> str:
    """A name that a route may have for the parameter called `text`, once in its path."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "value"
    name = plain if not plain[0].isdigit() else f"_{plain}"
    number = 2
    while name in names:
        name = f"{plain}_{number}"
        number += 1
    names.add(name)
    return name
