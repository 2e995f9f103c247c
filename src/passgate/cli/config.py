"""`passgate config`: says what is wrong with a configuration, and what it means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from passgate.cli.exits import WRONG_USE

if TYPE_CHECKING:
    from passgate.config import Config, LoadedConfig

config_app = typer.Typer(
    help="Checks and shows the configuration, and prints its JSON Schema.",
    epilog="Example: passgate config check --config gate.yaml",
    no_args_is_help=True,
)

_File: TypeAlias = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")
]
_GATE_YAML = Path("gate.yaml")


def _load(path: Path, as_json: bool = False) -> "LoadedConfig":
    """The configuration, or the end of the command with every problem, one in a line."""
    import json

    from passgate.config import load_config
    from passgate.errors import ConfigError

    try:
        return load_config(path, os.environ)
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "problems": error.problems, "warnings": []}))
        else:
            for problem in error.problems:
                typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None


@config_app.command("check")
def check(
    config: _File = _GATE_YAML,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Finds every problem at once, each with file and line.

    Exits 0 if there is none, else 2. Warnings are things that are allowed and probably not meant,
    such as a catalog that differs from the published version, which is in force.
    Nothing is started or written.

    \b
    Example:
      passgate config check --config gate.yaml
    """
    import json

    from passgate.errors import PassgateError

    loaded = _load(config, as_json)
    try:
        warnings = [*loaded.warnings, *_offer_warnings(loaded.config)]
    except PassgateError as error:
        # No gate starts from this either.
        if as_json:
            typer.echo(json.dumps({"ok": False, "problems": [str(error)], "warnings": []}))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_USE) from None
    if as_json:
        typer.echo(json.dumps({"ok": True, "problems": [], "warnings": warnings}))
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"{config}: ok")


def _offer_warnings(config: "Config") -> tuple[str, ...]:
    """What is doubtful about the published catalog."""
    from passgate.settings import find_offer

    data_dir = config.gate.data_dir
    if data_dir.exists() and not os.access(data_dir, os.R_OK | os.X_OK):
        return (f"{data_dir} is another user's: what is published there was not looked at",)
    return find_offer(config).warnings


@config_app.command("schema")
def schema() -> None:
    """Prints the JSON Schema of gate.yaml.

    Editors complete and check the file by it.

    \b
    Example:
      passgate config schema > gate.schema.json
    """
    import json

    from passgate.config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@config_app.command("show")
def show(
    config: _File = _GATE_YAML,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Prints the configuration that counts, with every default.

    Of secrets it shows where they are read. What is printed is a configuration itself, and means
    the same.

    \b
    Example:
      passgate config show --config gate.yaml
    """
    import json

    from passgate.config.effective import effective_yaml

    loaded = _load(config)
    if as_json:
        typer.echo(json.dumps(loaded.config.effective, indent=2, ensure_ascii=False))
    else:
        typer.echo(effective_yaml(loaded.config), nl=False)
