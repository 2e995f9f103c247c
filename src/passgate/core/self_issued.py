"""Self-issued passports: their issuer is the key that signs, and is named after it.

Two names say which key that is: `did:key:z6Mk…` is the key itself (the did:key method, Ed25519),
`self:` its SHA-256 in hex; a passport of the latter brings the key along. Nobody vouches for such
an issuer, and anyone can make as many as they like.
"""

from hashlib import sha256
from typing import Final

from passgate.core.jwks import thumbprint
from passgate.core.jws import MalformedError
from passgate.core.multikey import read_multikey, write_multikey

DID_KEY: Final = "did:key:"
BY_HASH: Final = "self:"


def is_self_issued(issuer: str) -> bool:
    """Whether an issuer of this id is a key, and not one that an operator could list."""
    return issuer.startswith((BY_HASH, DID_KEY))


def hash_id(key: bytes) -> str:
    """The id `self:<hex sha256>` of the issuer that is this key."""
    return BY_HASH + sha256(key).hexdigest()


def did_of(key: bytes) -> str:
    """The id `did:key:z6Mk…` of the issuer that is this Ed25519 key."""
    return DID_KEY + write_multikey(key)


def key_of_did(issuer: str) -> bytes:
    """The Ed25519 key that a `did:key` is; `MalformedError` where it is none, or a weak one."""
    try:
        return read_multikey(issuer.removeprefix(DID_KEY))
    except ValueError:
        raise MalformedError("The issuer is no did:key of a sound Ed25519 key.") from None


def own_keys(issuer: str, bound_to: bytes | None) -> dict[str, bytes]:
    """The key of a self-issued passport under each name that a signature may give it.

    `bound_to` is the key that the passport is bound to, which `self:` is the hash of. Raises
    `MalformedError` where the two do not fit, or the key is missing.
    """
    if issuer.startswith(DID_KEY):
        key = key_of_did(issuer)
        return {thumbprint(key): key, f"{issuer}#{issuer.removeprefix(DID_KEY)}": key}
    if bound_to is None or hash_id(bound_to) != issuer:
        raise MalformedError("An issuer `self:` must be the SHA-256 of the key in `cnf.jwk`.")
    return {thumbprint(bound_to): bound_to}
