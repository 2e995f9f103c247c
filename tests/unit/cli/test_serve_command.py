"""Starting a gate: one meaning, whether or not what reads command lines was loaded for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from passgate.cli import plain_serve


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["serve"], "gate.yaml"),
        (["serve", "--config", "a b.yaml"], "a b.yaml"),
        (["serve", "-c", "x"], "x"),
        ([], None),
        (["config"], None),
        (["serve", "--help"], None),
        (["serve", "--config"], None),
        (["serve", "--config", ""], None),
        (["serve", "--config", "--help"], None),
        (["serve", "--config=x"], None),
        (["serve", "-cx"], None),
        (["serve", "x"], None),
        (["serve", "--config", "x", "y"], None),
        (["--version", "serve"], None),
    ],
)
def test_only_the_usual_forms_are_read_without_the_command_line(
    arguments: list[str], file: str | None
) -> None:
    """Whatever else is meant, and every mistake, is for the one that knows all commands."""
    assert plain_serve(arguments) == file


@pytest.mark.parametrize("name", ["missing.yaml", "wrong.yaml", "."])
def test_both_ways_end_alike(tmp_path: Path, name: str) -> None:
    """With 2, and with every problem."""
    (tmp_path / "wrong.yaml").write_text("upstream: {}\nnonsense: 1\n")

    def ended(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "passgate", "serve", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    plain = ended("--config", name)
    assert plain == ended(f"--config={name}")
    assert plain[:2] == (2, "")
    assert plain[2].startswith(name)
