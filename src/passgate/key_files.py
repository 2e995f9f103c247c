"""Ed25519 private keys in files: made once, never overwritten, never open to others."""

import base64
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passgate.core.jwks import thumbprint
from passgate.errors import KeyFileError
from passgate.files import sync_directory

_MAX_BYTES: Final = 64 * 1024


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half of `key` as a JWK (RFC 8037), its `kid` the RFC 7638 thumbprint."""
    raw = key.public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": _encode(raw), "kid": thumbprint(raw)}


def create_key_file(path: Path, key: Ed25519PrivateKey, members: Mapping[str, str]) -> None:
    """Writes `key` to `path` as a private JWK with `members` besides, for its owner alone (0600).

    It is on disk on return. Raises `KeyFileError` where `path` exists, and `OSError`.
    """
    private = {**public_jwk(key), **members, "d": _encode(key.private_bytes_raw())}
    try:
        # O_EXCL and the mode are one step: no moment in which others could read it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} exists and keys are never overwritten; choose another place"
        ) from None
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(private, indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_key_file(path: Path, absent: str) -> tuple[Ed25519PrivateKey, dict[str, Any]]:
    """The key in `path`, and all members of its JWK.

    Raises `KeyFileError` for a file that is missing (then it ends in `absent`, which says what to
    do), open to others, or no such key; nothing of the file's text is ever shown. Raises
    `ValueError` for a file that is no key.
    """
    jwk = json.loads(_read(path, absent))
    if jwk["kty"] != "OKP" or jwk["crv"] != "Ed25519":
        raise ValueError("not an Ed25519 key")
    key = Ed25519PrivateKey.from_private_bytes(_decode(jwk["d"]))
    if public_jwk(key)["x"] != jwk["x"]:
        raise ValueError("its public half belongs to another key")
    return key, jwk


NO_KEY: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading a file that is no private key raises; say so without repeating any of it."""


def _read(path: Path, absent: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileError(f"{path} is open to others (mode {mode:04o}); chmod 600 it")
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise KeyFileError(f"{path} does not exist; {absent}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
