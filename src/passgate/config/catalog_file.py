"""Reads the file that `catalog.file` names, with file and line of everything wrong in it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from passgate.config.kinds import At, note_lines
from passgate.config.problems import Problems
from passgate.config.yaml_loader import Broken, plain_value, read_yaml
from passgate.core.catalog import Catalog, compile_catalog
from passgate.core.constraints import problems as constraint_problems

MAX_CATALOG_BYTES: Final = 16 << 20
"""The largest file: a hundred thousand entries, each with what people need to understand it."""

_ENTRY: Final = re.compile(r"entry ([0-9]+) of the catalog: ")


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A catalog as authored, compiled, and as its RFC 8785 bytes."""

    document: dict[str, Any]
    compiled: Catalog
    canonical: bytes


def read_catalog(path: Path, problems: Problems, line: int) -> CatalogFile | None:
    """The catalog in a file, or None after noting every problem in it.

    `line` is where gate.yaml names the file, for when it cannot be read at all. `${VAR}` means
    nothing here: a catalog is published, and must not depend on where the gate runs.
    """
    file = str(path)
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_CATALOG_BYTES + 1)
    except OSError as error:
        problems.add(line, f"catalog.file {path} cannot be read: {error.strerror}")
        return None
    before = len(problems)
    node = read_yaml(raw, problems, file=file, max_bytes=MAX_CATALOG_BYTES)
    if isinstance(node, Broken) or len(problems) > before:
        return None
    lines: dict[str, int] = {}
    note_lines(node, At("", problems, path.parent, {}, lines))
    document = plain_value(node)
    _judge_constraints(document, problems, file, lines)
    if len(problems) > before:  # what was named of constraints is not said again
        document = _without_constraints(document)
    catalog = _judge_whole(document, problems, file, lines)
    return catalog if len(problems) == before else None


def _without_constraints(document: dict[str, Any]) -> dict[str, Any]:
    bare = [
        {name: value for name, value in entry.items() if name != "constraints"}
        if isinstance(entry, dict)
        else entry
        for entry in document["permissions"]
    ]
    return {**document, "permissions": bare}


def _judge_constraints(document: Any, problems: Problems, file: str, lines: dict[str, int]) -> None:
    """Every bad constraint at its own line, which judging the whole could not tell."""
    entries = document.get("permissions") if isinstance(document, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        constraints = entry.get("constraints") if isinstance(entry, dict) else None
        if not isinstance(constraints, dict):
            continue
        for sentence in constraint_problems(constraints, guardrails=True):
            where = f".permissions[{index}].constraints"
            keys = [key for key in constraints if sentence.startswith(f"{key}: ")]
            if keys:
                where += f".{max(keys, key=len)}"
            problems.add(lines[where], sentence, file)


def _judge_whole(
    document: Any, problems: Problems, file: str, lines: dict[str, int]
) -> CatalogFile | None:
    try:
        return CatalogFile(document, *compile_catalog(document))
    except ValueError as error:
        for sentence in error.args:
            found = _ENTRY.match(sentence)
            line = lines.get(f".permissions[{int(found[1]) - 1}]", 1) if found else 1
            problems.add(line, sentence, file)
        return None
