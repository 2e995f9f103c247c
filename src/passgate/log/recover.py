"""Recovery: what a start finds in the log directory, judged by its newest segment alone.

A last line that a crash cut short is removed; whole lines that no checkpoint covers yet are kept
and counted. Anything else that is wrong stops the start with file, line and the way out.
"""

import contextlib
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from passgate.errors import DataError
from passgate.files import sync_directory
from passgate.log.canonical import canonical
from passgate.log.checkpoint import NoteKey, open_checkpoint
from passgate.log.history import History, load_history
from passgate.log.lines import KINDS, VERSION
from passgate.log.merkle import Frontier, leaf_hash
from passgate.log.segments import (
    GATE_PUB,
    HISTORY,
    fault_of_commit,
    is_checkpoint,
    list_segments,
    note_of,
    open_header,
    parse_line,
)

# Canonical order puts a passport line's claims first, so it is told without parsing the others.
_PASSPORT = b'{"agent_id":'
# Each signature costs some 50 microseconds, and a quiet gate's segment may hold 100,000. The newest
# proves every leaf before it; older ones are proven to be over the right root and left at that.
_MOST_SIGNATURES = 2000


@dataclass(slots=True)
class Recovered:
    """The state to go on from.

    `covered` is the tree under the last checkpoint, which ends at `covered_bytes` of `segment`, the
    file to append to (None for a new log). `uncovered` are the lines after it, without newlines;
    `cut` bytes of a torn write were removed behind them. `clean` says that the last run ended with
    its `stop` line. `passports` are the digests that the segment already describes, `began` is the
    wall time of its first line.
    """

    history: History
    covered: Frontier = field(default_factory=Frontier)
    segment: Path | None = None
    covered_bytes: int = 0
    uncovered: list[bytes] = field(default_factory=list)
    cut: int = 0
    clean: bool = True
    began: float = 0.0
    passports: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many lines the log has, uncovered ones included."""
        return self.covered.size + len(self.uncovered)


def check_leaf(line: bytes, seq: int) -> dict[str, object]:
    """The members of a leaf that claims to be number `seq`, or `ValueError`."""
    members = parse_line(line)
    if members.get("v") != VERSION:
        raise ValueError("the line is of a version that this program does not know")
    if members.get("seq") != seq:
        raise ValueError(f"line {seq} of the log is expected here")
    if members.get("kind") not in KINDS or members.get("kind") == "checkpoint":
        raise ValueError("the line is of a kind that this program does not know")
    return members


def recover(directory: Path, key: NoteKey) -> Recovered:
    """Find out where the log in `directory` ends, creating the directory if need be.

    Costs one pass over the newest segment, however long the log is. Raises `DataError`.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{directory} cannot be created: {error.strerror}") from error
    _check_pub(directory, key)
    history = load_history(directory / HISTORY, key)
    found = Recovered(history)
    segments = list_segments(directory)
    while segments:
        first, path = segments.pop()
        try:
            whole = _read(path, first, key, found)
            if whole:
                break
            # Not one whole line: its first commit never became durable.
            path.unlink()
            sync_directory(directory)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    known = history.newest
    if known is not None and known[0] > found.size:
        raise DataError(
            f"{directory / HISTORY}:1: knows of {known[0]} lines, of which the segments hold "
            f"{found.size}: the log has been cut; restore it, or move the directory aside"
        )
    _write_pub(directory, key)
    return found


def _check_pub(directory: Path, key: NoteKey) -> None:
    """Keep a log under one key: a `gate.pub` that is there must be this gate's."""
    path = directory / GATE_PUB
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    # There is one spelling of a key, so comparing texts compares everything.
    if text != key.text().encode() + b"\n":
        raise DataError(
            f"{path}:1: names another key than this gate's; restore gate.key and gate.id, "
            "or move the log directory aside to begin a new log"
        )


def _write_pub(directory: Path, key: NoteKey) -> None:
    """Create `gate.pub` where it is missing, once what is there has proven to be under this key."""
    path = directory / GATE_PUB
    if path.exists():
        return
    temporary = path.with_name(GATE_PUB + ".new")
    # On a full disk the log starts without it, and the next start writes it.
    with contextlib.suppress(OSError):
        temporary.write_text(key.text() + "\n", "utf-8")
        temporary.replace(path)
        sync_directory(directory)


def _read(path: Path, first: int, key: NoteKey, found: Recovered) -> bool:
    """Bring `found` to the end of this segment; False when there is no whole line in it."""
    tree = Frontier()
    tail: list[tuple[int, bytes]] = []
    newest: deque[tuple[int, str]] = deque(maxlen=_MOST_SIGNATURES)
    leaf = b""
    known = found.history.newest
    offset = covered_bytes = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            # A hole that a power loss left reads as zeros, which no line of ours contains.
            if line[-1:] != b"\n" or b"\0" in line:
                break
            offset += len(line)
            if number == 1 and first:
                tree = _header(path, line, first, key)
                covered_bytes = offset
                _same_root(path, number, tree, known, key)
            elif is_checkpoint(line):
                hashes = [leaf_hash(held) for _, held in tail]
                tree.extend(hashes)
                fault = fault_of_commit(line, hashes, tree, key, signature=False)
                if fault is not None:
                    index, why = fault
                    raise _damaged(path, number if index is None else tail[index][0], why)
                tail.clear()
                covered_bytes = offset
                newest.append((number, note_of(line)))
                _same_root(path, number, tree, known, key)
            else:
                leaf = line[:-1]
                tail.append((number, leaf))
                if not found.began:
                    found.began = _moment(leaf)
                if leaf.startswith(_PASSPORT):
                    _remember(leaf, found.passports)
    if not offset:
        return False
    for number, note in newest:
        _is_signed(path, number, note, key)
    for index, (number, held) in enumerate(tail):
        _uncovered_is_ours(path, number, held, tree.size + index)
    found.cut = path.stat().st_size - offset
    if found.cut:
        with path.open("r+b") as file:
            file.truncate(offset)
            os.fsync(file.fileno())
    found.covered, found.covered_bytes, found.segment = tree, covered_bytes, path
    found.uncovered = [held for _, held in tail]
    found.clean = not (tail or found.cut) and (not leaf or b'"kind":"stop"' in leaf)
    return True


def _header(path: Path, line: bytes, first: int, key: NoteKey) -> Frontier:
    try:
        tree = open_header(line, key)
    except ValueError as error:
        raise _damaged(path, 1, error) from error
    if tree.size != first:
        raise _damaged(path, 1, "the segment's name and its first checkpoint disagree")
    return tree


def _same_root(
    path: Path, number: int, tree: Frontier, known: tuple[int, str] | None, key: NoteKey
) -> None:
    """The newest checkpoint in `checkpoints` must be of this very log."""
    if known is None or known[0] != tree.size:
        return
    if open_checkpoint(known[1], key).root != tree.root():
        raise _damaged(path, number, "the lines up to here differ from those that were signed")


def _is_signed(path: Path, number: int, note: str, key: NoteKey) -> None:
    try:
        open_checkpoint(note, key)
    except ValueError as error:
        raise _damaged(path, number, error) from error


def _uncovered_is_ours(path: Path, number: int, line: bytes, seq: int) -> None:
    try:
        members = check_leaf(line, seq)
    except ValueError as error:
        raise _damaged(path, number, error) from error
    if canonical(members) != line:
        raise _damaged(path, number, "the line is not in its canonical form")


def _damaged(path: Path, number: int, why: object) -> DataError:
    return DataError(
        f"{path}:{number}: {why}; `passgate audit verify {path.parent}` names the first wrong "
        "line; restore the directory, or move it aside to begin a new log"
    )


def _remember(line: bytes, passports: set[str]) -> None:
    with contextlib.suppress(ValueError):
        members = parse_line(line)
        if members.get("kind") == "passport":
            passports.add(str(members.get("passport_hash")))


def _moment(line: bytes) -> float:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(parse_line(line).get("time"))).timestamp()
    return 0.0
