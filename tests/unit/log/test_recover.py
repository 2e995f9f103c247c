"""A start takes up where a crash left off, and refuses what no crash leaves."""

from pathlib import Path

import pytest
from nacl.bindings import crypto_sign_seed_keypair
from tests.log_craft import (
    NOTE_KEY,
    decided,
    opened,
    record,
    run,
    segments,
    write_log,
)

from passgate.errors import DataError, KeyFileError
from passgate.log import GateKey, read_lines, verify_log
from passgate.log.recover import recover


@pytest.fixture
def log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    write_log(directory, turns=(2, 1, 3))
    return directory


def kinds(directory: Path) -> list[str]:
    return [line["kind"] for line in read_lines(directory)]


def restart(directory: Path) -> list[str]:
    """Start and stop on what is there; the kinds of the lines that were added."""

    async def work() -> int:
        log = opened(directory)
        await log.start()
        await log.close()
        return log.recovered_size

    before = run(work)
    assert verify_log(directory).wrong == ""
    return kinds(directory)[before:]


def test_a_new_log_begins_empty(tmp_path: Path) -> None:
    """Nothing there is a fresh start, with key and directory made."""
    found = recover(tmp_path / "deep" / "log", NOTE_KEY)
    assert (found.size, found.segment, found.clean) == (0, None, True)
    assert (tmp_path / "deep" / "log" / "gate.pub").read_text() == NOTE_KEY.text() + "\n"


def test_a_clean_log_is_continued(log: Path) -> None:
    """The number after the last, in the same segment, and no gap."""
    assert recover(log, NOTE_KEY).clean
    assert restart(log) == ["start", "stop"]
    assert len(segments(log)) == 1


def test_a_torn_last_line_is_cut_and_said(log: Path) -> None:
    """Half a line was never reported durable to anyone."""
    path = segments(log)[0]
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"access_mode":"passport","act')
    found = recover(log, NOTE_KEY)
    assert (found.cut, found.uncovered, found.clean) == (30, [], False)
    assert path.stat().st_size == size


def test_the_gap_line_says_what_a_crash_left(log: Path) -> None:
    """Whole lines without a checkpoint are kept and counted, the torn one is cut."""
    path = segments(log)[0]
    lines = path.read_bytes().splitlines(True)
    assert b'"kind":"stop"' in lines[-2]
    path.write_bytes(b"".join(lines[:-1]) + b'{"torn')
    (log / "checkpoints").unlink()
    before = len(list(read_lines(log)))
    assert restart(log) == ["start", "gap", "stop"]
    gap = list(read_lines(log))[before + 1]
    assert (gap["uncovered"], gap["cut_bytes"], gap["reason"]) == (4, 6, "crash")
    assert list(read_lines(log))[before]["clean"] is False


def test_a_hole_left_by_a_power_loss_is_cut(log: Path) -> None:
    """Zeros where a write did not arrive are torn, whatever stands behind them."""
    path = segments(log)[0]
    with path.open("ab") as file:
        file.write(b'{"a' + bytes(4096) + b'"}\n{"kind":"checkpoint"}\n')
    assert restart(log) == ["start", "gap", "stop"]


def test_a_segment_without_a_whole_line_is_taken_back(log: Path) -> None:
    """A crash right after a rotation leaves nothing of the new segment."""
    for content in (b"", b'{"frontier":["'):
        size = len(list(read_lines(log)))
        (log / f"{size:020d}.jsonl").write_bytes(content)
        assert restart(log)[0] == "start"
        assert len(segments(log)) == 1


def test_a_segment_with_only_its_header_is_continued(tmp_path: Path) -> None:
    """The frontier alone is enough to go on from."""
    directory = tmp_path / "log"
    write_log(directory, turns=(4, 1), rotate_bytes=4096)
    newest = segments(directory)[-1]
    newest.write_bytes(newest.read_bytes().splitlines(True)[0])
    (directory / "checkpoints").unlink()
    assert restart(directory)[0] == "start"


def test_only_the_newest_segment_is_read(tmp_path: Path) -> None:
    """The cost of a start does not grow with the log; `audit verify` is for the rest."""
    directory = tmp_path / "log"
    write_log(directory, turns=(4, 1, 4, 1), rotate_bytes=4096)
    oldest = segments(directory)[0]
    assert len(segments(directory)) >= 2
    oldest.write_bytes(oldest.read_bytes()[:1] + b"X" + oldest.read_bytes()[2:])
    assert recover(directory, NOTE_KEY).size == len(
        [
            line
            for path in segments(directory)
            for line in path.read_bytes().splitlines()
            if b'"kind":"checkpoint"' not in line
        ]
    )
    assert f"{oldest}:1: " in verify_log(directory).wrong


def test_every_changed_byte_but_the_last_newline_stops_the_start(log: Path) -> None:
    """Corruption is no torn write: file, line and the way out are named."""
    path = segments(log)[0]
    whole = path.read_bytes()
    for position in range(0, len(whole) - 1, 7):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"jsonl:\d+: .*(restore|move)|checkpoints:1: knows"):
            recover(log, NOTE_KEY)
    path.write_bytes(whole)
    assert recover(log, NOTE_KEY).clean


def test_an_uncovered_line_must_be_ours(log: Path) -> None:
    """What stands after the last checkpoint must be canonical and numbered on."""
    path = segments(log)[0]
    whole = path.read_bytes()
    for line in (b'{"kind":"stop","seq":1,"v":1}\n', b"junk\n", b"[]\n"):
        path.write_bytes(whole + line)
        with pytest.raises(DataError, match="jsonl:"):
            recover(log, NOTE_KEY)
    size = recover_size(path, whole, log)
    path.write_bytes(whole + b'{"v":1,"seq":%d,"kind":"stop"}\n' % size)
    with pytest.raises(DataError, match="canonical"):
        recover(log, NOTE_KEY)


def recover_size(path: Path, whole: bytes, log: Path) -> int:
    path.write_bytes(whole)
    return recover(log, NOTE_KEY).size


def test_a_cut_log_stops_the_start(log: Path) -> None:
    """`checkpoints` knows how long the log was."""
    path = segments(log)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:-2]))
    with pytest.raises(DataError, match="the log has been cut"):
        recover(log, NOTE_KEY)
    path.unlink()
    with pytest.raises(DataError, match="the log has been cut"):
        recover(log, NOTE_KEY)


def test_another_past_stops_the_start(log: Path, tmp_path: Path) -> None:
    """A sound log of the same gate that `checkpoints` does not know is refused."""
    other = tmp_path / "other" / "log"
    write_log(other, turns=(3, 1, 2))
    segments(log)[0].write_bytes(segments(other)[0].read_bytes())
    assert len(list(read_lines(other))) == len(list(read_lines(log)))
    with pytest.raises(DataError, match="differ from those that were signed"):
        recover(log, NOTE_KEY)


def test_another_key_stops_the_start(log: Path) -> None:
    """A lost gate.key cannot quietly be replaced, with or without gate.pub."""
    seed = bytes(32)
    other = GateKey(crypto_sign_seed_keypair(seed)[0], seed)

    async def work() -> None:
        opened(log, signer=other)

    with pytest.raises(DataError, match=r"gate\.pub:1: names another key"):
        run(work)
    (log / "gate.pub").unlink()
    with pytest.raises(DataError, match="not signed by this key"):
        run(work)
    assert not (log / "gate.pub").exists()
    recover(log, NOTE_KEY)
    assert (log / "gate.pub").exists()


@pytest.mark.parametrize("tail", [b"passgate/gate_lab\n5", bytes(100), b"x"])
def test_a_torn_history_is_mended(log: Path, tail: bytes) -> None:
    """`checkpoints` is appended without a sync: its last entry may be torn."""
    whole = (log / "checkpoints").read_bytes()
    (log / "checkpoints").write_bytes(whole + tail)
    assert restart(log) == ["start", "stop"]
    assert (log / "checkpoints").read_bytes().startswith(whole)


def test_a_damaged_history_stops_the_start(log: Path) -> None:
    """A whole entry that does not verify is damage."""
    whole = (log / "checkpoints").read_bytes()
    for content in (whole.replace(b"gate_lab", b"gate_lob", 1), whole + whole, b"\xff\n"):
        (log / "checkpoints").write_bytes(content)
        with pytest.raises(DataError, match=r"checkpoints:\d+: .*restore it"):
            recover(log, NOTE_KEY)


def test_one_gate_holds_a_log(log: Path) -> None:
    """A second gate on the same directory is refused while the first runs."""

    async def work() -> None:
        first = opened(log)
        with pytest.raises(DataError, match="in use by another gate"):
            opened(log)
        await first.start()
        await decided(first, record())
        await first.close()
        second = opened(log)
        await second.close()

    run(work)


def test_a_place_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """A file where the directory should be is named, and so is an unusable query key."""
    (tmp_path / "file").write_bytes(b"")

    async def work(directory: Path) -> None:
        opened(directory)

    with pytest.raises(DataError, match="cannot be written"):
        run(lambda: work(tmp_path / "file" / "log"))
    (tmp_path / "query.key").write_text("short\n")
    (tmp_path / "query.key").chmod(0o600)
    with pytest.raises(KeyFileError, match=r"query\.key"):
        run(lambda: work(tmp_path / "log"))
    (tmp_path / "query.key").unlink()
    run(lambda: work(tmp_path / "log"))
