"""`passgate serve`: the gate, until it is told to stop."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passgate.cli.exits import WRONG_USE, fail

if TYPE_CHECKING:
    from passgate.config import LoadedConfig


def serve(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", metavar="FILE", help="The configuration.", dir_okay=False),
    ] = Path("gate.yaml"),
) -> None:
    """Runs the gate before its upstream.

    Ends on SIGTERM or SIGINT once requests in flight are done (at most limits.drain_timeout). Reads
    the configuration again on SIGHUP, and whenever the file changes.

    \b
    Example:
      passgate serve --config gate.yaml
    """
    from passgate.config import load_config
    from passgate.errors import ConfigError, PassgateError
    from passgate.journal import configure_journal

    configure_journal(sys.stderr)
    try:
        loaded = load_config(config, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    try:
        _run(loaded)
    except PassgateError as error:
        fail(error)


def _run(loaded: "LoadedConfig") -> None:
    try:
        import uvloop
    except ImportError:  # plain asyncio serves as well, slower
        asyncio.run(_serve(loaded))
    else:
        uvloop.run(_serve(loaded))


def _spare_the_collector() -> None:
    """Collects cyclic garbage rarely: a full pass goes over everything that is kept, and requests
    wait for it. Measured with 5,000 passports: p99 of 120 to 150 ms before, 7 to 9 ms with this.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _serve(loaded: "LoadedConfig") -> None:
    import structlog

    from passgate.gate import Gate

    logger = structlog.get_logger("passgate")
    gate = Gate(loaded, os.environ)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = loop.create_task(gate.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await gate.start()
    _spare_the_collector()
    logger.info(
        "serving",
        gate=gate.config.gate.id,
        address=[str(address) for address in gate.proxy.addresses],
        admin=gate.admin_addresses,
        upstream=[str(url) for url in gate.config.upstream.urls],
        policy=gate.enforcer.world.policy.hash,
    )
    await stop.wait()
    logger.info("draining", inflight=gate.enforcer.inflight)
    await gate.close()
    logger.info("stopped")
