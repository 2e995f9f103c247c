"""An issuer's key pair in a directory: made once, never overwritten, never open to others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passgate.core.jwks import parse_jwks
from passgate.core.jws import A_NAME, is_name
from passgate.errors import KeyFileError
from passgate.files import write_whole
from passgate.key_files import NO_KEY, create_key_file, public_jwk, read_key_file

KEY_FILE: Final = "issuer.key"
JWKS_FILE: Final = "jwks.json"
REVOCATIONS_FILE: Final = "revocations.jwt"


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
        jwk = {**public_jwk(key), "use": "sig", "alg": "EdDSA"}
        return cls(issuer, key, jwk["kid"], jwk)

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
    write_key(path, signer)
    write_jwks(directory, [signer.public_jwk])
    return signer


def write_key(path: Path, signer: KeySigner) -> None:
    """Writes the private key of `signer` to `path`, which must not exist yet."""
    create_key_file(path, signer.key, {**signer.public_jwk, "issuer": signer.issuer})


def write_jwks(directory: Path, keys: Sequence[Mapping[str, Any]]) -> None:
    """Writes `jwks.json`, which gates read: these public keys."""
    document = {"keys": [dict(key) for key in keys]}
    write_whole(directory / JWKS_FILE, [json.dumps(document, indent=2).encode(), b"\n"], 0o644)


def read_jwks(directory: Path) -> list[dict[str, Any]]:
    """The public keys in `jwks.json`, each with the `kid` that gates know it by.

    Raises `KeyFileError` for what gates would not read, and where it is missing.
    """
    path = directory / JWKS_FILE
    try:
        raw = path.read_bytes()
        kids = parse_jwks(raw)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise KeyFileError(f"{path}: {error}; gates do not read it") from None
    return [{**jwk, "kid": kid} for jwk, kid in zip(json.loads(raw)["keys"], kids, strict=True)]


def load_issuer(directory: Path) -> KeySigner:
    """The signer whose key `issuer new` or `issuer rotate` put into `directory`.

    Raises `KeyFileError` with what to do where the file is missing, open to others, or no such key.
    """
    path = directory / KEY_FILE
    try:
        key, jwk = read_key_file(
            path,
            f"make an issuer with 'passgate issuer new --id ID --out {path.parent}'",
        )
        return KeySigner.of(check_id("the issuer id", jwk["issuer"]), key)
    except NO_KEY:
        # Whatever the fault is, its text might quote the key: none of it is shown.
        raise KeyFileError(
            f"{path} is not an issuer's private key; restore it, or make another issuer with"
            " 'passgate issuer new'"
        ) from None
