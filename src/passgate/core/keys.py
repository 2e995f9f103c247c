"""Public keys: each verifies by the one algorithm that it is for, whatever a token says of itself.

A key is chosen by its id, and its own algorithm is what verifies. So a token can not have an RSA
key taken for a secret, nor an elliptic curve's for another's (RFC 8725 section 3.1).
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from passgate.core.ed25519 import signature_fits

EDDSA: Final = "EdDSA"
ES256: Final = "ES256"
RS256: Final = "RS256"


class OtherKey:
    """A public key that is not Ed25519: for `ES256` on P-256, or for `RS256`.

    `algorithm` is the one it verifies by, `identity` its DER encoding: equal for equal keys.
    `verifies` says of a signature and a message whether they belong together.
    """

    __slots__ = ("algorithm", "identity", "verifies")

    def __init__(
        self, algorithm: str, identity: bytes, verifies: Callable[[bytes, bytes], bool]
    ) -> None:
        self.algorithm = algorithm
        self.identity = identity
        self.verifies = verifies


PublicKey: TypeAlias = bytes | OtherKey
"""A key that verifies: 32 bytes are one of Ed25519, which nearly all are."""


def algorithm_of(key: PublicKey) -> str:
    """What `key` verifies by: `EdDSA`, `ES256` or `RS256`."""
    return EDDSA if isinstance(key, bytes) else key.algorithm


def identity_of(key: PublicKey) -> bytes:
    """Bytes that are the same for the same key and for no other."""
    return key if isinstance(key, bytes) else key.identity


def fits(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is `key`'s on `message`."""
    if isinstance(key, bytes):
        return len(signature) == 64 and signature_fits(signature, message, key)
    return key.verifies(signature, message)
