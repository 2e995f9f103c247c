"""The keys that live beside the log: the gate's signing key, and the secret that hides queries.

Both are created on first start, readable by their owner alone, and refused when others may read.
"""

import base64
import binascii
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from passgate.errors import KeyFileError
from passgate.log.checkpoint import Signer

__all__ = ["GateKey", "Signer", "find_gate_key", "open_gate_key", "open_query_key"]

# RFC 8410 section 7: every Ed25519 private key in PKCS #8 is this prefix and its 32-byte seed, so
# that `openssl pkey -in gate.key` reads it and no second library has to be loaded to write it.
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
_PEM_HEAD, _PEM_TAIL = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class GateKey:
    """The gate's own Ed25519 key, in memory; a `Signer`. `seed` is its 32 secret bytes."""

    public_key: bytes
    seed: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature over `message`."""
        return crypto_sign(message, self.seed + self.public_key)[:64]

    def secret_for(self, purpose: str) -> bytes:
        """32 secret bytes for one purpose: the same while the key is, and telling nothing of it."""
        return hmac.digest(self.seed, f"passgate {purpose}".encode(), "sha256")


def open_gate_key(data_dir: Path) -> GateKey:
    """Read `data_dir/gate.key`, or make it on first start.

    Raises `KeyFileError` when it cannot be read, is open to others, or is no Ed25519 key.
    """
    path = data_dir / "gate.key"
    text = _read_private(path)
    if text is None:
        text = _write_private(path, _pem(secrets.token_bytes(32)))
    return _key_of(text, path)


def find_gate_key(data_dir: Path) -> GateKey | None:
    """Read `data_dir/gate.key`; None where there is none yet, for this makes nothing.

    Raises `KeyFileError` as `open_gate_key` does.
    """
    path = data_dir / "gate.key"
    text = _read_private(path)
    return None if text is None else _key_of(text, path)


def _key_of(text: str, path: Path) -> GateKey:
    seed = _seed(text, path)
    public, _ = crypto_sign_seed_keypair(seed)
    return GateKey(public, seed)


def open_query_key(data_dir: Path) -> bytes:
    """Read the 32 bytes of `data_dir/query.key`, or make them on first start.

    Raises `KeyFileError` when the file cannot be read, is open to others, or is malformed.
    """
    path = data_dir / "query.key"
    text = _read_private(path)
    if text is None:
        text = _write_private(path, secrets.token_hex(32) + "\n")
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise KeyFileError(f"{path} is not 64 hexadecimal digits; restore it or move it aside")
    return key


def _pem(seed: bytes) -> str:
    return f"{_PEM_HEAD}\n{base64.b64encode(_PKCS8 + seed).decode()}\n{_PEM_TAIL}\n"


def _seed(text: str, path: Path) -> bytes:
    lines = text.split("\n")
    raw = b""
    if len(lines) == 4 and lines[0] == _PEM_HEAD and lines[2:] == [_PEM_TAIL, ""]:
        try:
            raw = base64.b64decode(lines[1], validate=True)
        except (binascii.Error, ValueError):
            raw = b""
    if len(raw) != 48 or raw[:16] != _PKCS8:
        raise KeyFileError(f"{path} is not an Ed25519 private key; restore it or move it aside")
    return raw[16:]


def _read_private(path: Path) -> str | None:
    """The text of a private file, or None; raises `KeyFileError` if others may read it."""
    try:
        # Without waiting, as a named pipe in the file's place would make it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # The open file is asked, not the path, so that it cannot be exchanged in between.
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise KeyFileError(f"{path} is open to others; run: chmod 600 {path}")
            return os.read(descriptor, 4096).decode("ascii", "replace")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error


def _write_private(path: Path, text: str) -> str:
    """Create the file with mode 0600 and durable content; what another process made first wins."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails where a rename would silently replace another process's key.
            os.link(temporary, path)
        except FileExistsError:
            existing = _read_private(path)
            return existing if existing is not None else text
        finally:
            temporary.unlink()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be created: {error.strerror}") from error
    return text
