"""Each command explains itself in a terminal of eighty columns, with an example that works."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from passgate.cli.app import app


def _names(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from _names(each, (*path, name))


COMMANDS = list(_names(typer.main.get_command(app)))
LEAVES = [path for path in COMMANDS if not any(path == other[:-1] for other in COMMANDS)]


def _help(path: tuple[str, ...], flag: str = "--help") -> str:
    result = CliRunner().invoke(app, [*path, flag], env={"COLUMNS": "80"}, prog_name="passgate")
    assert result.exit_code == 0, result.output
    return result.stdout


def _examples(text: str) -> list[list[str]]:
    """The commands of a help text's example, each as the words that a shell would pass."""
    (block,) = re.findall(r"^ *Example:(.*?)(?:\n\n|\Z)", text, re.M | re.S)
    return [shlex.split(line) for line in block.replace("\\\n", " ").strip().splitlines()]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_fits_a_terminal(path: tuple[str, ...]) -> None:
    """Help exits 0 by both of its names, is plain text in eighty columns, and has an example."""
    text = _help(path)

    assert text == _help(path, "-h")
    assert text.startswith(f"Usage: {' '.join(('passgate', *path))}")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.isascii()
    assert "Example" in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_list_of_commands_cuts_a_sentence(path: tuple[str, ...]) -> None:
    """The one line that a command has in a list says all that it is to say."""
    assert "..." not in _help(path).partition("\nCommands:")[2]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_examples_are_of_the_command_and_use_its_options(path: tuple[str, ...]) -> None:
    """Every example names this command and only options and arguments that it has."""
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    options = {name: row for row in command.params for name in (*row.opts, *row.secondary_opts)}
    arguments = [row for row in command.params if row.param_type_name == "argument"]

    for example in _examples(_help(path)):
        assert example[: len(path) + 1] == ["passgate", *path]
        words = iter(example[len(path) + 1 :])
        plain = 0
        for word in words:
            if word in ("<", ">"):
                next(words)
            elif word.startswith("-"):
                row = options[word]
                if row.metavar is not None:
                    next(words)
            else:
                plain += 1
        assert sum(row.required for row in arguments) <= plain <= len(arguments)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    """No argument or option without a sentence, and none shows the name of a Python type."""
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]

    for row in command.params:
        assert row.help
        assert row.help.endswith(".")
    assert not re.search(r"<(bool|str|path|file|list|int|float)", _help(path).partition("Arg")[0])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_there_is_a_completion_script_for_each_shell(shell: str) -> None:
    """The script that the documents name comes out, and is about this command."""
    said = _complete(f"source_{shell}")

    assert "passgate" in said
    assert "_PASSGATE_COMPLETE" in said


def test_the_detected_shell_gets_its_script() -> None:
    """`--show-completion` finds out which shell it is run from."""
    run = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m passgate --show-completion; :"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "complete -o default" in run.stdout


def test_completion_completes() -> None:
    """What bash would offer after `passgate audit s` is `show`."""
    assert _complete("complete_bash", COMP_WORDS="passgate audit s", COMP_CWORD="2") == "show"


def _complete(instruction: str, **words: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", "from passgate.cli.app import app; app(prog_name='passgate')"],
        env={**os.environ, "_PASSGATE_COMPLETE": instruction, **words},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return run.stdout.strip()
