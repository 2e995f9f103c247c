"""The reference page of constraints: a section for each, with an example that works."""

import json
import re
from pathlib import Path

import pytest
import yaml

from passgate.core.constraints import CONSTRAINTS, parse_constraints, problems

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "constraints.md"
SECTIONS = dict(re.findall(r"^## `(.+?)`\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S))


def test_each_constraint_has_its_section() -> None:
    """No row of the table is without its section, and they stand in evaluation order."""
    assert list(SECTIONS) == list(CONSTRAINTS)


@pytest.mark.parametrize("key", CONSTRAINTS)
def test_the_examples_are_read_without_a_problem(key: str) -> None:
    """Each example works as printed, and says the same in YAML and JSON."""
    (as_yaml,) = re.findall(r"```yaml\n(.*?)```", SECTIONS[key], re.S)
    (as_json,) = re.findall(r"```json\n(.*?)```", SECTIONS[key], re.S)

    example = json.loads(as_json)
    assert yaml.safe_load(as_yaml) == example
    assert key in example
    assert problems(example) == []
    assert parse_constraints(example)


@pytest.mark.parametrize("key", CONSTRAINTS)
def test_a_section_says_all_that_it_must(key: str) -> None:
    """Value, refusal and merging are written for each constraint, and whom it counts if it does."""
    section = SECTIONS[key]

    for label in ("Number", "Value", "Refuses when", "Merging"):
        assert re.search(rf"^- \*\*{label}:\*\* \S", section, re.M)
    assert ("**Counts:**" in section) == (CONSTRAINTS[key].charge is not None)
