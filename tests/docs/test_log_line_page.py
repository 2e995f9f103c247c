"""The page of log lines: every kind that a gate writes, and every member of it."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from passgate.log.lines import KINDS

BUILDER = Path(__file__).parents[2] / "docs" / "build" / "log_lines.py"
_SPEC = importlib.util.spec_from_file_location("docs_build_log_lines_page", BUILDER)
assert _SPEC is not None
assert _SPEC.loader is not None
page_of_lines: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(page_of_lines)

DOCUMENTED = {kind.name: kind for kind in page_of_lines.KINDS}
EXAMPLES = [
    json.loads(line) for line in re.findall(r"^\{.*\}$", page_of_lines.PAGE.read_text(), re.M)
]
_OF_EVERY_LINE = {"kind", "seq", "time", "v"}


def undocumented(line: dict[str, Any]) -> list[str]:
    """What the page does not say of a line, or says and the line lacks."""
    kind = DOCUMENTED[line["kind"]]
    common = {"kind", "v"} if kind.name == "checkpoint" else _OF_EVERY_LINE
    known = {field.name for field in kind.fields} | common
    needed = {field.name for field in kind.fields if field.always} | common
    wrong = [f"{name}: not on the page" for name in sorted(line.keys() - known)]
    wrong += [f"{name}: missing" for name in sorted(needed - line.keys())]
    types = {"text": str, "integer": int, "true or false": bool, "object": dict}
    for field in kind.fields:
        value = line.get(field.name)
        if value is not None and type(value) is not types.get(field.kind, list):
            wrong.append(f"{field.name}: no {field.kind}")
    return wrong


def test_every_kind_is_documented() -> None:
    """No kind is without its section."""
    assert set(DOCUMENTED) == KINDS
    assert {line["kind"] for line in EXAMPLES} == set(DOCUMENTED)


@pytest.mark.parametrize("line", EXAMPLES, ids=lambda line: line["kind"])
def test_the_examples_are_as_the_page_says(line: dict[str, Any]) -> None:
    """Each example has the members that its table names, and no other."""
    assert undocumented(line) == []


def test_a_member_that_is_not_on_the_page_is_noticed() -> None:
    """A new member, a missing one and one of another type are all found."""
    line = {"kind": "stop", "seq": 1, "time": "2027-01-15T08:00:00.000Z", "v": 1}

    assert undocumented({**line, "gate_id": "gate", "why": "x"}) == ["why: not on the page"]
    assert undocumented(line) == ["gate_id: missing"]
    assert undocumented({**line, "gate_id": 1}) == ["gate_id: no text"]
