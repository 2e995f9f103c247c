"""Real processes that are killed and real disks that are full: the log keeps its promise."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.log_craft import decided, opened, record, run, segments, until

from passgate.log import read_lines, verify_log

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, os, resource, sys
from pathlib import Path
from tests.log_craft import decided, opened, record, until

async def endless(directory):
    log = opened(directory, rotate_bytes=65536)
    await log.start()
    loop = asyncio.get_running_loop()
    numbers = iter(range(10**9))
    out = sys.stdout.buffer
    def told(ok, entry):
        # Only what was notified as durable is told to the parent, as a request is to an upstream.
        assert ok
        out.write(entry.decision_id.encode() + b"\\n")
        out.flush()
        log.append_outcome(entry)
        more()
    def more():
        entry = record(next(numbers))
        log.append_decision(entry, lambda ok: told(ok, entry))
    for _ in range(8):
        more()
    await asyncio.sleep(60)

async def limited(directory):
    log = opened(directory)
    await log.start()
    size = os.stat(next(directory.glob("*.jsonl"))).st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
    number, told = 0, [True]
    while told == [True]:
        number += 1
        told = await decided(log, record(number))
    assert told == [False] and not log.healthy, told
    assert "File too large" in log.status().error, log.status()
    assert await decided(log, record(number + 1)) == [False]
    log.count_unrecorded()
    # One decision fits into a new file; the limit is lifted as when an operator makes room.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    await asyncio.sleep(0.05)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until(lambda: log.healthy)
    assert await decided(log, record(number + 2)) == [True]
    await log.close()
    print(number)

asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
"""


def start(work: str, directory: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, work, str(directory)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    )


def restart(directory: Path) -> None:
    async def work() -> None:
        log = opened(directory)
        await log.start()
        await log.close()

    run(work)


@pytest.mark.parametrize("told", [1, 40, 400])
def test_a_killed_gate_has_a_line_for_everything_it_let_pass(tmp_path: Path, told: int) -> None:
    """kill -9 under load: each notified decision is there, signed, and the log goes on."""
    directory = tmp_path / "log"
    with start("endless", directory) as process:
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(told)]
        process.send_signal(signal.SIGKILL)
        heard += process.stdout.readlines()
    heard = [line for line in heard if line.endswith(b"\n")]
    assert len(heard) >= told
    restart(directory)
    found = verify_log(directory)
    assert found.wrong == ""
    assert found.uncovered == 0
    lines = list(read_lines(directory))
    recorded = {line["decision_id"] for line in lines if line["kind"] == "decision"}
    assert {line.decode().strip() for line in heard} <= recorded
    (last_start,) = [line for line in lines if line["kind"] == "start" and line["seq"]]
    assert last_start["clean"] is False


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """The waiter hears False, nothing half-written stays, and nothing that was kept is lost."""
    directory = tmp_path / "log"
    with start("limited", directory) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    number = int(output)
    found = verify_log(directory)
    assert (found.wrong, found.uncovered) == ("", 0)
    lines = list(read_lines(directory))
    decisions = [line["decision_id"] for line in lines if line["kind"] == "decision"]
    assert decisions == [f"att_{n:026d}" for n in range(1, number + 3)]
    (gap,) = [line for line in lines if line["kind"] == "gap"]
    assert gap["unrecorded"] == 1
    assert len(segments(directory)) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let tests mount")
    return place


def test_a_volume_without_room_is_survived(small_disk: Path) -> None:
    """ENOSPC in the middle of a commit, then room again."""
    directory = small_disk / "data" / "log"

    async def work() -> int:
        log = opened(directory)
        await log.start()
        number, told = 0, [True]
        while all(told):
            told = await decided(log, *[record(number + n) for n in range(8)])
            number += 8
        assert not log.healthy
        assert "No space left" in log.status().error
        before = sum(path.stat().st_size for path in segments(directory))
        await asyncio.sleep(0.03)
        assert sum(path.stat().st_size for path in segments(directory)) <= before
        await asyncio.to_thread(
            subprocess.run, ["mount", "-o", "remount,size=4m", str(small_disk)], check=True
        )
        await until(lambda: log.healthy)
        assert await decided(log, record(number)) == [True]
        await log.close()
        return number

    try:
        number = run(work)
        found = verify_log(directory)
        assert (found.wrong, found.uncovered) == ("", 0)
        decisions = [line for line in read_lines(directory) if line["kind"] == "decision"]
        assert len(decisions) == number + 1
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)
