"""No row of a registry without its paragraph: the reference pages are made from the tables."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BUILDERS = sorted(path for path in (DOCS / "build").glob("*.py"))


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_build_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", BUILDERS, ids=lambda path: path.stem)
def test_the_page_is_what_its_table_says(path: Path) -> None:
    """Each committed reference page equals what its builder writes from the table."""
    builder = _load(path)

    assert builder.PAGE.read_text() == builder.page(), f"run: python docs/build/{path.name}"


def test_every_reason_says_what_to_do() -> None:
    """Each reason code has advice for its reader, and no advice is left over."""
    from passgate.core.reasons import REASONS

    assert set(_load(DOCS / "build" / "reasons.py").WHAT_TO_DO) == set(REASONS)
