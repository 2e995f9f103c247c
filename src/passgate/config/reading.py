"""Reads nodes by the table of keys: values by name, the line of every path, every problem.

What comes back is a plain tree: a dict for a section, a list for a list of sections, and `BAD`
where something was refused. Defaults are read as if they had been written.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from passgate.config.keys import COMPULSORY, KEYS, Key
from passgate.config.kinds import BAD, At, Section, Sections, ValueKind
from passgate.config.yaml_loader import Broken, Node, Scalar, Sequence
from passgate.config.yaml_loader import Mapping as MappingNode

Tree: TypeAlias = dict[str, Any]


def children_by_section() -> dict[str, dict[str, Key]]:
    """The rows of each section by their own name; the root is "", entries end in `[]` or `.*`."""
    sections: dict[str, dict[str, Key]] = {}
    for row in KEYS:
        section, _, name = row.path.rpartition(".")
        sections.setdefault(section, {})[name] = row
    return sections


CHILDREN: Final = children_by_section()


def read_tree(node: Node, at: At) -> Tree:
    """The whole configuration in `node`, every key of the table present."""
    if isinstance(node, Broken) or (isinstance(node, Scalar) and node.value is None):
        node = MappingNode({}, 1)
    if not isinstance(node, MappingNode):
        at.problems.add(node.line, "the file must hold keys such as upstream: and issuers:")
        return {}
    return _section("", node, at, 1)


def _section(section: str, node: MappingNode, at: At, line: int) -> Tree:
    """The rows of `section` as `node` sets them; `line` is where the section itself is named."""
    rows = CHILDREN[section]
    tree: Tree = {}
    for name, key_line in node.key_lines.items():
        if name not in rows:
            path = f"{at.path}.{name}" if at.path else name
            at.problems.add(key_line, f"{path} is not a key{_nearest(name, rows)}")
    for name, row in rows.items():
        here = at.within(f".{name}") if at.path else at.within(name)
        if name in node.entries:
            key_line = node.key_lines[name]
            here.lines[here.path] = key_line
            tree[name] = _value(row, node.entries[name], here, key_line)
        elif row.default == COMPULSORY:
            here.problem(line, f"is compulsory: {_lowered(row.doc)}")
            tree[name] = BAD
        elif not row.refused:
            tree[name] = _value(row, node_of(row.default, line), here, line)
    return tree


def _value(row: Key, node: Node, at: At, line: int) -> Any:
    if row.refused:
        at.problem(line, f"is refused: this version does not have {row.lacks}")
        return BAD
    empty = isinstance(node, Scalar) and node.value is None
    if isinstance(row.kind, Section):
        if empty and row.kind.optional:
            return None
        if empty:
            node = MappingNode({}, line)
        if not isinstance(node, MappingNode):
            return _no_section(row, node, at)
        return _section(row.path, node, at, line)
    if isinstance(row.kind, Sections):
        return _sections(row.kind, row, node, at)
    assert isinstance(row.kind, ValueKind)  # whatever is no section
    value = row.kind.read(node, at)
    if row.lacks and value is not BAD:
        # Lists are judged item by item: [jwt, csp] needs what [jwt] does not.
        lacking = [
            v for v in (value if isinstance(value, tuple) else (value,)) if v not in row.only
        ]
        if lacking:
            at.problem(
                line, f"{_written(lacking[0])} is refused: this version does not have {row.lacks}"
            )
            return BAD
    return value


def _sections(kind: Sections, row: Key, node: Node, at: At) -> Any:
    if kind.named:
        if not isinstance(node, MappingNode):
            return _no_section(row, node, at)
        named: Tree = {}
        for name, entry in node.entries.items():
            line = node.key_lines[name]
            here = at.within(f".{name}")
            here.lines[here.path] = line
            if kind.names.fullmatch(name) is None:
                here.problem(line, "must have a name of letters, digits, . _ @ -, at most 64")
            elif isinstance(entry, MappingNode):
                named[name] = _section(f"{row.path}.*", entry, here, line)
            else:
                _no_section(row, entry, here)
        return named
    if not isinstance(node, Sequence):
        return _no_section(row, node, at)
    entries: list[Any] = []
    for index, entry in enumerate(node.items):
        here = at.within(f"[{index}]")
        here.lines[here.path] = entry.line
        if isinstance(entry, MappingNode):
            entries.append(_section(f"{row.path}[]", entry, here, entry.line))
        else:
            entries.append(_no_section(row, entry, here))
    return entries


def _no_section(row: Key, node: Node, at: At) -> Any:
    if not isinstance(node, Broken):
        # What stands inside a list or a map of sections is a section.
        inside = at.path.endswith("]") or at.path.rpartition(".")[0] == row.path
        at.problem(node.line, f"must be {'a section' if inside else row.kind.name}")
    return BAD


def _lowered(sentence: str) -> str:
    """A sentence as it goes on after a colon; an abbreviation keeps its capitals."""
    return sentence if sentence[1].isupper() else sentence[0].lower() + sentence[1:]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(name: str, rows: Mapping[str, Key]) -> str:
    """How to go on from "... is not a key"."""
    near = difflib.get_close_matches(name, rows, 1, 0.6)
    if near:
        return f": did you mean {near[0]}?"
    elsewhere = [row.path for row in KEYS if row.path.rpartition(".")[2] == name]
    if elsewhere:
        return f" here: {elsewhere[0]} is one"
    return f": known here are {', '.join(rows)}"


def node_of(value: Any, line: int) -> Node:
    """A node for a plain value, as if it stood in `line`."""
    if isinstance(value, dict):
        entries = {key: node_of(item, line) for key, item in value.items()}
        return MappingNode(entries, line, dict.fromkeys(entries, line))
    if isinstance(value, list):
        return Sequence([node_of(item, line) for item in value], line)
    return Scalar(value, line, str(value), plain=not isinstance(value, str))
