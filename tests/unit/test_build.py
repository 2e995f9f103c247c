"""What is compiled: the list in pyproject.toml holds of the sources, and of what runs here."""

import importlib.util
import os
from pathlib import Path

import pytest
from hatch_build import chosen
from tests.support.hot_path import PROJECT, SOURCE, hot_path, listed
from typer.testing import CliRunner

from passgate.build import COMPILED, VERSION
from passgate.cli.app import app


def modules() -> list[str]:
    """The names of the modules that a compiled wheel holds compiled."""
    paths = [path.with_suffix("") for path in hot_path()]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def test_every_name_in_the_list_is_of_a_file() -> None:
    """A module that was moved would silently be interpreted; each exception is one."""
    assert [name for name in listed()["modules"] if not list(SOURCE.glob(name))] == []
    everything = chosen(SOURCE, {**listed(), "not-modules": []})
    assert set(map(Path, listed()["not-modules"])) <= set(everything)


def test_a_request_that_is_allowed_meets_compiled_modules_alone() -> None:
    """Whatever decides, counts, records and forwards is in the list."""
    hot = ("core.decision", "ledger.memory", "log.lines", "proxy.http1", "proxy.case", "record")
    assert {f"passgate.{name}" for name in hot} <= set(modules())


@pytest.mark.parametrize("name", modules())
def test_all_modules_are_compiled_or_none(name: str) -> None:
    """So what one of them is, is true of the whole gate."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith(".so") == COMPILED


@pytest.mark.skipif(
    os.environ.get("PASSGATE_EXPECT_COMPILED") != "1", reason="any build will do for `make test`"
)
def test_the_gate_under_test_is_compiled() -> None:
    """`make test-compiled` must not try the sources twice."""
    assert COMPILED


def test_the_version_says_which_build_it_is() -> None:
    """Whoever measures a gate can ask what they measured."""
    said = CliRunner().invoke(app, ["--version"]).output
    assert said == f"passgate {VERSION}, {'compiled' if COMPILED else 'not compiled'}\n"


def test_what_compiles_is_locked_as_it_is_named() -> None:
    """The lock for the image is made from constraints/compile.in."""
    lines = (PROJECT / "constraints" / "compile.in").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == listed()["compilers"]
