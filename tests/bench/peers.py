"""Programs under measurement, each a process pinned to one core, ready when handed over."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROXY_CORE = "0"
LOAD_CORE = "1"


@dataclass(frozen=True)
class Peer:
    """A running program: its name in the table, its port, and the process to account for.

    `admin_port` is 0 for what has none.
    """

    name: str
    port: int
    pid: int
    admin_port: int = 0


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Returns once the port accepts; raises with the last words of a process that died instead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            said = log.read_text(errors="replace")[-1000:]
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {said}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")


@contextmanager
def running(
    command: list[str], port: int, core: str, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to `core`, ready on `port`; ended on the way out."""
    process = spawned(command, core, log)
    try:
        wait_for(port, process, log)
        yield process
    finally:
        end(process)


def spawned(command: list[str], core: str, log: Path) -> subprocess.Popen[bytes]:
    """A process pinned to `core`, started this moment."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=sink, stderr=sink, start_new_session=True
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and ends it if it does not."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Time that the process has had a core for so far, all threads that it has."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident_mb(pid: int) -> float:
    """Resident memory of the process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has no VmRSS")


@contextmanager
def on_core(core: str) -> Iterator[None]:
    """This process on one core, until the block is left."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
