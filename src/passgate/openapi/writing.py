"""Writes a translation as YAML: a catalog, and the `actions` of a gate.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Final

from passgate.openapi.notes import KINDS
from passgate.openapi.translation import Translation

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff\ufffe\uffff]")
_TOLD: Final = ("left_out", "conflict", "ambiguous")


def catalog_text(made: Translation) -> str:
    """The catalog, for `catalog.file`: an entry for each action, in the order of the document."""
    lines = [
        "# What the API offers. Prices and limits are yours to add: see `constraints`.",
        "permissions:",
    ]
    for each in sorted(made.operations, key=lambda each: each.action):
        lines.append(f"  - key: {_quoted(each.action)}")
        lines.append(f"    display_name: {_quoted(each.display_name)}")
        if each.description:
            lines.append(f"    description: {_quoted(each.description)}")
        lines.append(f"    risk_level: {each.risk_level}")
    return "\n".join(lines) + "\n"


def routes_text(made: Translation) -> str:
    """The section `actions` of gate.yaml; what has no route of its own stands above it."""
    lines = ["# Tried from the top: the first that matches counts.", *_comments(made), "actions:"]
    lines.append("  routes:")
    for each in made.operations:
        # `${...}` would be read from the environment.
        match = _quoted(each.match.replace("${", "$${"))
        lines.append(f"    - {{match: {match}, action: {_quoted(each.action)}}}")
    return "\n".join(lines) + "\n"


def _comments(made: Translation) -> Iterator[str]:
    for kind in _TOLD:
        notes = [note for note in made.notes if note.kind == kind]
        if notes:
            yield f"# {KINDS[kind]}:"
            for note in notes:
                yield "#   " + _quoted(f"{note.where}: {note.sentence}")[1:-1]


def _quoted(text: str) -> str:
    """A double-quoted scalar; always quoted, so that no reader takes a text for something else."""
    return _UNPRINTABLE.sub(_escaped, json.dumps(text, ensure_ascii=False))


def _escaped(found: "re.Match[str]") -> str:
    code = ord(found[0])
    # Half of a surrogate pair is no character.
    return "\\uFFFD" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04X}"
