"""Writes docs/reference/configuration.md from the table of keys; prints it with --stdout."""

import json
import sys
from pathlib import Path

from passgate.config.keys import COMPULSORY, KEYS, Key
from passgate.config.kinds import Section, Sections

PAGE = Path(__file__).parents[1] / "reference" / "configuration.md"

HEAD = """\
# Configuration

`gate.yaml`, or the file that `--config` names. `gate.example.yaml` has every key with a few words;
`passgate config check` finds every problem at once, `passgate config show` prints what counts, and
`passgate config schema` a JSON Schema for editors.

**How it is read.** YAML 1.2, strictly: `no`, `014` and `1:30` are texts; duplicate keys, anchors,
aliases, tags and merge keys are refused, and so is a key that is not on this page, with the nearest
known name. `${NAME}` and `${NAME:-default}` in a value come from the environment (`$${NAME}` is the
text itself); the default also stands for an empty variable. A secret is `env:NAME` or `file:PATH`.
Relative paths start at the directory of the file. Durations are `250ms`, `30s`, `5m`, `1h`, `7d`;
sizes `64KiB`, `1MiB`, or a number of bytes.

**What is not built is refused.** A key or value whose feature this version does not have is a
problem with exit code 2, never ignored. These stand at the end of this page.

**Reload.** SIGHUP, a changed file, or `POST /api/reload` build the whole new configuration and put
it in force, or keep the old one and say why. A key marked *restart* cannot change that way: the
reload is refused and names it.

This page is made from the table in `passgate.config.keys`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for row in KEYS:
        if isinstance(row.kind, (Section, Sections)) and "." not in row.path:
            rows = [key for key in KEYS if key.path.startswith((f"{row.path}.", f"{row.path}[]"))]
            parts.append(_section(row, [key for key in rows if not key.refused]))
    alone = [
        row
        for row in KEYS
        if "." not in row.path and not isinstance(row.kind, (Section, Sections)) and not row.refused
    ]
    parts.append("## Keys outside of sections\n\n" + _table(alone))
    parts.append(_refused())
    return "\n".join(parts)


def _section(row: Key, rows: list[Key]) -> str:
    head = f"## `{row.path}`\n\n{row.doc}\n"
    return f"{head}\n{_table(rows)}" if rows else f"{head}\nNothing of it yet.\n"


def _table(rows: list[Key]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        if row.default == COMPULSORY:
            default = "compulsory"
        else:
            default = f"`{json.dumps(row.default)}`".replace('"', "")
        restart = " *restart*" if row.restart else ""
        lines.append(
            f'| <a id="{row.path}"></a>`{row.path}` | {_cell(row.kind.name)} | {default} '
            f"| {_cell(row.doc)}{restart} |"
        )
    return "\n".join([*lines, ""])


def _refused() -> str:
    lines = [
        "## Not in this version",
        "",
        "| key | accepted | what this version does not have |",
        "|---|---|---|",
    ]
    for row in KEYS:
        if row.lacks:
            only = ", ".join(f"`{json.dumps(value)}`".replace('"', "") for value in row.only)
            lines.append(f"| `{row.path}` | {only or 'nothing'} | {row.lacks} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
