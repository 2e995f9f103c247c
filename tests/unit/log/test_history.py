"""`log/checkpoints` stays small, whole, and behind the segments."""

from pathlib import Path

from tests.log_craft import NOTE_KEY, SIGNER

from passgate.log.checkpoint import Checkpoint, sign_checkpoint
from passgate.log.history import History, load_history, split_history


def note(size: int) -> str:
    return sign_checkpoint(Checkpoint(NOTE_KEY.name, size, bytes(32)), NOTE_KEY, SIGNER)


def sizes(path: Path) -> list[int]:
    notes, whole = split_history(path.read_bytes())
    assert whole
    return [int(entry.split("\n")[1]) for entry in notes]


def test_one_entry_per_segment_and_minute_and_the_newest(tmp_path: Path) -> None:
    """Within a minute the newest replaces the one before it, at the latest at the end."""
    path = tmp_path / "checkpoints"
    history = History(path, [], anew=True)
    for size in range(1, 13):
        history.add(note(size), size, ("segment", size // 5))
        history.write(compact=False)
        assert sizes(path)[-1] == size
    history.write(compact=True)
    assert sizes(path) == [4, 9, 12]
    assert history.newest == (12, note(12))
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_unchanged_log_adds_nothing(tmp_path: Path) -> None:
    """The same checkpoint twice is one entry."""
    path = tmp_path / "checkpoints"
    history = History(path, [], anew=True)
    for _ in range(3):
        history.add(note(5), 5, "a")
        history.write(compact=False)
    assert sizes(path) == [5]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    """A busy minute is compacted on the way, and old minutes are dropped."""
    path = tmp_path / "checkpoints"
    history = History(path, [], anew=True)
    signed = note(1)
    for size in range(1, 200):
        history.add(signed, size, "one minute")
        history.write(compact=False)
        assert path.read_bytes().count(b"passgate/gate_lab\n") <= 67
    for size in range(200, 3000):
        history.add(signed, size, size)
    history.write(compact=True)
    assert len(history._entries) == 1440


def test_entries_of_removed_segments_are_dropped(tmp_path: Path) -> None:
    """What was before the oldest line kept cannot be compared with anything."""
    path = tmp_path / "checkpoints"
    history = History(path, [], anew=True)
    for size in (3, 6, 9):
        history.add(note(size), size, size)
    history.write(compact=False)
    history.forget(6)
    history.write(compact=False)
    assert sizes(path) == [6, 9]


def test_a_write_that_fails_is_made_up_for(tmp_path: Path) -> None:
    """The file is replaced whole as soon as that works again."""
    place = tmp_path / "log"
    place.mkdir()
    path = place / "checkpoints"
    history = History(path, [], anew=True)
    history.add(note(1), 1, 1)
    history.write(compact=False)
    path.unlink()
    path.mkdir()
    history.add(note(2), 2, 2)
    history.write(compact=False)
    path.rmdir()
    history.write(compact=False)
    assert sizes(path) == [1, 2]


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    """A restart goes on where the file ends."""
    path = tmp_path / "checkpoints"
    history = History(path, [], anew=True)
    history.add(note(1), 1, 1)
    history.write(compact=False)
    again = load_history(path, NOTE_KEY)
    again.add(note(2), 2, 1)
    again.write(compact=True)
    assert sizes(path) == [1, 2]
    assert load_history(tmp_path / "none", NOTE_KEY).newest is None
