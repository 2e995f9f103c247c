"""A set of an issuer's public keys (JWKS, RFC 7517), read whole or refused whole.

Nothing in it is skipped: a key of another kind, a member that would limit a key's use, or a key
that two verifiers could judge differently refuses the set, with a sentence that names the key.
"""

from hashlib import sha256
from typing import Any

from passgate.core import strict_json
from passgate.core.ed25519 import key_problem
from passgate.core.jws import (
    A_NAME,
    MalformedError,
    decode_base64url,
    encode_base64url,
    is_name,
)

MAX_JWKS_BYTES = 1 << 20
MAX_KEYS = 1000

# `ext` is what WebCrypto writes beside every key that it exports; it says nothing about use.
_MEMBERS = frozenset({"kty", "crv", "x", "kid", "use", "alg", "key_ops", "ext"})


def parse_jwks(raw: bytes) -> dict[str, bytes]:
    """The 32-byte Ed25519 public keys of a JWKS by `kid` (RFC 8037), at most 1,000 in 1 MiB.

    A key without `kid` goes by its RFC 7638 thumbprint. Raises `ValueError` with a sentence for
    anything else, also for a private key: that a source shows one means that it is no secret.
    """
    if len(raw) > MAX_JWKS_BYTES:
        raise ValueError(f"the key set is larger than {MAX_JWKS_BYTES} bytes")
    try:
        document = strict_json.loads(raw)
    except ValueError as error:
        raise ValueError(f"the key set is not unambiguous JSON: {error}") from None
    if type(document) is not dict or type(document.get("keys")) is not list:
        raise ValueError("the key set is not a JSON object with a list `keys`")
    if len(document) > 1:
        raise ValueError(f"the key set has {_unknown(document.keys() - {'keys'})}")
    if len(document["keys"]) > MAX_KEYS:
        raise ValueError(f"the key set has more than {MAX_KEYS} keys")
    keys: dict[str, bytes] = {}
    seen: dict[bytes, str] = {}
    for position, jwk in enumerate(document["keys"], start=1):
        name = f"key {position}"
        if type(jwk) is not dict:
            raise ValueError(f"{name} of the key set is not a JSON object")
        key = read_public_key(jwk, f"{name} of the key set")
        kid = jwk.get("kid", thumbprint(key))
        if type(kid) is not str or not is_name(kid):
            raise ValueError(f"{name} of the key set has a `kid` that is not {A_NAME}")
        if kid in keys:
            raise ValueError(f"{name} of the key set has the same `kid` as another: {kid!r}")
        if key in seen:
            # Revoking one of the names would leave the key in force under the other.
            raise ValueError(f"{name} of the key set is the same key as {seen[key]!r}")
        keys[kid] = key
        seen[key] = kid
    return keys


def thumbprint(key: bytes) -> str:
    """The RFC 7638 SHA-256 thumbprint of a 32-byte Ed25519 public key, as base64url."""
    canonical = b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % encode_base64url(key)
    return encode_base64url(sha256(canonical).digest()).decode()


def read_public_key(jwk: dict[str, Any], name: str) -> bytes:
    """The 32 bytes of one Ed25519 public key as a JWK (RFC 8037 section 2).

    Raises `ValueError` for anything else, in a sentence that begins with `name`.
    """
    if "d" in jwk:
        raise ValueError(f"{name} shows its private part; replace that key")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise ValueError(f"{name} is not an Ed25519 key (kty OKP, crv Ed25519)")
    if not jwk.keys() <= _MEMBERS:
        raise ValueError(f"{name} has {_unknown(jwk.keys() - _MEMBERS)}")
    if jwk.get("use", "sig") != "sig":
        raise ValueError(f"{name} is not for signatures (`use` is not sig)")
    if jwk.get("alg", "EdDSA") not in ("EdDSA", "Ed25519"):
        raise ValueError(f"{name} has another `alg` than EdDSA or Ed25519")
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise ValueError(f'{name} has other `key_ops` than ["verify"]')
    x = jwk.get("x")
    try:
        key = decode_base64url(x.encode("ascii")) if type(x) is str else b""
    except (MalformedError, ValueError):
        key = b""
    problem = key_problem(key)
    if problem is not None:
        raise ValueError(f"{name} {problem}")
    return key


def _unknown(names: set[str]) -> str:
    return f"a member that the gate does not know: {min(names)!r}"
