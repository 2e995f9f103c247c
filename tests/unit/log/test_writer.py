"""The log of a running gate: who is told what, when; rotation, events, failure and recovery."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from tests.log_craft import (
    NOTE_KEY,
    SIGNER,
    decided,
    opened,
    passport,
    record,
    run,
    segments,
    until,
)

from passgate.errors import DataError
from passgate.log import (
    GateKey,
    Log,
    LogSettings,
    follow_lines,
    newest_lines,
    read_lines,
    verify_log,
)
from passgate.log.checkpoint import open_checkpoint
from passgate.testing import ManualClock


class FaultyDisk:
    """Syncs files for real, and fails as a disk does while `broken` is set."""

    def __init__(self) -> None:
        self.broken = False
        self.syncs = 0

    def __call__(self, descriptor: int) -> None:
        self.syncs += 1
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(descriptor)


def lines(directory: Path, kind: str = "") -> list[dict[str, object]]:
    return [line for line in read_lines(directory) if kind in ("", line["kind"])]


def test_a_waiter_hears_true_when_its_line_is_covered(tmp_path: Path) -> None:
    """By then the line and a checkpoint over it are in the file."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        assert await decided(log, record(1)) == [True]
        found = verify_log(directory)
        assert (found.wrong, found.size, found.uncovered) == ("", log.size, 0)
        assert lines(directory, "decision")[0]["decision_id"] == record(1).decision_id
        assert open_checkpoint(log.newest_checkpoint(), NOTE_KEY).size == log.size
        await log.close()

    run(work)


def test_a_turn_of_the_loop_is_one_commit(tmp_path: Path) -> None:
    """However many requests decide in one turn, one checkpoint and one sync cover them."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, sync=disk)
        await log.start()
        seen: list[tuple[float, int]] = []
        log.on_commit = lambda seconds, count: seen.append((seconds, count))
        before = disk.syncs
        assert all(await decided(log, *[record(n) for n in range(50)]))
        assert disk.syncs == before + 1
        assert [count for _, count in seen] == [51]  # the passport's own line is among them
        await log.close()

    run(work)


def test_outcomes_and_refusals_wait_for_company(tmp_path: Path) -> None:
    """Without a waiter nothing is written at once, but within the delay."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, delay_s=0.02)
        await log.start()
        log.append_decision(record(1, decision="block", reason_code="rate_limited"))
        log.append_outcome(record(1))
        assert log.status().waiting == 3
        await until(lambda: log.status().durable == log.size)
        assert [line["kind"] for line in lines(directory)] == [
            "start",
            "passport",
            "decision",
            "outcome",
        ]
        await log.close()

    run(work)


def test_relaxed_lines_are_written_within_the_delay_and_synced_later(tmp_path: Path) -> None:
    """A published checkpoint covers only what is on disk; the sync follows within a second."""
    directory = tmp_path / "log"
    clock = ManualClock()

    async def work() -> None:
        log = opened(directory, durability="relaxed", clock=clock)
        await log.start()
        first = log.newest_checkpoint()
        log.append_decision(record(1))
        await until(lambda: len(lines(directory)) == 3)
        assert log.newest_checkpoint() == first
        clock.advance(1.5)
        log.append_decision(record(2))
        await until(lambda: log.status().durable == 4)
        assert open_checkpoint(log.newest_checkpoint(), NOTE_KEY).size == 4
        assert await decided(log, record(3)) == [True]
        await log.close()

    run(work)
    assert verify_log(directory).wrong == ""


def test_an_idle_relaxed_log_is_synced_too(tmp_path: Path) -> None:
    """The last lines before a silence do not stay in the page cache."""

    async def work() -> None:
        log = opened(tmp_path / "log", durability="relaxed")
        await log.start()
        log.append_decision(record(1))
        await until(lambda: log.status().durable == 3)
        await log.close()

    run(work)


def test_a_passport_is_described_once_per_segment(tmp_path: Path) -> None:
    """Before its first decision line, again after a rotation, and not again after a restart."""
    directory = tmp_path / "log"
    one, two = passport("pass_1"), passport("pass_2")

    async def work(numbers: range) -> None:
        log = opened(directory, rotate_bytes=8192)
        await log.start()
        for number in numbers:
            await decided(log, record(number, passport=one), record(number, passport=two))
        await log.close()

    run(lambda: work(range(2)))
    run(lambda: work(range(2, 4)))
    first = segments(directory)[0].read_bytes().splitlines()
    assert sum(b'"kind":"passport"' in line for line in first) == 2
    run(lambda: work(range(4, 9)))
    assert len(segments(directory)) > 1
    for path in segments(directory):
        seen = set()
        for line in lines(directory):
            if int(path.stem) <= int(str(line["seq"])):
                if line["kind"] == "passport":
                    seen.add(line["passport_hash"])
                elif line["kind"] == "decision":
                    assert line["passport_hash"] in seen
    assert verify_log(directory).wrong == ""


def test_old_segments_are_removed_by_size_and_age(tmp_path: Path) -> None:
    """`audit.keep` bounds the log; what is left still verifies and is continued."""
    directory = tmp_path / "log"
    clock = ManualClock()

    async def work(keep_bytes: int | None, keep_age_s: float | None) -> None:
        log = opened(
            directory,
            clock=clock,
            rotate_bytes=4096,
            keep_bytes=keep_bytes,
            keep_age_s=keep_age_s,
        )
        await log.start()
        for number in range(24):
            await decided(log, record(number))
            clock.advance(2000)
        await log.close()

    run(lambda: work(20_000, None))
    assert int(segments(directory)[0].stem) > 0
    assert sum(path.stat().st_size for path in segments(directory)) < 40_000
    assert verify_log(directory).wrong == ""
    for path in segments(directory):
        os.utime(path, (1, 1))
    run(lambda: work(None, 86_400.0))
    assert all(path.stat().st_mtime > 1 for path in segments(directory)[:-1])
    assert verify_log(directory).wrong == ""


def test_a_segment_also_ends_by_age(tmp_path: Path) -> None:
    """On a quiet gate too, lines grow old enough to be removed."""
    directory = tmp_path / "log"
    clock = ManualClock()

    async def work() -> None:
        log = opened(directory, clock=clock, keep_age_s=1000.0)
        await log.start()
        for number in range(3):
            await decided(log, record(number))
            clock.advance(150)
        await log.close()

    run(work)
    assert len(segments(directory)) >= 2


def test_events_are_recorded(tmp_path: Path) -> None:
    """Any kind of the contract, with any fields; others are refused."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        log.append_event("trust", {"issuer": "iss_lab", "version": 3})
        with pytest.raises(ValueError, match="no line is of kind"):
            log.append_event("checkpoint", {})
        await log.close()
        assert log.size == 3

    run(work)
    (line,) = lines(directory, "trust")
    assert (line["issuer"], line["version"], line["gate_id"]) == ("iss_lab", 3, "gate_lab")


def test_settings_are_adopted_while_running(tmp_path: Path) -> None:
    """A reload changes durability and rotation from the next batch on."""

    async def work() -> None:
        log = opened(tmp_path / "log")
        await log.start()
        log.adopt(LogSettings(durability="relaxed", rotate_bytes=4096))
        for number in range(8):
            await decided(log, record(number))
        await log.close()

    run(work)
    assert len(segments(tmp_path / "log")) > 1


def test_a_failed_sync_is_never_believed_again(tmp_path: Path) -> None:
    """The waiter hears False; the lines go to a new file; a gap line says what was missed."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, sync=disk)
        await log.start()
        assert await decided(log, record(1)) == [True]
        size = segments(directory)[0].stat().st_size
        disk.broken = True
        assert await decided(log, record(2)) == [False]
        assert not log.healthy
        assert "Input/output error" in log.status().error
        assert await decided(log, record(3)) == [False]
        log.count_unrecorded()
        log.count_unrecorded()
        assert log.status().unrecorded == 2
        await until(lambda: disk.syncs > 5)
        disk.broken = False
        await until(lambda: log.healthy)
        assert segments(directory)[0].stat().st_size == size
        assert await decided(log, record(4)) == [True]
        assert log.gaps == 1
        await log.close()

    run(work)
    assert len(segments(directory)) == 2
    found = verify_log(directory)
    assert (found.wrong, found.uncovered) == ("", 0)
    (gap,) = lines(directory, "gap")
    assert (gap["unrecorded"], gap["reason"]) == (2, "write_failed")
    assert [line["decision_id"] for line in lines(directory, "decision")] == [
        record(n).decision_id for n in (1, 2, 3, 4)
    ]


def test_a_failure_in_a_new_segment_leaves_no_trace_of_it(tmp_path: Path) -> None:
    """The first commit of a segment may fail as well, also the very first of all."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def work() -> None:
        disk.broken = True
        log = opened(directory, sync=disk, rotate_bytes=4096)
        await log.start()
        assert not log.healthy
        disk.broken = False
        await until(lambda: log.healthy)
        for number in range(12):
            disk.broken = number % 3 == 1
            told = await decided(log, record(number))
            assert told == [number % 3 != 1]
            disk.broken = False
            await until(lambda: log.healthy)
        await log.close()

    run(work)
    assert verify_log(directory).wrong == ""
    assert len(lines(directory, "decision")) == 12
    assert len(lines(directory, "gap")) == 5


def test_relaxed_lines_survive_a_failed_sync(tmp_path: Path) -> None:
    """What was written and not synced is written again from memory."""
    disk = FaultyDisk()
    clock = ManualClock()
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, durability="relaxed", sync=disk, clock=clock)
        await log.start()
        for number in range(3):
            assert await decided(log, record(number)) == [True]
        disk.broken = True
        clock.advance(2)
        assert await decided(log, record(3)) == [False]
        disk.broken = False
        await until(lambda: log.healthy)
        await log.close()

    run(work)
    assert verify_log(directory).wrong == ""
    assert len(lines(directory, "decision")) == 4
    first, second = segments(directory)
    assert b'"kind":"decision"' not in first.read_bytes()
    assert second.read_bytes().count(b'"kind":"decision"') == 4


def test_what_a_crash_left_survives_a_failed_sync_too(tmp_path: Path) -> None:
    """Uncovered lines move to the new segment with the first commit after them."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def first() -> None:
        log = opened(directory)
        await log.start()
        await decided(log, record(1))
        await log.close()

    async def second() -> None:
        disk.broken = True
        log = opened(directory, sync=disk)
        await log.start()
        disk.broken = False
        await until(lambda: log.healthy)
        await log.close()

    run(first)
    path = segments(directory)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:-1]))
    (directory / "checkpoints").unlink()
    run(second)
    assert verify_log(directory).wrong == ""
    kinds = [line["kind"] for line in lines(directory)]
    assert kinds == ["start", "passport", "decision", "stop", "start", "gap", "gap", "stop"]


def test_memory_for_lines_is_bounded(tmp_path: Path) -> None:
    """While the disk refuses, lines beyond the bound are dropped, counted, and told."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, sync=disk, pending_bytes=10_000)
        await log.start()
        disk.broken = True
        assert await decided(log, record(0)) == [False]
        for number in range(100):
            log.append_decision(record(number))
            log.append_outcome(record(number))
        log.append_event("trust", {})
        assert await decided(log, record(101)) == [False]
        assert log._pending_bytes < 12_000
        dropped = log.status().unrecorded
        disk.broken = False
        await until(lambda: log.healthy and log.status().durable == log.size)
        assert log.gaps == 1
        await log.close()
        assert dropped > 150
        assert [line["unrecorded"] for line in lines(directory, "gap")] == [dropped]

    run(work)
    assert verify_log(directory).wrong == ""


def test_a_disk_that_does_not_keep_up_counts_as_failing(tmp_path: Path) -> None:
    """Lines cannot pile up without end behind a slow disk; waiters are told."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, durability="relaxed", pending_bytes=5000)
        await log.start()
        told: list[bool] = []
        log.append_decision(record(0), told.append)
        for number in range(20):
            log.append_decision(record(number))
        assert not log.healthy
        assert "does not keep up" in log.status().error
        await until(lambda: told == [False])
        await until(lambda: log.healthy)
        await log.close()

    run(work)
    assert verify_log(directory).wrong == ""
    assert len(lines(directory, "gap")) == 1


def test_a_disk_that_never_comes_back_does_not_keep_the_gate(tmp_path: Path) -> None:
    """Closing tries once more and ends; what was durable stays sound."""
    disk = FaultyDisk()
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, sync=disk)
        await log.start()
        await decided(log, record(1))
        disk.broken = True
        assert await decided(log, record(2)) == [False]
        await asyncio.wait_for(log.close(), 5)
        assert not log.healthy

    run(work)
    disk.broken = False
    run(lambda: _restart(directory))
    assert verify_log(directory).wrong == ""
    assert record(1).decision_id in {line["decision_id"] for line in lines(directory, "decision")}


async def _restart(directory: Path) -> None:
    log = opened(directory)
    await log.start()
    await log.close()


class LostKey:
    """A signer that has lost its connection."""

    def __init__(self) -> None:
        self.lost = False
        self.fault: type[Exception] = OSError

    @property
    def public_key(self) -> bytes:
        return SIGNER.public_key

    def sign(self, message: bytes) -> bytes:
        if self.lost:
            raise self.fault("no answer from the signer")
        return SIGNER.sign(message)


def _opened_with(directory: Path, signer: LostKey) -> Log:
    assert not isinstance(signer, GateKey)
    return opened(directory, signer=signer)  # type: ignore[arg-type]  # a signer by protocol


def test_a_signer_that_fails_is_a_log_that_fails(tmp_path: Path) -> None:
    """Nothing is durable without its checkpoint, and nothing is lost either."""
    signer = LostKey()
    directory = tmp_path / "log"

    async def work() -> None:
        log = _opened_with(directory, signer)
        await log.start()
        signer.lost = True
        assert await decided(log, record(1)) == [False]
        signer.lost = False
        await until(lambda: log.healthy)
        await log.close()

    run(work)
    assert verify_log(directory).wrong == ""
    assert len(lines(directory, "decision")) == 1


def test_a_signer_may_fail_first_of_all(tmp_path: Path) -> None:
    """A recovered segment is gone on from, whatever fails before the first write to it."""
    signer = LostKey()
    directory = tmp_path / "log"

    async def work() -> None:
        log = _opened_with(directory, signer)
        signer.lost = True
        await log.start()
        assert not log.healthy
        signer.lost = False
        await until(lambda: log.healthy)
        await log.close()

    run(lambda: _restart(directory))
    run(work)
    assert verify_log(directory).wrong == ""
    kinds = [line["kind"] for line in lines(directory)]
    assert kinds == ["start", "stop", "start", "gap", "stop"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_is_noticed(tmp_path: Path) -> None:
    """Even an error in the program leaves an unhealthy log and no waiter behind."""
    signer = LostKey()
    signer.fault = KeyError

    async def work() -> None:
        log = _opened_with(tmp_path / "log", signer)
        await log.start()
        signer.lost = True
        assert await decided(log, record(1)) == [False]
        assert not log.healthy
        assert "thread has ended" in log.status().error
        await asyncio.wait_for(log.close(), 5)

    run(work)


def test_status_tells_how_full_the_volume_is(tmp_path: Path) -> None:
    """The percentage is that of the volume; over 90 is full."""

    async def work() -> None:
        log = opened(tmp_path / "log")
        await log.start()
        await decided(log, record(1))
        status = log.status()
        assert 0 < status.volume_percent <= 100
        assert status.volume_full == (status.volume_percent > 90)
        await log.close()

    run(work)


def test_later_is_called_in_time_or_at_the_close(tmp_path: Path) -> None:
    """What was put off is done before the stop line."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        log.later(0.001, lambda: log.append_event("trust", {"n": 1}))
        await until(lambda: log.size == 2)
        log.later(3600, lambda: log.append_event("trust", {"n": 2}))
        await log.close()

    run(work)
    assert [line.get("n") for line in lines(directory)] == [None, 1, 2, None]


def test_a_log_that_never_started_can_be_closed(tmp_path: Path) -> None:
    """Giving up between opening and starting writes nothing and lets go."""

    async def work() -> None:
        await opened(tmp_path / "log").close()
        await opened(tmp_path / "log").close()

    run(work)
    assert segments(tmp_path / "log") == []


def test_lines_are_read_from_either_end(tmp_path: Path) -> None:
    """In order from any number, newest first, across segments."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory, rotate_bytes=4096)
        await log.start()
        for number in range(12):
            await decided(log, record(number, target="/" + "x" * 900 * number))
        await log.close()

    run(work)
    assert len(segments(directory)) > 2
    everything = lines(directory)
    assert [line["seq"] for line in everything] == list(range(len(everything)))
    assert list(newest_lines(directory)) == everything[::-1]
    for start in (0, 1, int(segments(directory)[1].stem), len(everything) - 1, len(everything)):
        assert list(read_lines(directory, start)) == everything[start:]
    segments(directory)[0].unlink()
    with pytest.raises(DataError, match="the oldest kept is"):
        list(read_lines(directory, 0))
    assert next(read_lines(directory))["seq"] == int(segments(directory)[0].stem)
    segments(directory)[1].unlink()
    with pytest.raises(DataError, match="is expected next"):
        list(read_lines(directory))
    assert list(read_lines(tmp_path / "none")) == list(newest_lines(tmp_path / "none")) == []


def test_a_damaged_line_stops_a_reader(tmp_path: Path) -> None:
    """What is not JSON, or out of order, is named; half a last line is passed over."""
    directory = tmp_path / "log"
    run(lambda: _restart(directory))
    path = segments(directory)[0]
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"half')
    assert len(lines(directory)) == len(list(newest_lines(directory))) == 2
    path.write_bytes(whole + b'{"seq":9}\n')
    with pytest.raises(DataError, match=r"jsonl:5: line 2 is expected here"):
        lines(directory)
    path.write_bytes(whole + b"junk\n")
    for reader in (lines, lambda found: list(newest_lines(found))):
        with pytest.raises(DataError, match="not JSON"):
            reader(directory)


def test_following_sees_each_line_once_across_segments(tmp_path: Path) -> None:
    """New lines come when they are written, also from the next file."""
    directory = tmp_path / "log"
    steps = iter(range(1000))

    async def work() -> None:
        log = opened(directory, rotate_bytes=4096)
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def follow() -> list[object]:
            seen = []
            for line in follow_lines(directory, 0, lambda: _turn(loop, asked)):
                seen.append(line["seq"])
                if line["kind"] == "stop":
                    return seen
            return seen

        following = asyncio.create_task(asyncio.to_thread(follow))
        await asked.wait()
        await log.start()
        for _ in range(12):
            asked.clear()
            await decided(log, record(next(steps)))
            await asked.wait()
        await log.close()
        assert await asyncio.wait_for(following, 10) == list(range(log.size))

    run(work)
    assert len(segments(directory)) > 1


def _turn(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    """Tell the loop that the reader has seen everything, and let the others run."""
    loop.call_soon_threadsafe(asked.set)
    os.sched_yield()
