"""Runs a gate until it is told to stop; no part of it needs what reads the command line."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from passgate.cli.exits import REFUSED, WRONG_USE, note

if TYPE_CHECKING:
    from passgate.config import LoadedConfig

# Clients beyond the limit that are told so (1,024), the log, the ledger, sources, the admin's.
_OWN_FILES = 1024 + 128


def run_gate(file: str) -> int:
    """Runs the gate of the configuration in `file` until it is told to stop; the exit code."""
    # structlog takes it in for tracebacks in colour, which a journal of JSON has none of: 5 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None: "not to be found"
    from passgate.config import load_config
    from passgate.errors import ConfigError, PassgateError
    from passgate.journal import configure_journal

    configure_journal(sys.stderr)
    try:
        loaded = load_config(Path(file), os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG_USE
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    try:
        _run(loaded)
    except PassgateError as error:
        note(error)
        return REFUSED
    return 0


def _run(loaded: "LoadedConfig") -> None:
    try:
        import uvloop
    except ImportError:  # plain asyncio serves as well, slower
        asyncio.run(_serve(loaded))
    else:
        uvloop.run(_serve(loaded))


def _spare_the_collector() -> None:
    """Collects cyclic garbage a little at a time, and goes over everything that is kept but rarely:
    requests wait for it. Measured with 5,000 passports: p99 of 120 to 150 ms before, 7 to 9 ms with
    this. What is young is looked at after 10,000 objects, in 3 ms: after 100,000 it took 100 ms,
    once a second where every passport is new.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 500, 100)


def _allow_open_files(connections: int, upstream: int) -> int:
    """Lets this process open as many files as the system allows it; returns how many it lacks.

    Systems start processes with room for 1,024, whatever more they are allowed. Each client and
    each connection to the upstream is a file, and so is what the gate reads and writes itself.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems allow less than they say; what there is must do
    if soft == resource.RLIM_INFINITY:
        return 0
    return max(0, connections + upstream + _OWN_FILES - soft)


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
    lacking = _allow_open_files(
        loaded.config.limits.connections, loaded.config.upstream.max_connections
    )
    if lacking:
        logger.warning(
            "too_few_open_files",
            lacking=lacking,
            advice="raise the limit on open files (ulimit -n, LimitNOFILE=), "
            "or lower limits.connections",
        )
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
