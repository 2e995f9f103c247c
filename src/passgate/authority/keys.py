"""An issuer's key pair in a directory: made once, never overwritten, never open to others."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passgate.core.jws import A_NAME, is_name
from passgate.errors import KeyFileError
from passgate.files import sync_directory, write_whole

KEY_FILE: Final = "issuer.key"
JWKS_FILE: Final = "jwks.json"
REVOCATIONS_FILE: Final = "revocations.jwt"

_KEY_FILE_MAX: Final = 64 * 1024


class Signer(Protocol):
    """Signs in the name of one issuer. `tests/contract/test_signer_contract.py` is its promise."""

    @property
    def issuer(self) -> str:
        """The issuer id, equal to `iss` of all that it signs."""
        ...

    @property
    def kid(self) -> str:
        """The RFC 7638 thumbprint of the public key."""
        ...

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """The public key as it stands in the issuer's JWKS."""
        ...

    def sign(self, typ: str, claims: Mapping[str, Any]) -> str:
        """The compact JWS of `claims` with header `alg` EdDSA, `kid` and `typ`, and no other."""
        ...


def thumbprint(x: str) -> str:
    """The RFC 7638 thumbprint of the Ed25519 key whose JWK member `x` is given (RFC 8037 A.3)."""
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()
    return _encode(hashlib.sha256(canonical).digest())


@dataclass(frozen=True, slots=True, repr=False)
class KeySigner:
    """A signer that holds its private key in memory."""

    issuer: str
    key: Ed25519PrivateKey
    kid: str
    public_jwk: Mapping[str, str]

    @classmethod
    def of(cls, issuer: str, key: Ed25519PrivateKey) -> "KeySigner":
        """The signer of `issuer` with `key`."""
        x = _encode(key.public_key().public_bytes_raw())
        kid = thumbprint(x)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA"}
        return cls(issuer, key, kid, jwk)

    @classmethod
    def generate(cls, issuer: str) -> "KeySigner":
        """The signer of `issuer` with a fresh key."""
        return cls.of(issuer, Ed25519PrivateKey.generate())

    def __repr__(self) -> str:
        return f"KeySigner(issuer={self.issuer!r}, kid={self.kid!r})"

    def sign(self, typ: str, claims: Mapping[str, Any]) -> str:
        """The compact JWS of `claims`."""
        return jwt.encode(
            dict(claims), self.key, algorithm="EdDSA", headers={"typ": typ, "kid": self.kid}
        )


def check_id(what: str, value: str) -> str:
    """Returns `value` where a passport may carry it as `iss`, `sub` or `jti`, else `ValueError`."""
    try:
        sound = is_name(value)
    except UnicodeEncodeError:  # half a surrogate pair, as from an argument that is no UTF-8
        sound = False
    if not sound:
        raise ValueError(f"{what} must be {A_NAME}")
    return value


def new_issuer(directory: Path, issuer: str) -> KeySigner:
    """Makes a key pair for `issuer` in `directory`: `issuer.key` (0600) and `jwks.json`.

    Raises `KeyFileError` where either file exists: keys are never overwritten. Raises `ValueError`
    for an id that no passport may carry, `OSError` where the directory cannot be written.
    """
    check_id("the issuer id", issuer)
    directory.mkdir(parents=True, exist_ok=True)
    path, jwks = directory / KEY_FILE, directory / JWKS_FILE
    for existing in (path, jwks):
        if existing.exists():
            raise KeyFileError(
                f"{existing} exists and keys are never overwritten; choose another directory"
            )
    signer = KeySigner.generate(issuer)
    private = {
        **signer.public_jwk,
        "d": _encode(signer.key.private_bytes_raw()),
        "issuer": issuer,
    }
    try:
        # O_EXCL and the mode are one step: no moment in which others could read it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} exists and keys are never overwritten; choose another directory"
        ) from None
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(private, indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(directory)
    write_jwks(directory, signer)
    return signer


def write_jwks(directory: Path, signer: Signer) -> None:
    """Writes `jwks.json`, which gates read: the public key of `signer`."""
    document = {"keys": [dict(signer.public_jwk)]}
    write_whole(directory / JWKS_FILE, [json.dumps(document, indent=2).encode(), b"\n"], 0o644)


def load_issuer(directory: Path) -> KeySigner:
    """The signer whose key `issuer new` put into `directory`.

    Raises `KeyFileError` with what to do where the file is missing, open to others, or no such key.
    """
    path = directory / KEY_FILE
    text = _read_private(path)
    try:
        return _parse_private(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Whatever the fault is, its text might quote the key: none of it is shown.
        raise KeyFileError(
            f"{path} is not an issuer's private key; restore it, or make another issuer with"
            " 'passgate issuer new'"
        ) from None


def _parse_private(text: bytes) -> KeySigner:
    jwk = json.loads(text)
    issuer = check_id("the issuer id", jwk["issuer"])
    if jwk["kty"] != "OKP" or jwk["crv"] != "Ed25519":
        raise ValueError("not an Ed25519 key")
    signer = KeySigner.of(issuer, Ed25519PrivateKey.from_private_bytes(_decode(jwk["d"])))
    if signer.public_jwk["x"] != jwk["x"]:
        raise ValueError("its public half belongs to another key")
    return signer


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileError(f"{path} is open to others (mode {mode:04o}); chmod 600 it")
            return file.read(_KEY_FILE_MAX)
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} does not exist; make an issuer with 'passgate issuer new --id ID"
            f" --out {path.parent}'"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
