"""Verification finds whatever was done to a log, and names where."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nacl.bindings import crypto_sign_seed_keypair
from tests.log_craft import (
    NOTE_KEY,
    SIGNER,
    decided,
    opened,
    record,
    run,
    segments,
    write_log,
)

from passgate.errors import DataError
from passgate.log import NoteKey, read_lines, verify_log
from passgate.log.checkpoint import Checkpoint, sign_checkpoint
from passgate.log.merkle import leaf_hash, root_of

OTHER = crypto_sign_seed_keypair(bytes(32))[0]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of several segments."""
    directory = tmp_path_factory.mktemp("sound") / "log"
    write_log(directory, turns=(1, 3, 2, 4, 1, 2, 3), rotate_bytes=4096)
    assert len(segments(directory)) >= 3
    return directory


@pytest.fixture
def log(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return Path(shutil.copytree(sound, tmp_path / "log"))


def wrong(directory: Path) -> str:
    return verify_log(directory).wrong


def edit(path: Path, change: Callable[[list[bytes]], object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def test_a_sound_log_verifies(sound: Path) -> None:
    """Everything is counted, and a key that nobody vouched for is called self-asserted."""
    found = verify_log(sound)
    assert found.wrong == ""
    assert found.self_asserted
    assert found.key == NOTE_KEY.text()
    assert (found.first, found.size, found.uncovered) == (0, len(list(read_lines(sound))), 0)
    assert not verify_log(sound, NOTE_KEY).self_asserted


def test_any_changed_byte_of_any_file_is_found_and_named(tmp_path: Path) -> None:
    """Each byte of a small log, changed by one bit, fails verification at its own line."""
    directory = tmp_path / "log"
    write_log(directory, turns=(2, 2), rotate_bytes=4096)
    assert len(segments(directory)) == 2
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        line, lines = 1, whole.count(b"\n")
        for position, byte in enumerate(whole):
            changed = bytearray(whole)
            changed[position] = byte ^ (1 << position % 8)
            path.write_bytes(changed)
            fault = wrong(directory)
            assert fault, f"{path}: byte {position} of line {line}"
            where = fault.rpartition(": ")[0]
            if path.suffix == ".jsonl" and byte != 0x0A and changed[position] != 0x0A:
                assert where.startswith(f"{path}:{line}"), (fault, line, position)
            else:
                assert path.name in where or line == lines, (fault, line, position)
            line += byte == 0x0A
        path.write_bytes(whole)
    assert wrong(directory) == ""


@pytest.mark.parametrize("size", [1, 17, 64, 300])
def test_any_cut_end_is_found(log: Path, size: int) -> None:
    """A log that ends early has lost lines that `checkpoints` knows of."""
    last = segments(log)[-1]
    last.write_bytes(last.read_bytes()[:-size])
    assert wrong(log)


def test_removed_last_lines_are_found(log: Path) -> None:
    """Whole commits cut from the end leave a log that is consistent but too short."""
    edit(segments(log)[-1], lambda lines: lines.__delitem__(slice(-2, None)))
    assert "the log had" in wrong(log)
    assert "checkpoints:" in wrong(log)


def test_a_removed_last_segment_is_found(log: Path) -> None:
    """So does a whole file."""
    segments(log)[-1].unlink()
    assert "the log had" in wrong(log)


def test_a_removed_middle_segment_is_found(log: Path) -> None:
    """The next segment begins with a line that is not the next."""
    segments(log)[1].unlink()
    assert f"{segments(log)[1]}:1: begins with line" in wrong(log)


def test_removed_oldest_segments_are_no_fault(log: Path) -> None:
    """`audit.keep` removes them; what is left proves itself from its first checkpoint."""
    segments(log)[0].unlink()
    found = verify_log(log)
    assert found.wrong == ""
    assert found.first == int(segments(log)[0].stem) > 0


def test_a_forged_frontier_is_found_where_it_stands(log: Path) -> None:
    """With nothing before it, a frontier is proven by the signed root alone."""
    segments(log)[0].unlink()
    path = segments(log)[0]
    whole = path.read_bytes()
    for position in range(14, whole.index(b'"]'), 9):
        changed = bytearray(whole)
        changed[position] = ord("B" if changed[position] == ord("A") else "A")
        path.write_bytes(changed)
        assert wrong(log).startswith(f"{path}:1: "), position
    for forged in (
        b'{"frontier":[],',
        b'{"frontier":[1],',
        b'{"frontier":{},',
        b'{"frontier":["*"],',
    ):
        path.write_bytes(forged + whole[whole.index(b'"kind"') :])
        assert wrong(log).startswith(f"{path}:1: "), forged


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5])
def test_a_removed_line_is_found(log: Path, step: int) -> None:
    """Be it a leaf or a checkpoint, wherever it stood."""
    edit(segments(log)[1], lambda lines: lines.__delitem__(step))
    assert str(segments(log)[1]) in wrong(log)


@pytest.mark.parametrize("step", range(6))
def test_a_repeated_line_is_found(log: Path, step: int) -> None:
    """Be it a leaf or a checkpoint."""
    edit(segments(log)[1], lambda lines: lines.insert(step, lines[step]))
    assert f"{segments(log)[1]}:{step + 2}: " in wrong(log)


@pytest.mark.parametrize("step", range(5))
def test_swapped_lines_are_found(log: Path, step: int) -> None:
    """Order is part of what is signed."""

    def swap(lines: list[bytes]) -> None:
        lines[step], lines[step + 1] = lines[step + 1], lines[step]

    edit(segments(log)[1], swap)
    assert str(segments(log)[1]) in wrong(log)


def test_a_line_that_another_log_signed_is_found(log: Path, tmp_path: Path) -> None:
    """A consistent log of the same gate cannot lend its segments."""
    other = tmp_path / "other" / "log"
    write_log(other, turns=(2, 2, 3, 3, 1, 2, 3), rotate_bytes=4096)
    mine = segments(log)
    shutil.copy(mine[0], tmp_path / "kept")
    names = {path.name: path for path in segments(other)}
    shutil.copy(names[mine[0].name], mine[0])
    assert wrong(log)


def test_an_exact_line_is_named_within_a_commit(log: Path) -> None:
    """Of lines that were committed together, the one that changed is named."""
    path = segments(log)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    several = next(n for n, line in enumerate(lines) if line.startswith(b'{"kind":"ch') and n > 3)
    edit(path, lambda lines: lines.__setitem__(several - 2, lines[several - 2].replace(b"7", b"8")))
    assert wrong(log) == f"{path}:{several - 1}: the line is not the one that was signed"


def test_a_line_that_needs_the_future_is_refused(log: Path) -> None:
    """A version or kind that this program does not know is not passed over."""
    path = segments(log)[0]
    for old, new in ((b'"v":1,', b'"v":2,'), (b'"kind":"start"', b'"kind":"other"')):
        whole = path.read_bytes()
        path.write_bytes(whole.replace(old, new, 1))
        assert "does not know" in wrong(log)
        path.write_bytes(whole)


def test_a_header_from_elsewhere_is_found(log: Path) -> None:
    """A segment must continue the one before it, and be called as it begins."""
    one, two = segments(log)[1:3]
    one_lines, two_lines = (path.read_bytes().splitlines(keepends=True) for path in (one, two))
    one.write_bytes(b"".join([two_lines[0], *one_lines[1:]]))
    assert wrong(log) == f"{one}:1: the segment's name and its first checkpoint disagree"
    one.write_bytes(b"".join(one_lines[1:]))
    assert f"{one}:1: " in wrong(log)
    one.write_bytes(b"")
    assert wrong(log) == f"{one}:1: the segment is empty"


def test_lines_without_checkpoint_before_another_segment_are_found(log: Path) -> None:
    """Only at the very end may lines wait for their checkpoint."""
    edit(segments(log)[0], lambda lines: lines.pop())
    assert "no checkpoint covers this line" in wrong(log)


def test_uncovered_lines_at_the_end_are_counted(tmp_path: Path) -> None:
    """A crash leaves them; they are no fault, and not signed either."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        await decided(log, record())
        await log.close()

    run(work)
    (directory / "checkpoints").write_bytes(
        sign_note(1, b"".join(segments(directory)[0].read_bytes().splitlines(True)[:1])[:-1])
    )
    edit(segments(directory)[0], lambda lines: lines.__delitem__(slice(4, None)))
    found = verify_log(directory)
    assert (found.wrong, found.size, found.uncovered) == ("", 1, 2)
    edit(segments(directory)[0], lambda lines: lines.append(lines.pop().replace(b":", b": ", 1)))
    assert wrong(directory) == f"{segments(directory)[0]}:4: the line is not in its canonical form"


def sign_note(size: int, *leaves: bytes) -> bytes:
    """A `checkpoints` file that knows of these leaves only."""
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    checkpoint = Checkpoint(NOTE_KEY.name, size, root)
    return (sign_checkpoint(checkpoint, NOTE_KEY, SIGNER) + "\n").encode()


def test_since_proves_that_nothing_was_cut(log: Path) -> None:
    """A checkpoint kept elsewhere exposes a log that was cut and whose traces were removed."""
    kept = (log / "checkpoints").read_bytes().decode().split("\n\n")
    note = "\n\n".join(kept[-3:-1]) + "\n"
    assert verify_log(log, NOTE_KEY, ("kept.txt", note)).wrong == ""
    found = verify_log(log, NOTE_KEY, ("kept.txt", note))
    assert found.since == found.size
    last = segments(log)[-1]
    edit(last, lambda lines: lines.__delitem__(slice(-2, None)))
    (log / "checkpoints").unlink()
    assert "kept.txt:1: the log had" in verify_log(log, NOTE_KEY, ("kept.txt", note)).wrong


def test_since_exposes_a_rewritten_log(log: Path, tmp_path: Path) -> None:
    """The gate's own key cannot make another past agree with a checkpoint kept elsewhere."""
    other = tmp_path / "other" / "log"
    write_log(other, turns=(2, 2, 2, 4, 1, 2, 3), rotate_bytes=4096)
    parts = (other / "checkpoints").read_text().split("\n\n")
    note = "\n\n".join(parts[-3:-1]) + "\n"
    assert verify_log(other, NOTE_KEY, ("kept.txt", note)).wrong == ""
    assert "kept.txt:1: " in verify_log(log, NOTE_KEY, ("kept.txt", note)).wrong


def test_since_must_be_a_checkpoint_of_this_log(log: Path) -> None:
    """Another log's checkpoint, or no checkpoint, proves nothing."""
    assert "kept.txt:1: not a checkpoint" in verify_log(log, NOTE_KEY, ("kept.txt", "x")).wrong
    note = sign_note(3).decode()[:-1]
    assert "kept.txt:1: it is signed over other lines" in (
        verify_log(log, NOTE_KEY, ("kept.txt", sign_note(1).decode()[:-1])).wrong
    )
    segments(log)[0].unlink()
    assert "older than what is kept" in verify_log(log, NOTE_KEY, ("kept.txt", note)).wrong


def test_since_between_commits_is_refused(log: Path) -> None:
    """Every checkpoint that was ever published stands in the log."""
    path = segments(log)[0]
    lines = [line[:-1] for line in path.read_bytes().splitlines(True)]
    leaves = [line for line in lines if not line.startswith(b'{"kind":"checkpoint"')][:3]
    note = sign_note(2, *leaves[:2]).decode()[:-1]
    assert "has no checkpoint at 2 lines" in verify_log(log, NOTE_KEY, ("k", note)).wrong


def test_the_key_is_compared(log: Path) -> None:
    """A log under another key, or whose gate.pub says so, is refused."""
    other = NoteKey(NOTE_KEY.name, OTHER)
    assert "is not the key that the log is verified with" in verify_log(log, other).wrong
    (log / "gate.pub").write_text(other.text() + "\n")
    assert "not signed by this key" in wrong(log)
    (log / "gate.pub").write_text(NOTE_KEY.text() + "\n\n")
    assert "gate.pub:1: " in wrong(log)
    (log / "gate.pub").unlink()
    assert "give the gate's key" in wrong(log)
    assert verify_log(log, NOTE_KEY).wrong == ""


def test_a_missing_history_is_no_silence(log: Path) -> None:
    """Without `checkpoints` and without --since nothing says where the log should end."""
    (log / "checkpoints").unlink()
    assert "give --since" in wrong(log)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b"a\nb\nc\n\nd\n"])
def test_a_broken_history_is_found(log: Path, content: bytes) -> None:
    """An empty or foreign `checkpoints` file is a fault."""
    (log / "checkpoints").write_bytes(content)
    assert "checkpoints:1: " in wrong(log)


def test_a_history_out_of_order_is_found(log: Path) -> None:
    """Each entry must be newer than the one before it."""
    whole = (log / "checkpoints").read_bytes()
    (log / "checkpoints").write_bytes(whole + whole)
    assert "older than the one before it" in wrong(log)


def test_a_foreign_segment_name_is_named(log: Path) -> None:
    """What only looks like a segment stops verification."""
    (log / "copy.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match="no segment has this name"):
        verify_log(log)


def test_an_empty_directory_is_no_log(log: Path) -> None:
    """Removing every segment is noticed."""
    for path in segments(log):
        path.unlink()
    assert "holds no segment" in wrong(log)


def test_a_running_gate_may_be_writing_its_last_line(tmp_path: Path) -> None:
    """An unfinished last line is no fault while a gate holds the log, and one afterwards."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        await decided(log, record())
        with segments(directory)[0].open("ab") as file:
            file.write(b'{"half')
        assert wrong(directory) == ""
        whole = segments(directory)[0].read_bytes()
        segments(directory)[0].write_bytes(whole.removesuffix(b'{"half'))
        await log.close()

    run(work)
    with segments(directory)[0].open("ab") as file:
        file.write(b'{"half')
    assert "the line is not complete" in wrong(directory)
