"""Proofs: what the log says of one request, for whoever has the gate's public key and nothing else.

A proof holds every line of one decision, and for each the path of hashes that leads from it to the
root in a signed checkpoint (RFC 6962). Making one reads the log; checking one needs no log.
"""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Final

import msgspec

from passgate.errors import DataError
from passgate.log.checkpoint import NoteKey, open_checkpoint
from passgate.log.merkle import Frontier, inclusion_proof, leaf_hash, verify_inclusion
from passgate.log.recover import check_leaf
from passgate.log.segments import (
    is_checkpoint,
    list_segments,
    note_of,
    open_header,
    parse_line,
)

MAX_PROOF_BYTES: Final = 16 << 20
"""The longest proof that is read."""

_MOST_HASHES: Final = 64


class ProvenLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: its bytes as text, its number, and the path to the root in `checkpoint`, a note."""

    line: str
    index: int
    path: list[str]
    checkpoint: str


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every line of one decision that the log had, in order. `v` is 1."""

    v: int
    decision_id: str
    lines: list[ProvenLine]


def make_proof(directory: Path, decision_id: str, key: NoteKey) -> bytes:
    """The proof of a decision, from the log in `directory` whose gate has the public `key`.

    What is made was checked. Raises `DataError` where the log has no such decision, has not signed
    one of its lines yet, or is not as the gate wrote it.
    """
    lines: list[ProvenLine] = []
    for first, path in list_segments(directory):
        lines += _of_segment(first, path, decision_id, key)
    if not lines:
        raise DataError(f"{directory} has no line of the decision {decision_id}")
    text = msgspec.json.encode(Proof(1, decision_id, lines)) + b"\n"
    try:
        check_proof(text, key)
    except ValueError as error:
        raise DataError(
            f"{directory} does not prove it: {error}; run 'passgate audit verify'"
        ) from None
    return text


def check_proof(text: bytes, key: NoteKey) -> list[dict[str, Any]]:
    """The lines that `text` proves to be in the log of the gate with this `key`, as dicts.

    Raises `ValueError` with a sentence where it proves nothing.
    """
    if len(text) > MAX_PROOF_BYTES:
        raise ValueError(f"the proof is larger than {MAX_PROOF_BYTES} bytes")
    try:
        proof = msgspec.json.decode(text, type=Proof)
        again = msgspec.json.encode(proof) + b"\n"
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"it is no proof: {error}") from None
    if again != text:
        # A member given twice could be one thing here and another for who reads on.
        raise ValueError("it is not as 'passgate audit attest' writes it")
    if proof.v != 1:
        raise ValueError(f"it is of version {proof.v}, which this program does not know")
    if not proof.lines:
        raise ValueError("it has no line")
    before, found = -1, []
    for proven in proof.lines:
        if proven.index <= before:
            raise ValueError("its lines are not in the order of the log")
        before = proven.index
        found.append(_check_line(proven, proof.decision_id, key))
    return found


def _check_line(proven: ProvenLine, decision_id: str, key: NoteKey) -> dict[str, Any]:
    checkpoint = open_checkpoint(proven.checkpoint, key)
    if len(proven.path) > _MOST_HASHES:
        raise ValueError(f"the path of line {proven.index} is longer than any log's")
    path = [b64decode(hashed, validate=True) for hashed in proven.path]
    if _written(path) != proven.path:
        raise ValueError(f"the path of line {proven.index} is not in its one spelling")
    hashed = leaf_hash(proven.line.encode())
    if not verify_inclusion(hashed, proven.index, checkpoint.size, path, checkpoint.root):
        raise ValueError(f"line {proven.index} is not the one that was signed")
    members = check_leaf(proven.line.encode(), proven.index)
    if members.get("decision_id") != decision_id:
        raise ValueError(f"line {proven.index} is of another decision")
    return members


def _of_segment(first: int, path: Path, decision_id: str, key: NoteKey) -> list[ProvenLine]:
    """The lines of the decision in one segment, each under the first checkpoint that covers it."""
    before = Frontier()
    leaves: list[bytes] = []
    waiting: list[tuple[int, bytes]] = []
    found: list[ProvenLine] = []
    named = decision_id.encode()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if line[-1:] != b"\n":
                    break  # being written
                if number == 0 and first:
                    before = open_header(line, key)
                elif is_checkpoint(line):
                    found += [
                        _proven(index, held, leaves, before, note_of(line))
                        for index, held in waiting
                    ]
                    waiting = []
                else:
                    leaf = line[:-1]
                    leaves.append(leaf_hash(leaf))
                    # Parsed only where it may be one of them: a log is long.
                    if named in leaf and parse_line(leaf).get("decision_id") == decision_id:
                        waiting.append((first + len(leaves) - 1, leaf))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}; run 'passgate audit verify'") from None
    if waiting:
        raise DataError(f"line {waiting[0][0]} of the log is not signed yet; try again in a moment")
    return found


def _proven(
    index: int, line: bytes, leaves: list[bytes], before: Frontier, note: str
) -> ProvenLine:
    path = inclusion_proof(leaves, index, before)
    return ProvenLine(line.decode(), index, _written(path), note)


def _written(path: list[bytes]) -> list[str]:
    return [b64encode(hashed).decode() for hashed in path]
