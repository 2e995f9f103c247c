"""The JSON Schema of gate.yaml, for editors; made from the table of keys.

It is looser than the loader, which also looks at more than one key, and it takes `${VAR}` wherever
a scalar may stand.
"""

from typing import Any, Final

from passgate.config.keys import COMPULSORY, Key
from passgate.config.kinds import ListKind, ScalarKind, Section, Sections
from passgate.config.reading import CHILDREN

_VARIABLE: Final = {"$ref": "#/$defs/variable"}


def json_schema() -> dict[str, Any]:
    """A JSON Schema of draft 2020-12 with every key that this version takes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "passgate configuration",
        **_section(""),
        "$defs": {
            "variable": {
                "type": "string",
                "pattern": r"\$\{",
                "description": "${NAME} or ${NAME:-default}, from the environment",
            }
        },
    }


def _section(section: str) -> dict[str, Any]:
    rows = {name: row for name, row in CHILDREN[section].items() if not row.refused}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _key(row) for name, row in rows.items()},
        "additionalProperties": False,
    }
    required = [name for name, row in rows.items() if _is_compulsory(row) and not row.instead]
    if required:
        schema["required"] = required
    for name, row in rows.items():
        if row.instead:
            schema["oneOf"] = [{"required": [name]}, {"required": [row.instead]}]
    return schema


def _is_compulsory(row: Key) -> bool:
    """Whether a key, or a key in a section that is always there, must be given."""
    if not isinstance(row.kind, Section):
        return bool(row.default == COMPULSORY or row.instead)
    if row.kind.optional:
        return False
    return any(_is_compulsory(inside) for inside in CHILDREN.get(row.path, {}).values())


def _key(row: Key) -> dict[str, Any]:
    schema: dict[str, Any]
    if isinstance(row.kind, Section):
        schema = _section(row.path)
        if not _is_compulsory(row):
            schema["type"] = ["object", "null"]
    elif isinstance(row.kind, Sections) and row.kind.named:
        schema = {"type": "object", "additionalProperties": _section(f"{row.path}.*")}
    elif isinstance(row.kind, Sections):
        schema = {"type": "array", "items": _section(f"{row.path}[]")}
    elif isinstance(row.kind, ListKind):
        item = {"enum": list(row.only)} if row.only else dict(row.kind.item.shape)
        schema = {**row.kind.shape, "items": {"anyOf": [item, _VARIABLE]}}
    elif isinstance(row.kind, ScalarKind):
        shape = {"enum": list(row.only)} if row.only else dict(row.kind.shape)
        schema = {"anyOf": [shape, _VARIABLE]}
    else:
        schema = dict(row.kind.shape)
    schema = {"description": row.doc, **schema}
    if row.default not in (COMPULSORY, {}):
        schema["default"] = row.default
    return schema
