"""`passgate serve`: the gate, until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", metavar="FILE", help="The configuration."),
    ] = Path("gate.yaml"),
) -> None:
    """Runs the gate before its upstream.

    Ends on SIGTERM or SIGINT once requests in flight are done (at most limits.drain_timeout). Reads
    the configuration again on SIGHUP, and whenever the file changes.

    \b
    Example:
      passgate serve --config gate.yaml
    """
    from passgate.cli.serving import run_gate

    raise typer.Exit(run_gate(str(config)))
