"""The command line: one file per command or group.

What reads a command line takes 20 MB, and a quarter of a second to load. A gate runs for months
and its start is waited for, so the usual way to start one is read here; `app` reads all others.
"""

import sys


def main() -> None:
    """The console script."""
    config = plain_serve(sys.argv[1:])
    if config is None:
        from passgate.cli.app import app

        app()
    else:
        from passgate.cli.serving import run_gate

        sys.exit(run_gate(config))


def plain_serve(arguments: list[str]) -> str | None:
    """The FILE of `serve`, `serve --config FILE` or `serve -c FILE`; None for anything else."""
    match arguments:
        case ["serve"]:
            return "gate.yaml"
        case ["serve", "--config" | "-c", file] if file and not file.startswith("-"):
            return file
    return None
