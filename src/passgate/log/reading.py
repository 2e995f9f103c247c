"""Reading a log back: in order, newest first, or as it grows. Checkpoints are left out.

Readers verify nothing, they only refuse what is out of order; `verify` is for the rest.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from passgate.errors import DataError
from passgate.log.segments import is_checkpoint, list_segments, parse_line

_BLOCK = 64 * 1024


def read_lines(directory: Path, from_seq: int | None = None) -> Iterator[dict[str, Any]]:
    """Every line in order, as a dict.

    Begins with leaf `from_seq`, or with the oldest one kept when that is None. Stops before a last
    line that is not complete. Raises `DataError` naming file and line when a line is not JSON or
    out of order, or when `from_seq` lies in a segment that has been removed.
    """
    segments = list_segments(directory) if directory.is_dir() else []
    if from_seq is not None and segments and from_seq < segments[0][0]:
        raise DataError(
            f"{directory}: line {from_seq} is asked for, the oldest kept is {segments[0][0]}; "
            "restore the removed segments, or give up what depends on them"
        )
    start = from_seq or 0
    while len(segments) > 1 and segments[1][0] <= start:
        del segments[0]
    seq = segments[0][0] if segments else 0
    for first, path in segments:
        if first != seq:
            raise DataError(f"{path}:1: begins with line {first}, and line {seq} is expected next")
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                if is_checkpoint(line):
                    continue
                if seq >= start:
                    yield _leaf(path, number, line, seq)
                seq += 1


def newest_lines(directory: Path) -> Iterator[dict[str, Any]]:
    """Every line as a dict, the newest first; reads no more of the files than is asked for.

    Stops early when a segment is removed meanwhile. Raises `DataError` when a line is not JSON.
    """
    segments = list_segments(directory) if directory.is_dir() else []
    for _, path in reversed(segments):
        try:
            for line in _backwards(path):
                if not is_checkpoint(line):
                    yield _parsed(f"{path}", line)
        except FileNotFoundError:
            return


def follow_lines(
    directory: Path, from_seq: int, wait: Callable[[], None] = lambda: time.sleep(0.25)
) -> Iterator[dict[str, Any]]:
    """Every line from `from_seq` on, and then each new one when it appears, without end.

    `wait` is called whenever there is nothing new.
    """
    seq = from_seq
    path: Path | None = None
    offset = 0
    while True:
        # The list is taken before the read: a newer segment that it names begins only after all of
        # the older one was written, so an end of file then really is the end.
        segments = list_segments(directory) if directory.is_dir() else []
        reached = [entry for entry in segments if entry[0] <= seq]
        if not reached:
            wait()
            continue
        if reached[-1][1] != path:
            first, path = reached[-1]
            offset, at = 0, first
        moved = False
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                moved = True
                if is_checkpoint(line):
                    continue
                if at >= seq:
                    yield _parsed(f"{path}", line)
                    seq = at + 1
                at += 1
        if not moved:
            wait()


def _backwards(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, last first, each with its newline."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        rest = b""
        whole = False
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            end = start
            rest = lines[0]
            for line in reversed(lines[1:]):
                # What follows the last newline is no whole line: a running gate may be writing it.
                if whole:
                    yield line + b"\n"
                whole = True
        if whole:
            yield rest + b"\n"


def _leaf(path: Path, number: int, line: bytes, seq: int) -> dict[str, Any]:
    members = _parsed(f"{path}:{number}", line)
    if members.get("seq") != seq:
        raise DataError(f"{path}:{number}: line {seq} is expected here; {_advice(path)}")
    return members


def _parsed(where: str, line: bytes) -> dict[str, Any]:
    try:
        return parse_line(line)
    except ValueError as error:
        raise DataError(f"{where}: {error}; {_advice(Path(where))}") from error


def _advice(path: Path) -> str:
    return f"for the first wrong line run: passgate audit verify {path.parent}"
