"""`log/checkpoints`: one signed checkpoint per segment and minute, and the newest.

It is written after the segment is durable, so it never knows of more than the segments do: a log
that ends before its newest entry has been cut. Notes stand one after another, each followed by an
empty line, so that `tail -n 6` is the newest.
"""

import contextlib
import os
from collections.abc import Hashable
from pathlib import Path

from passgate.errors import DataError
from passgate.files import sync_directory
from passgate.log.checkpoint import NoteKey, open_checkpoint

NOTE_LINES = 6
# A day of minutes; older ones are dropped, what they proved is proven by every later one.
_MOST_ENTRIES = 1440
_MOST_EXTRA = 64


def split_history(data: bytes) -> tuple[list[str], bool]:
    """The notes in a checkpoints file, unverified, and whether the file ends with a complete one.

    Raises `ValueError` when it is not text.
    """
    lines = data.decode().split("\n")
    whole = (len(lines) - 1) // NOTE_LINES
    notes = [
        "\n".join(lines[NOTE_LINES * n : NOTE_LINES * n + NOTE_LINES - 1]) + "\n"
        for n in range(whole)
    ]
    proper = all(lines[NOTE_LINES * n + NOTE_LINES - 1] == "" for n in range(whole))
    return notes, proper and lines[NOTE_LINES * whole :] == [""]


class History:
    """The entries, in memory and in the file. Belongs to one thread at a time."""

    def __init__(self, path: Path, entries: list[tuple[int, str]], *, anew: bool) -> None:
        self._path = path
        self._entries = entries
        self._group: Hashable = None
        self._unwritten: list[str] = []
        self._extra = 0
        self._anew = anew  # the file must be replaced before anything is appended to it

    @property
    def newest(self) -> tuple[int, str] | None:
        """Size and note of the newest entry."""
        return self._entries[-1] if self._entries else None

    def add(self, note: str, size: int, group: Hashable) -> None:
        """Note a durable checkpoint; it replaces the one before if that is of the same group."""
        if self._entries and self._entries[-1][0] == size:
            return
        if group == self._group and self._entries:
            self._entries[-1] = (size, note)
            self._extra += 1
        else:
            self._entries.append((size, note))
            self._group = group
        del self._entries[:-_MOST_ENTRIES]
        self._unwritten.append(note)

    def forget(self, first: int) -> None:
        """Drop the entries that lie before the first leaf that is still kept."""
        kept = [entry for entry in self._entries if entry[0] >= first]
        if len(kept) < len(self._entries):
            self._entries = kept
            self._anew = True

    def write(self, *, compact: bool) -> None:
        """Bring the file up to date: append what is new, or write it anew when much is superfluous.

        A failure is no failure of the log, whose segments hold every checkpoint: it is tried again.
        """
        with contextlib.suppress(OSError):
            if self._anew or self._extra > _MOST_EXTRA or (compact and self._extra):
                self._replace()
            elif self._unwritten:
                self._anew = True  # an append that fails half-way leaves a file to be replaced
                with self._path.open("ab") as file:
                    file.write("".join([note + "\n" for note in self._unwritten]).encode())
                self._anew = False
                self._unwritten.clear()

    def _replace(self) -> None:
        temporary = self._path.with_name(self._path.name + ".new")
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("".join([note + "\n" for _, note in self._entries]).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_directory(self._path.parent)
        self._unwritten.clear()
        self._extra = 0
        self._anew = False


def load_history(path: Path, key: NoteKey) -> History:
    """Read a checkpoints file as a crash may have left it: what follows its last whole note is cut.

    Raises `DataError` naming the line when a whole note does not verify or does not follow the one
    before it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return History(path, [], anew=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    advice = "restore it, or move the log directory aside to begin a new log"
    # The last note is appended without a sync: after a power loss it may be cut, or be zeros.
    torn = data.find(b"\0")
    try:
        notes, whole = split_history(data if torn < 0 else data[:torn])
    except ValueError:
        raise DataError(f"{path}:1: not text; {advice}") from None
    entries: list[tuple[int, str]] = []
    for number, note in enumerate(notes):
        where = f"{path}:{NOTE_LINES * number + 1}"
        try:
            size = open_checkpoint(note, key).size
        except ValueError as error:
            raise DataError(f"{where}: {error}; {advice}") from error
        if entries and size <= entries[-1][0]:
            raise DataError(f"{where}: the checkpoint is older than the one before it; {advice}")
        entries.append((size, note))
    return History(path, entries, anew=not whole or torn >= 0)
