"""`passgate demo`: an API, an issuer, a gate and a handful of agents, all on this machine."""

from typing import Annotated

import typer


def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep everything running and print curl lines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Lets agents try things, and prints what a gate decided and why.

    An API, an issuer and a gate on free loopback ports, in a temporary directory. Exits 1 if any
    decision, or the log of them, is not what it must be.

    \b
    Example:
      passgate demo
      passgate demo --serve
    """
    import asyncio
    import contextlib
    import os
    from pathlib import Path

    from passgate.demo import run_demo
    from passgate.journal import configure_journal

    good = False
    with Path(os.devnull).open("w") as nowhere, contextlib.suppress(KeyboardInterrupt):
        configure_journal(nowhere)
        good = asyncio.run(run_demo(keep_serving=serve, as_json=as_json))
    if not (good or serve):
        raise typer.Exit(1)
