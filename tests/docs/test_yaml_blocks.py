"""Every piece of gate.yaml that a page shows is one that the gate takes."""

import re
from pathlib import Path

import pytest
import yaml

from passgate.config import load_config
from passgate.errors import ConfigError

ROOT = Path(__file__).parents[2]
# Those of the constraints' page are constraints alone, and have a test of their own.
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.stem != "constraints"]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)```", page.read_text(), re.M | re.S))
]
AROUND = {
    "upstream": {"url": "http://127.0.0.1:8000"},
    "anonymous": {"enabled": True, "allowed_actions": ["*"]},
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_block_is_configuration(block: str, tmp_path: Path) -> None:
    """In a configuration that is otherwise good nothing is wrong but files that are not there."""
    file = tmp_path / "gate.yaml"
    file.write_text(yaml.safe_dump({**AROUND, **yaml.safe_load(block)}))

    assert [each for each in _problems(file) if "names a file that is not there" not in each] == []


def _problems(file: Path) -> list[str]:
    try:
        load_config(file, {})
    except ConfigError as error:
        return list(error.problems)
    return []
