"""Checkpoints are C2SP signed notes with one spelling each."""

import base64

import pytest
from tests.log_craft import NOTE_KEY, SIGNER

from passgate.log.checkpoint import (
    Checkpoint,
    NoteKey,
    open_checkpoint,
    origin_of,
    parse_key,
    sign_checkpoint,
)

ROOT = bytes(range(32))
NOTE = sign_checkpoint(Checkpoint(NOTE_KEY.name, 20852163, ROOT), NOTE_KEY, SIGNER)
# From the documentation of Go's golang.org/x/mod/sumdb/note, the format's first implementation.
PUBLISHED = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_note_reads_back() -> None:
    """What was signed is what is read."""
    assert open_checkpoint(NOTE, NOTE_KEY) == Checkpoint(NOTE_KEY.name, 20852163, ROOT)


def test_the_form_is_that_of_c2sp() -> None:
    """Origin, size, root, blank line, and the em dash line of name, key hash and signature."""
    lines = NOTE.split("\n")
    assert lines[:4] == ["passgate/gate_lab", "20852163", base64.b64encode(ROOT).decode(), ""]
    dash, name, signature = lines[4].split(" ")
    assert (dash, name) == ("—", "passgate/gate_lab")
    raw = base64.b64decode(signature)
    assert raw[:4] == NOTE_KEY.key_hash
    assert raw[4:] == SIGNER.sign(NOTE.partition("\n\n")[0].encode() + b"\n")
    assert lines[5:] == [""]


def test_a_published_key_is_read_and_written_alike() -> None:
    """The verifier key format and its hash are those of other implementations."""
    assert parse_key(PUBLISHED).text() == PUBLISHED
    assert parse_key(PUBLISHED).key_hash.hex() == "c74f20a3"


@pytest.mark.parametrize("position", range(len(PUBLISHED)))
def test_no_character_of_a_key_can_change(position: int) -> None:
    """The key hash covers the name and the key."""
    for other in "Ax+0 ":
        changed = PUBLISHED[:position] + other + PUBLISHED[position + 1 :]
        if changed != PUBLISHED:
            with pytest.raises(ValueError, match=r"key|base64"):
                parse_key(changed)


@pytest.mark.parametrize("position", range(len(NOTE.encode())))
def test_no_byte_of_a_note_can_change(position: int) -> None:
    """Every single-bit change anywhere in a note is refused."""
    raw = bytearray(NOTE.encode())
    for bit in range(8):
        raw[position] ^= 1 << bit
        with pytest.raises(ValueError, match=r"checkpoint|base64|codec"):
            open_checkpoint(raw.decode(), NOTE_KEY)
        raw[position] ^= 1 << bit


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("20852163", "020852163"),
        ("20852163", "+20852163"),
        ("20852163", "20852163 "),
        ("20852163", "٢"),
        ("20852163", ""),
        ("20852163", "99999999999999999999"),
        ("\n\n", "\nextension\n\n"),
        ("\n\n", "\n\n\n"),
        ("—", "--"),
        ("\n\n", "\n"),
    ],
)
def test_other_spellings_are_refused(old: str, new: str) -> None:
    """Leading zeros, signs, extension lines and lookalikes are no checkpoint."""
    with pytest.raises(ValueError, match=r"checkpoint|base64|codec"):
        open_checkpoint(NOTE.replace(old, new, 1), NOTE_KEY)


def test_another_log_or_key_is_refused() -> None:
    """A checkpoint counts for one origin and one key only."""
    with pytest.raises(ValueError, match="is of"):
        open_checkpoint(NOTE, NoteKey("passgate/other", NOTE_KEY.public_key))
    with pytest.raises(ValueError, match="not signed by this key"):
        open_checkpoint(NOTE, NoteKey(NOTE_KEY.name, bytes(31) + b"\x09"))


def test_witnesses_may_sign_too() -> None:
    """Lines of unknown keys are ignored where a witnessed checkpoint is expected, only there."""
    witnessed = NOTE + "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    assert open_checkpoint(witnessed, NOTE_KEY, witnessed=True).size == 20852163
    with pytest.raises(ValueError, match="more than the gate's"):
        open_checkpoint(witnessed, NOTE_KEY)
    with pytest.raises(ValueError, match="malformed"):
        open_checkpoint(NOTE + "— w AA==\n", NOTE_KEY, witnessed=True)
    with pytest.raises(ValueError, match="malformed"):
        open_checkpoint(NOTE + NOTE.rpartition("\n\n")[2] * 16, NOTE_KEY, witnessed=True)


def test_a_short_signature_is_refused() -> None:
    """A line that names the key and holds no whole signature rejects the note."""
    body = NOTE.partition("\n\n")[0]
    short = base64.b64encode(NOTE_KEY.key_hash + bytes(63)).decode()
    with pytest.raises(ValueError, match="wrong length"):
        open_checkpoint(f"{body}\n\n— {NOTE_KEY.name} {short}\n", NOTE_KEY)


def test_a_root_has_32_bytes() -> None:
    """Any other length is refused, even when it is signed."""
    note = sign_checkpoint(Checkpoint(NOTE_KEY.name, 1, bytes(31)), NOTE_KEY, SIGNER)
    with pytest.raises(ValueError, match="32 bytes"):
        open_checkpoint(note, NOTE_KEY)


@pytest.mark.parametrize("gate_id", ["", "a b", "a+b", 'a"b', "a\\b", "a\nb", "gäte"])
def test_an_id_that_a_note_cannot_carry_is_refused(gate_id: str) -> None:
    """Spaces, plus signs and what JSON escapes would make the note ambiguous."""
    with pytest.raises(ValueError, match=r"gate\.id"):
        origin_of(gate_id)


@pytest.mark.parametrize("text", ["", "a+b", "+c74f20a3+AA==", "x+00000000+AA=="])
def test_what_is_no_key_is_refused(text: str) -> None:
    """Missing parts and other key types are named as such."""
    with pytest.raises(ValueError, match="key"):
        parse_key(text)
