"""The files of a log: segments named by the number of their first leaf, and what a line in them is.

A segment is `<20-digit seq>.jsonl`. Each but the first begins with a checkpoint line that carries
the tree's frontier, so that reading can start there when older segments are gone.
"""

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from passgate.errors import DataError
from passgate.log.checkpoint import Checkpoint, NoteKey, open_checkpoint
from passgate.log.merkle import Frontier

SUFFIX = ".jsonl"
GATE_PUB = "gate.pub"
HISTORY = "checkpoints"
LOCK = "lock"

_HEADER = b'{"frontier":'
_COMMIT = b'{"kind":"checkpoint",'
# How many bytes of each leaf hash a checkpoint line repeats: four characters of base64, no padding.
_HINT = 3


def segment_path(directory: Path, first: int) -> Path:
    """The file of the segment whose first leaf has this number."""
    return directory / f"{first:020d}{SUFFIX}"


def list_segments(directory: Path) -> list[tuple[int, Path]]:
    """Every segment as (number of its first leaf, path), in order.

    Raises `DataError` for a file that is called like a segment and named unlike one, or when the
    directory cannot be read.
    """
    found: list[tuple[int, Path]] = []
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths, are what is judged
    except OSError as error:
        raise DataError(f"{directory} cannot be read: {error.strerror}") from error
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        digits = name.removesuffix(SUFFIX)
        if len(digits) != 20 or not (digits.isascii() and digits.isdecimal()):
            raise DataError(f"{directory / name}:1: no segment has this name; move it away")
        found.append((int(digits), directory / name))
    found.sort()
    return found


def is_checkpoint(line: bytes) -> bool:
    """Whether a line is a checkpoint, which is no leaf. Canonical order makes its start unique."""
    return line.startswith((_COMMIT, _HEADER))


def commit_line(note: str, leaves: Sequence[bytes]) -> bytes:
    """The checkpoint line that ends a group commit, with its newline.

    `leaves` are the hashes of the leaves since the checkpoint before; three bytes of each are
    repeated in the line, so that verification can tell which of them is not the one signed for.
    """
    hints = base64.b64encode(b"".join([hashed[:_HINT] for hashed in leaves])).decode()
    return f'{{"kind":"checkpoint","leaves":"{hints}","note":"{_quoted(note)}","v":1}}\n'.encode()


def header_line(note: str, frontier: Frontier) -> bytes:
    """The checkpoint line that begins a segment, with the frontier and its newline."""
    hashes = ",".join([f'"{base64.b64encode(hashed).decode()}"' for hashed in frontier.hashes])
    return (
        f'{{"frontier":[{hashes}],"kind":"checkpoint","note":"{_quoted(note)}","v":1}}\n'.encode()
    )


def note_of(line: bytes) -> str:
    """The note inside a checkpoint line, unverified; `ValueError` when there is none."""
    members = parse_line(line)
    note = members.get("note")
    if type(note) is not str:
        raise ValueError("the checkpoint line holds no note")
    return note


def open_header(line: bytes, key: NoteKey) -> Frontier:
    """The frontier that a segment begins with, proven by its signed note, or `ValueError`.

    The line must be byte for byte what the gate writes.
    """
    note = note_of(line)
    checkpoint = open_checkpoint(note, key)
    listed = parse_line(line).get("frontier")
    if not isinstance(listed, list) or not all(type(item) is str for item in listed):
        raise ValueError("the frontier is malformed")
    try:
        hashes = [base64.b64decode(item, validate=True) for item in listed]
    except ValueError:
        raise ValueError("the frontier is malformed") from None
    frontier = Frontier(checkpoint.size, hashes)
    if frontier.root() != checkpoint.root:
        raise ValueError("the frontier does not lead to the signed root")
    if header_line(note, frontier) != line:
        raise ValueError("the checkpoint line is not in its canonical form")
    return frontier


def fault_of_commit(
    line: bytes, leaves: Sequence[bytes], tree: Frontier, key: NoteKey, *, signature: bool = True
) -> tuple[int | None, str] | None:
    """What is wrong with a commit: its checkpoint line, or the leaves that it covers.

    `leaves` are the hashes since the checkpoint before, and `tree` includes them. The answer is
    None, or (index of the leaf that is wrong, why), with None for the checkpoint line itself.
    Without `signature` everything but the signature is looked at.
    """
    if not leaves:
        return None, "the checkpoint covers no line of its own"
    root = tree.root()
    claimed = Checkpoint(key.name, tree.size, root)
    try:
        note = note_of(line)
        if signature:
            claimed = open_checkpoint(note, key)
    except ValueError as error:
        return None, str(error)
    if claimed.size != tree.size:
        return None, f"it is over {claimed.size} lines, and {tree.size} stand before it"
    if claimed.root != root or not note.startswith(claimed.body() + "\n"):
        index = _singled_out(line, leaves)
        if index is not None:
            return index, "the line is not the one that was signed"
        return 0, f"of the {len(leaves)} lines from here on, one is not the one that was signed"
    if commit_line(note, leaves) != line:
        return None, "the checkpoint line is not the one that was written after these lines"
    return None


def _singled_out(line: bytes, leaves: Sequence[bytes]) -> int | None:
    """Which of the leaves is not the one that the checkpoint line was written over, if it says."""
    try:
        text = parse_line(line).get("leaves")
        hints = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return None
    if len(hints) != _HINT * len(leaves):
        return None
    for index, hashed in enumerate(leaves):
        if hints[_HINT * index : _HINT * (index + 1)] != hashed[:_HINT]:
            return index
    return None


def parse_line(line: bytes) -> dict[str, Any]:
    """A line's members, or `ValueError`."""
    try:
        members = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the line is not JSON") from None
    if type(members) is not dict:
        raise ValueError("the line is not a JSON object")
    return members


def _quoted(note: str) -> str:
    """A note inside a JSON string; of what needs escaping it holds only newlines."""
    return json.dumps(note, ensure_ascii=False)[1:-1]
