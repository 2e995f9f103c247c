"""Lists of action patterns, compiled so that one look-up and one prefix test decide.

A pattern is an action, `*` for every action, or a namespace with a trailing `:*`: `a:*` covers
`a:b` and `a:b:c` and not `a`. A star anywhere else is refused, because it would match nothing.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from passgate.core.constraints.values import texts

_PARAMETERS = re.compile(r";[^/]*")


@dataclass(frozen=True, slots=True)
class ActionPatterns:
    """Action patterns; `prefixes` end with the colon."""

    everything: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]

    def cover(self, action: str) -> bool:
        """Whether any of the patterns covers the action."""
        return self.everything or action in self.exact or action.startswith(self.prefixes)

    def __or__(self, other: "ActionPatterns") -> "ActionPatterns":
        return ActionPatterns(
            self.everything or other.everything,
            self.exact | other.exact,
            tuple(sorted({*self.prefixes, *other.prefixes})),
        )


def action_patterns(raw: object) -> ActionPatterns:
    """Reads a list of action patterns that allow: an action must be covered as it is."""
    return _compiled(texts(raw))


def forbidden_patterns(raw: object) -> ActionPatterns:
    """Reads a list of action patterns that forbid or hold: test it with `forbid`."""
    entries = texts(raw)
    # Validated as written: folding cuts at `;`, and could make a good pattern of a bad one.
    return _compiled(entries) | _compiled([folded(entry) for entry in entries])


def forbid(patterns: ActionPatterns, action: str) -> bool:
    """Whether the patterns cover the action, as it is or as a lenient upstream would read it."""
    return patterns.cover(action) or patterns.cover(folded(action))


def folded(action: str) -> str:
    """The action as a lenient upstream would read it, for lists that forbid.

    An action that was made from method and path (`get:/v1/Admin/`) would else slip past a list by
    letter case, an escape, a `;` parameter or a final slash.
    """
    if "/" in action:
        action = folded_path(action)
    return action.casefold()


def folded_path(path: str) -> str:
    """The path as a lenient upstream would read it, for lists that forbid.

    Escapes are decoded once; each segment is cut at `;` and in lower case; the final slash is gone.
    """
    return _PARAMETERS.sub("", unquote(path, errors="replace")).rstrip("/").casefold()


def _compiled(patterns: list[str]) -> ActionPatterns:
    exact = set()
    prefixes = set()
    for pattern in patterns:
        stem = pattern.removesuffix(":*")
        if pattern != "*" and ("*" in stem or not stem.strip(":")):
            raise ValueError(
                "must be a list of actions, in which `*` stands alone or ends a pattern as `:*`"
            )
        if stem != pattern:
            prefixes.add(stem + ":")
        elif pattern != "*":
            exact.add(pattern)
    return ActionPatterns("*" in patterns, frozenset(exact), tuple(sorted(prefixes)))
