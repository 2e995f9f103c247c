"""A proof shows a stranger what the log says of one decision, and nothing that it does not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from nacl.bindings import crypto_sign_seed_keypair
from tests.log_craft import NOTE_KEY, segments, write_log
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.errors import DataError
from passgate.log import NoteKey, read_lines
from passgate.log.checkpoint import Checkpoint, sign_checkpoint
from passgate.log.keys import GateKey
from passgate.log.merkle import leaf_hash
from passgate.log.proof import check_proof, make_proof

SEED = bytes(32)
THIEF = GateKey(crypto_sign_seed_keypair(SEED)[0], SEED)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of several segments."""
    directory = tmp_path_factory.mktemp("sound") / "log"
    write_log(directory, turns=(1, 3, 2, 4, 1, 2, 3), rotate_bytes=4096)
    assert len(segments(directory)) >= 3
    return directory


def decisions(log: Path) -> list[str]:
    return [line["decision_id"] for line in read_lines(log) if line["kind"] == "decision"]


@pytest.fixture(scope="module")
def proof(sound: Path) -> bytes:
    return make_proof(sound, decisions(sound)[9], NOTE_KEY)


def test_every_decision_can_be_proven(sound: Path) -> None:
    """With all of its lines, as they stand in the log, wherever in it they are."""
    for decision_id in decisions(sound):
        proven = check_proof(make_proof(sound, decision_id, NOTE_KEY), NOTE_KEY)
        assert proven == [
            line for line in read_lines(sound) if line.get("decision_id") == decision_id
        ]
        assert [line["kind"] for line in proven] == ["decision", "outcome"]


def test_what_is_left_of_a_log_can_be_proven(sound: Path, tmp_path: Path) -> None:
    """Segments that were removed are not needed, nor is anything but segments."""
    log = Path(shutil.copytree(sound, tmp_path / "log"))
    segments(log)[0].unlink()
    (log / "checkpoints").unlink()
    kept = decisions(log)
    assert 0 < len(kept) < len(decisions(sound))
    for decision_id in kept:
        assert check_proof(make_proof(log, decision_id, NOTE_KEY), NOTE_KEY)
    with pytest.raises(DataError, match="has no line of the decision"):
        make_proof(log, decisions(sound)[0], NOTE_KEY)


def test_no_byte_of_a_proof_may_change(proof: bytes) -> None:
    """Wherever one does, nothing is proven."""
    for at in range(0, len(proof), 3):
        with pytest.raises(ValueError, match=r"."):
            check_proof(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], NOTE_KEY)
    for other in (b"", proof[:-1], proof + b"\n", b"[]", b'{"v":1,' + proof[1:]):
        with pytest.raises(ValueError, match=r"."):
            check_proof(other, NOTE_KEY)


def test_only_the_gate_proves(proof: bytes) -> None:
    """Another key under the gate's name, or another gate, proves nothing of this one."""
    for key in (NoteKey(NOTE_KEY.name, THIEF.public_key), NoteKey("passgate/other", b"k" * 32)):
        with pytest.raises(ValueError, match=r"."):
            check_proof(proof, key)


def changed(proof: bytes, **members: Any) -> bytes:
    """The proof with other members in its first line, or of its own."""
    read = json.loads(proof)
    own = {name: members.pop(name) for name in list(members) if name in read}
    read["lines"][0].update(members)
    return json.dumps(read | own, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def test_a_proof_says_nothing_else(proof: bytes, sound: Path) -> None:
    """Lines of another place, another decision or another tree, and a path of another length."""
    read = json.loads(proof)
    first, second = read["lines"]
    other = json.loads(make_proof(sound, decisions(sound)[0], NOTE_KEY))
    forged = first["line"].replace('"allow"', '"block"')
    hashed = leaf_hash(forged.encode())
    size_one = sign_checkpoint(
        Checkpoint(NOTE_KEY.name, first["index"] + 1, hashed),
        NoteKey(NOTE_KEY.name, THIEF.public_key),
        THIEF,
    )
    wrong = [
        changed(proof, line=forged),
        changed(proof, line=forged, path=[], checkpoint=size_one),
        changed(proof, index=first["index"] + 1),
        changed(proof, index=-1),
        changed(proof, path=[]),
        changed(proof, path=first["path"] * 20),
        changed(proof, path=["no base64"]),
        changed(proof, path=[*first["path"], first["path"][0]]),
        changed(proof, checkpoint=other["lines"][0]["checkpoint"]),
        changed(proof, decision_id=other["decision_id"]),
        changed(proof, lines=[second, first]),
        changed(proof, lines=[first, first]),
        changed(proof, lines=[]),
        changed(proof, v=2),
        changed(proof, more=1),
    ]
    assert changed(proof) == proof
    for text in wrong:
        with pytest.raises(ValueError, match=r"."):
            check_proof(text, NOTE_KEY)


def test_a_log_that_was_changed_proves_nothing(sound: Path, tmp_path: Path) -> None:
    """Neither the line that was, nor its neighbours under the same root."""
    log = Path(shutil.copytree(sound, tmp_path / "log"))
    segment = segments(log)[1]
    segment.write_bytes(segment.read_bytes().replace(b'"ms":7', b'"ms":8', 1))
    told: list[str] = []
    for decision_id in decisions(log):
        try:
            make_proof(log, decision_id, NOTE_KEY)
        except DataError as error:
            told.append(str(error))
    assert told
    assert all("passgate audit verify" in sentence for sentence in told)


def test_what_is_not_signed_yet_is_told(sound: Path, tmp_path: Path) -> None:
    """A line after the last checkpoint is proven as soon as there is another."""
    log = Path(shutil.copytree(sound, tmp_path / "log"))
    segment = segments(log)[-1]
    whole = segment.read_bytes().splitlines(keepends=True)
    while not whole[-1].startswith(b'{"access_mode"'):
        whole.pop()
    segment.write_bytes(b"".join(whole))
    with pytest.raises(DataError, match="is not signed yet; try again in a moment"):
        make_proof(log, json.loads(whole[-1])["decision_id"], NOTE_KEY)


def test_the_commands_make_and_check(sound: Path, tmp_path: Path) -> None:
    """Exit 0 with the lines, 1 for what proves nothing, 2 for what is no key."""

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["audit", *map(str, arguments)])

    file, decision_id = tmp_path / "proof.json", decisions(sound)[3]
    assert run("attest", sound, decision_id, "--out", file).exit_code == 0
    assert run("attest", sound, decision_id).stdout.encode() == file.read_bytes()
    checked = run("verify-proof", file, "--key", sound / "gate.pub")
    assert checked.exit_code == 0, checked.stderr
    assert "2 lines of the log of passgate/gate_lab, as it was signed" in checked.stdout
    as_json = run("verify-proof", file, "--key", sound / "gate.pub", "--json").stdout
    assert json.loads(as_json.splitlines()[0])["decision_id"] == decision_id
    file.write_bytes(file.read_bytes().replace(b"allow", b"block"))
    refused = run("verify-proof", file, "--key", sound / "gate.pub")
    assert refused.exit_code == 1
    assert "is not the one that was signed" in refused.stderr
    assert run("verify-proof", file, "--key", file).exit_code == 2
    assert run("attest", sound, "att_nobody").exit_code == 1
