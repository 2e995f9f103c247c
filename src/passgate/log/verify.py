"""Verification: recomputes a whole log from its files and names the first thing that is wrong.

Needs nothing from the gate but its public key. Every byte of the segments, of `checkpoints` and of
`gate.pub` counts: each line is either a leaf under a signed root, or a checkpoint in the one form
in which the gate writes it.
"""

import fcntl
from dataclasses import dataclass
from pathlib import Path

from passgate.errors import DataError
from passgate.log.canonical import canonical
from passgate.log.checkpoint import NoteKey, open_checkpoint, parse_key
from passgate.log.history import NOTE_LINES, split_history
from passgate.log.merkle import EMPTY_ROOT, Frontier, leaf_hash
from passgate.log.recover import check_leaf
from passgate.log.segments import (
    GATE_PUB,
    HISTORY,
    LOCK,
    fault_of_commit,
    is_checkpoint,
    list_segments,
    open_header,
    parse_line,
)


@dataclass(slots=True)
class Verification:
    """What verifying a log found.

    `wrong` is the first fault as `file:line: sentence`, "" when there is none. `first` is the
    oldest leaf kept, `size` the leaves that a checkpoint covers, `uncovered` whole lines after
    those. `since` is the size of the checkpoint that was held against the log, if one was.
    """

    key: str = ""
    self_asserted: bool = False
    first: int = 0
    size: int = 0
    checkpoints: int = 0
    uncovered: int = 0
    since: int | None = None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A checkpoint kept outside the segments; the log must have had this root at this size."""

    path: Path
    number: int
    size: int
    root: bytes
    kept_elsewhere: bool = False


class _WrongError(Exception):
    """Ends a verification at its first fault; does not leave this module."""

    def __init__(self, path: Path, number: int, why: object) -> None:
        super().__init__(f"{path}:{number}: {why}")


def verify_log(
    directory: Path, key: NoteKey | None = None, since: tuple[str, str] | None = None
) -> Verification:
    """Recompute the log in `directory`.

    Without `key` the log's own `gate.pub` is believed, which proves consistency and not origin.
    `since` is a checkpoint that was kept elsewhere, as (where it is from, its text): the log must
    contain it. Raises `DataError` when a file cannot be read.
    """
    found = Verification()
    try:
        _verify(directory, key, since, found)
    except _WrongError as fault:
        found.wrong = str(fault)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return found


def _verify(
    directory: Path, key: NoteKey | None, since: tuple[str, str] | None, found: Verification
) -> None:
    found.self_asserted = key is None
    key = _key(directory, key)
    found.key = key.text()
    marks = _history(directory / HISTORY, key, compulsory=since is None)
    if since is not None:
        mark = _since(since, key)
        found.since = mark.size
        marks.append(mark)
    _Walk(directory, key, marks, found).run()


def _is_growing(directory: Path) -> bool:
    """Whether a gate holds this log, and so may be in the middle of writing its last line."""
    try:
        with (directory / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _key(directory: Path, key: NoteKey | None) -> NoteKey:
    """The key to believe; `gate.pub`, where there is one, must be this very key."""
    path = directory / GATE_PUB
    try:
        text = path.read_bytes().decode()
        own = parse_key(text.removesuffix("\n"))
    except FileNotFoundError:
        if key is None:
            raise _WrongError(path, 1, "is missing; give the gate's key with --key FILE") from None
        return key
    except ValueError as error:
        raise _WrongError(path, 1, error) from None
    if text != own.text() + "\n":
        raise _WrongError(path, 1, "is not one line")
    if key is not None and key != own:
        raise _WrongError(path, 1, "is not the key that the log is verified with")
    return own


def _history(path: Path, key: NoteKey, *, compulsory: bool) -> list[_Mark]:
    """Every checkpoint of the `checkpoints` file, each signed and newer than the one before."""
    try:
        notes, whole = split_history(path.read_bytes())
    except FileNotFoundError:
        if compulsory:
            why = "is missing, so nothing says where the log should end; give --since CHECKPOINT"
            raise _WrongError(path, 1, why) from None
        return []
    except ValueError:
        raise _WrongError(path, 1, "is not text") from None
    marks: list[_Mark] = []
    for index, note in enumerate(notes):
        number = NOTE_LINES * index + 1
        try:
            checkpoint = open_checkpoint(note, key)
        except ValueError as error:
            raise _WrongError(path, number, error) from None
        if marks and checkpoint.size <= marks[-1].size:
            raise _WrongError(path, number, "the checkpoint is older than the one before it")
        marks.append(_Mark(path, number, checkpoint.size, checkpoint.root))
    if not whole or not notes:
        raise _WrongError(path, NOTE_LINES * len(notes) + 1, "a checkpoint is not complete")
    return marks


def _since(since: tuple[str, str], key: NoteKey) -> _Mark:
    where, note = since
    try:
        checkpoint = open_checkpoint(note, key, witnessed=True)
    except ValueError as error:
        raise _WrongError(Path(where), 1, error) from None
    return _Mark(Path(where), 1, checkpoint.size, checkpoint.root, kept_elsewhere=True)


class _Walk:
    """One pass over all segments, in order."""

    def __init__(
        self, directory: Path, key: NoteKey, marks: list[_Mark], found: Verification
    ) -> None:
        self._directory = directory
        self._key = key
        self._marks: dict[int, list[_Mark]] = {}
        for mark in marks:
            self._marks.setdefault(mark.size, []).append(mark)
        self._found = found
        self._tree = Frontier()
        # Leaves since the last checkpoint: line number, bytes, hash.
        self._held: list[tuple[int, bytes, bytes]] = []

    def run(self) -> None:
        """Go through everything, in order."""
        segments = list_segments(self._directory)
        if not segments:
            raise _WrongError(self._directory, 1, "holds no segment of a log")
        found = self._found
        found.first = segments[0][0]
        if not found.first:
            self._meet(segments[0][1], 1, EMPTY_ROOT)
        for index, (first, path) in enumerate(segments):
            self._segment(path, first, oldest=index == 0, newest=index == len(segments) - 1)
        found.size = self._tree.size
        found.uncovered = len(self._held)
        for marks in self._marks.values():
            for mark in marks:
                self._unmatched(mark)

    def _unmatched(self, mark: _Mark) -> None:
        """A mark that no checkpoint line of the log answered to."""
        if mark.size > self._tree.size:
            why = f"the log had {mark.size} lines and now ends after {self._tree.size}"
        elif mark.size >= self._found.first:
            why = f"the log has no checkpoint at {mark.size} lines, although this one is signed"
        elif mark.kept_elsewhere:
            why = (
                f"it is older than what is kept, which begins with line {self._found.first}; "
                "give a newer checkpoint"
            )
        else:
            return
        raise _WrongError(mark.path, mark.number, why)

    def _segment(self, path: Path, first: int, *, oldest: bool, newest: bool) -> None:
        if not oldest and first != self._tree.size + len(self._held):
            at = self._tree.size + len(self._held)
            raise _WrongError(path, 1, f"begins with line {first}, and line {at} is expected next")
        number = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line[-1:] != b"\n":
                    if newest and _is_growing(self._directory):
                        break
                    raise _WrongError(path, number, "the line is not complete")
                if number == 1 and first:
                    self._header(path, line, first, oldest=oldest)
                elif is_checkpoint(line):
                    self._commit(path, number, line)
                else:
                    self._leaf(path, number, line[:-1])
        if not number:
            raise _WrongError(path, 1, "the segment is empty")
        if newest:
            for at, held, _ in self._held:
                if canonical(parse_line(held)) != held:
                    raise _WrongError(path, at, "the line is not in its canonical form")
        elif self._held:
            why = "no checkpoint covers this line, although another segment follows"
            raise _WrongError(path, self._held[0][0], why)

    def _header(self, path: Path, line: bytes, first: int, *, oldest: bool) -> None:
        try:
            tree = open_header(line, self._key)
        except ValueError as error:
            raise _WrongError(path, 1, error) from None
        if tree.size != first:
            raise _WrongError(path, 1, "the segment's name and its first checkpoint disagree")
        if oldest:
            self._tree = tree
        elif tree.hashes != self._tree.hashes:
            raise _WrongError(path, 1, "the segment does not continue the one before it")
        self._found.checkpoints += 1
        self._meet(path, 1, tree.root())

    def _commit(self, path: Path, number: int, line: bytes) -> None:
        held, self._held = self._held, []
        hashes = [hashed for _, _, hashed in held]
        self._tree.extend(hashes)
        fault = fault_of_commit(line, hashes, self._tree, self._key)
        if fault is not None:
            index, why = fault
            raise _WrongError(path, number if index is None else held[index][0], why)
        self._found.checkpoints += 1
        self._meet(path, number, self._tree.root())

    def _leaf(self, path: Path, number: int, line: bytes) -> None:
        try:
            check_leaf(line, self._tree.size + len(self._held))
        except ValueError as error:
            raise _WrongError(path, number, error) from None
        self._held.append((number, line, leaf_hash(line)))

    def _meet(self, path: Path, number: int, root: bytes) -> None:
        """Hold the marks of this size against the log."""
        for mark in self._marks.pop(self._tree.size, ()):
            if mark.root != root:
                why = f"it is signed over other lines than those up to {path}:{number}"
                raise _WrongError(mark.path, mark.number, why)
