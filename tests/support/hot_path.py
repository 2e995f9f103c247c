"""The hot path: which files of the sources a compiled wheel holds compiled, by pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Any

from hatch_build import chosen

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src"


def listed() -> dict[str, Any]:
    """The part of pyproject.toml that is the build hook's."""
    project: Any = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    hooks: dict[str, Any] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    return hooks["custom"]


def hot_path() -> list[Path]:
    """Its files, relative to `SOURCE`."""
    return chosen(SOURCE, listed())
