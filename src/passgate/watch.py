"""Tells whether files have changed, by a look at their status: no notification, no missed rename.

What is compared includes the inode, so that an editor's rename and a ConfigMap's swapped link are
seen too.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int] | None
"""A file as its status tells it: inode, time of change in nanoseconds, size. None for no file."""


def stamp(file: Path) -> Stamp:
    """What `file` is now."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def stamps(files: Iterable[Path | None]) -> tuple[Stamp, ...]:
    """What each of `files` is now; None among them stands for no file."""
    return tuple(None if file is None else stamp(file) for file in files)


class Watch:
    """A set of files, and what they were when they were last looked at.

    Those that are `awaited` count as changed as soon as they are there.
    """

    __slots__ = ("_seen",)

    def __init__(self, files: Iterable[Path]) -> None:
        self._seen = {file: stamp(file) for file in files}

    def follow(self, files: Iterable[Path], awaited: Iterable[Path] = ()) -> None:
        """Watches `files` and no others from now on; those watched already keep what was seen."""
        seen = {file: self._seen.get(file) for file in awaited}
        for file in files:
            seen[file] = self._seen[file] if file in self._seen else stamp(file)
        self._seen = seen

    def changed(self) -> bool:
        """Whether a file is another one than at the last call. A file that is gone is no change:
        whoever replaces it is not done yet."""
        found = False
        for file, before in self._seen.items():
            now = stamp(file)
            if now is not None and now != before:
                self._seen[file] = now
                found = True
        return found
