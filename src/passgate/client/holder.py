"""A holder: the key pair that an agent's passports are bound to, in a file of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passgate.errors import KeyFileError
from passgate.key_files import NO_KEY, create_key_file, public_jwk, read_key_file


@dataclass(frozen=True, slots=True, repr=False)
class Holder:
    """An agent's private key; it never prints."""

    key: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> "Holder":
        """A holder with a fresh key, in memory alone."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def create(cls, path: Path) -> "Holder":
        """A holder with a fresh key, kept in `path` (0600).

        Raises `KeyFileError` where `path` exists, since keys are never overwritten, and `OSError`.
        """
        holder = cls.generate()
        create_key_file(path, holder.key, {})
        return holder

    @classmethod
    def load(cls, path: Path) -> "Holder":
        """The holder whose key `create` put into `path`. Raises `KeyFileError` with what to do."""
        try:
            key, _ = read_key_file(path, f"make one with --holder-key new:{path}")
        except NO_KEY:
            raise KeyFileError(f"{path} is not a holder's private key; restore it") from None
        return cls(key)

    def __repr__(self) -> str:
        return f"Holder(thumbprint={self.thumbprint!r})"

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as `cnf.jwk` of a passport has it."""
        jwk = public_jwk(self.key)
        del jwk["kid"]
        return jwk

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint of the public key."""
        return public_jwk(self.key)["kid"]

    def prove(self, claims: dict[str, Any]) -> str:
        """The compact JWS of a proof's `claims`, with the public key in its header (RFC 9449)."""
        headers = {"typ": "dpop+jwt", "jwk": self.jwk}
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers=headers)

    def sign(self, typ: str, claims: dict[str, Any]) -> str:
        """The compact JWS of `claims`; its `kid` is the thumbprint."""
        headers = {"typ": typ, "kid": self.thumbprint}
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers=headers)
