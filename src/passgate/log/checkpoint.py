"""Checkpoints: C2SP signed notes that fix a log's size and root under the gate's key.

Sources: c2sp.org/signed-note and c2sp.org/tlog-checkpoint. Only canonical base64 is read, so that
a note has one spelling and no byte of it can change unnoticed.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

_ED25519 = b"\x01"
_MOST_SIGNATURES = 16
_UNFIT = frozenset(' +"\\')


class Signer(Protocol):
    """Signs for the gate with Ed25519; the key itself may live elsewhere."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature, made in the log's thread; `OSError` when it cannot be."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log of `origin` had `size` leaves and this root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under the name by which notes refer to it."""

    name: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        """The four bytes that stand for this key in a signature line."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    def text(self) -> str:
        """The verifier key, as in `gate.pub`: name, key hash and key, joined by plus signs."""
        return f"{self.name}+{self.key_hash.hex()}+{_b64(_ED25519 + self.public_key)}"


def origin_of(gate_id: str) -> str:
    """The name of a gate's log. Raises `ValueError` for an id that a note cannot carry."""
    if (
        not gate_id
        or not gate_id.isascii()
        or not gate_id.isprintable()
        or set(gate_id) & set(' +"\\')
    ):
        raise ValueError("gate.id must be printable ASCII without spaces, plus signs, quotes or \\")
    return "passgate/" + gate_id


def parse_key(text: str) -> NoteKey:
    """Read a verifier key in exactly the form that `NoteKey.text` writes, or raise `ValueError`."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise ValueError("not a verifier key: name+hash+key expected")
    raw = _unb64(parts[2])
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise ValueError("not an Ed25519 verifier key")
    key = NoteKey(parts[0], raw[1:])
    if not parts[0] or any(c.isspace() for c in parts[0]) or key.text() != text:
        raise ValueError("the verifier key does not match its own hash")
    return key


def sign_checkpoint(checkpoint: Checkpoint, key: NoteKey, signer: Signer) -> str:
    """The whole note: body, blank line, one signature line."""
    body = checkpoint.body()
    return f"{body}\n{_signature_line(key, signer.sign(body.encode()))}"


def open_checkpoint(note: str, key: NoteKey, *, witnessed: bool = False) -> Checkpoint:
    """Read a checkpoint that `key` has signed, or raise `ValueError` with a sentence.

    Without `witnessed` the note is exactly what the gate itself writes: one signature. With it,
    lines by other keys are allowed and ignored, as c2sp.org/signed-note demands.
    """
    body, blank, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    if not blank or len(lines) != 3:
        raise ValueError("not a checkpoint: origin, size, root, blank line, signature expected")
    origin, size, root = lines
    if origin != key.name:
        raise ValueError(f"the checkpoint is of {origin!r}, not of {key.name!r}")
    if not (size.isascii() and size.isdecimal()) or (size[0] == "0" and size != "0"):
        raise ValueError("the checkpoint's size is not a plain decimal")
    if len(size) > 19:
        raise ValueError("the checkpoint's size is beyond any log")
    checkpoint = Checkpoint(origin, int(size), _unb64(root))
    if len(checkpoint.root) != 32:
        raise ValueError("the checkpoint's root is not 32 bytes")
    rows = signatures.split("\n")
    if rows.pop() != "" or not rows or len(rows) > _MOST_SIGNATURES:
        raise ValueError("the checkpoint's signature lines are malformed")
    if not witnessed and len(rows) != 1:
        raise ValueError("the checkpoint has more than the gate's signature")
    verified = False
    for row in rows:
        verified |= _verify_row(row, checkpoint.body().encode(), key)
    if not verified:
        raise ValueError("the checkpoint is not signed by this key")
    return checkpoint


def _verify_row(row: str, body: bytes, key: NoteKey) -> bool:
    """Whether this row is the key's; `ValueError` when it says so and does not verify."""
    parts = row.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not parts[1]:
        raise ValueError("the checkpoint's signature line is malformed")
    raw = _unb64(parts[2])
    if len(raw) < 5:
        raise ValueError("the checkpoint's signature line is malformed")
    if parts[1] != key.name or raw[:4] != key.key_hash:
        return False
    if len(raw) != 68:
        raise ValueError("the checkpoint's signature has the wrong length")
    try:
        crypto_sign_open(raw[4:] + body, key.public_key)
    except BadSignatureError:
        raise ValueError("the checkpoint's signature does not verify") from None
    return True


def _signature_line(key: NoteKey, signature: bytes) -> str:
    return f"— {key.name} {_b64(key.key_hash + signature)}\n"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("base64 is malformed") from None
    if _b64(raw) != text:
        raise ValueError("base64 is not canonical")
    return raw
