"""Writes docs/reference/commands.md from the commands' own help; prints it with --stdout."""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from passgate.cli.app import app

PAGE = Path(__file__).parents[1] / "reference" / "commands.md"

HEAD = """\
# Commands

`passgate`, or `python -m passgate`. Each command explains itself with `--help`, and this page is made
from the same texts. `passgate --version` prints the version.

**Results** go to standard output, everything else to standard error. **Exit codes**: 0 good,
1 refused or failed, 2 wrong use or a configuration with problems. **Tokens** come as an argument or on
standard input. **`--json`** is there wherever a person would otherwise read a table.

**Shell completion** for bash, zsh, fish and PowerShell: `passgate --install-completion` in the shell
that is to have it, then open a new one. It writes to that shell's start file. To put the script
somewhere yourself, as in a container image:

<!-- executed: completion -->
```bash
_PASSGATE_COMPLETE=source_bash passgate > passgate-completion.bash
grep -c 'complete -o default' passgate-completion.bash   # 1
```
"""


def page() -> str:
    """The whole page."""
    commands = list(_commands(typer.main.get_command(app), "passgate"))
    overview = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {_told(command)[0]} |"
        for name, command in commands
    ]
    return "\n".join(
        [
            HEAD,
            "| command | does |",
            "|---|---|",
            *overview,
            "",
            *(_section(name, command) for name, command in commands),
        ]
    )


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name, in the order of `--help`."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for part, each in below.items():
        yield from _commands(each, f"{name} {part}")


def _told(command: Any) -> tuple[str, str, str]:
    """First sentence, the rest in paragraphs, and the lines of the example."""
    text, _, example = inspect.cleandoc(command.help).partition("\b\nExample:\n")
    first, _, rest = text.strip().partition("\n\n")
    return first.replace("\n", " "), rest.strip(), textwrap.dedent(example).strip()


def _section(name: str, command: Any) -> str:
    first, rest, example = _told(command)
    arguments = [row for row in command.params if row.param_type_name == "argument"]
    options = [row for row in command.params if row.param_type_name == "option"]
    usage = [name, *(row.metavar if row.required else f"[{row.metavar}]" for row in arguments)]
    usage += [_written(row) for row in options if row.required]
    if any(not row.required for row in options):
        usage.append("[OPTIONS]")
    parts = [f"## `{name}`", "", first, "", "```text", " ".join(usage), "```", ""]
    if rest:
        parts += [rest, ""]
    if command.params:
        parts += [
            "| argument or option | meaning |",
            "|---|---|",
            *(_row(row) for row in (*arguments, *options)),
            "",
        ]
    parts += ["```text", example, "```", ""]
    return "\n".join(parts)


def _written(row: Any) -> str:
    """An option as it is typed, by its longest name."""
    name = max(row.opts, key=len)
    return f"{name} {row.metavar}" if row.metavar else name


def _row(row: Any) -> str:
    if row.param_type_name == "argument":
        shown = row.metavar
    else:
        shown = ", ".join(sorted(row.opts, key=len)) + (f" {row.metavar}" if row.metavar else "")
    said = row.help.replace("|", "\\|").replace("*", "\\*")
    # Flags are off unless given, and an empty text is as good as none.
    if row.default not in (None, False, ""):
        said += f" Default: `{row.default}`."
    if getattr(row, "multiple", False):
        said += " May be repeated."
    return f"| `{shown}` | {said} |"


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
