"""A set of an issuer's public keys (JWKS, RFC 7517), read whole or refused whole.

Nothing in it is skipped: a key of another kind, a member that would limit a key's use, or a key
that two verifiers could judge differently refuses the set, with a sentence that names the key.
Read are Ed25519 keys (RFC 8037), P-256 keys for ES256, and RSA keys for RS256 (RFC 7518).
"""

import json
from collections.abc import Callable
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
from passgate.core.keys import PublicKey, identity_of

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

MAX_JWKS_BYTES = 1 << 20
MAX_KEYS = 1000

# `ext` is what WebCrypto writes beside every key that it exports, and the `x5` members hold or hash
# certificates of the same key; none of them says anything about use.
_COMMON = frozenset({"kty", "kid", "use", "alg", "key_ops", "ext", "x5c", "x5t", "x5t#S256"})
_RSA_BITS = range(2048, 8193)
_RSA_EXPONENT = 65537  # what every authority has; small ones are how RSA was broken


def parse_jwks(raw: bytes) -> dict[str, PublicKey]:
    """The public keys of a JWKS by `kid`, at most 1,000 in 1 MiB.

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
    keys: dict[str, PublicKey] = {}
    seen: dict[bytes, str] = {}
    for position, jwk in enumerate(document["keys"], start=1):
        name = f"key {position}"
        if type(jwk) is not dict:
            raise ValueError(f"{name} of the key set is not a JSON object")
        key = read_key(jwk, f"{name} of the key set")
        kid = jwk.get("kid", thumbprint_of(jwk))
        if type(kid) is not str or not is_name(kid):
            raise ValueError(f"{name} of the key set has a `kid` that is not {A_NAME}")
        if kid in keys:
            raise ValueError(f"{name} of the key set has the same `kid` as another: {kid!r}")
        identity = identity_of(key)
        if identity in seen:
            # Revoking one of the names would leave the key in force under the other.
            raise ValueError(f"{name} of the key set is the same key as {seen[identity]!r}")
        keys[kid] = key
        seen[identity] = kid
    return keys


def without_encryption_keys(raw: bytes) -> bytes:
    """The JWKS `raw` without the keys that say of themselves that they are for encryption.

    For sets that an issuer keeps for others too, as OpenID providers do: such a key (`use` is enc)
    verifies nothing, so leaving it out allows nothing. What is no key set comes back as it is, for
    `parse_jwks` to refuse, and so does a private key. Raises `ValueError` for numbers with a
    fraction, which nothing in a key set is.
    """
    try:
        document = strict_json.loads(raw)
    except ValueError:
        return raw
    if type(document) is not dict or type(document.get("keys")) is not list:
        return raw
    kept = [key for key in document["keys"] if not _encrypts(key)]
    return raw if len(kept) == len(document["keys"]) else written({**document, "keys": kept})


def written(document: dict[str, Any]) -> bytes:
    """A key set as JSON; `ValueError` for what has another type once it is read again."""
    return json.dumps(document, default=_refuse_fraction).encode()


def thumbprint(key: bytes) -> str:
    """The RFC 7638 SHA-256 thumbprint of a 32-byte Ed25519 public key, as base64url."""
    canonical = b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % encode_base64url(key)
    return encode_base64url(sha256(canonical).digest()).decode()


def thumbprint_of(jwk: dict[str, Any]) -> str:
    """The RFC 7638 thumbprint of a key that `read_key` has read."""
    required = sorted(("kty", *_KINDS[jwk["kty"]][0]))
    canonical = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in required) + "}"
    return encode_base64url(sha256(canonical.encode()).digest()).decode()


def read_public_key(jwk: dict[str, Any], name: str) -> bytes:
    """The 32 bytes of one Ed25519 public key as a JWK (RFC 8037 section 2).

    Raises `ValueError` for anything else, in a sentence that begins with `name`.
    """
    key = read_key(jwk, name)
    if not isinstance(key, bytes):
        raise ValueError(f"{name} is not an Ed25519 key (kty OKP, crv Ed25519)")  # noqa: TRY004 - what was written is wrong
    return key


def read_key(jwk: dict[str, Any], name: str) -> PublicKey:
    """The public key that one JWK is. Raises `ValueError`, in a sentence that begins with `name`.

    Refused are private keys, other kinds and curves, RSA keys below 2048 or above 8192 bits or with
    another exponent than 65537, points that are not on the curve, keys for encryption, and an `alg`
    that is not the key's one algorithm.
    """
    kty = jwk.get("kty")
    if not _PRIVATE.isdisjoint(jwk):
        raise ValueError(f"{name} shows its private part; replace that key")
    if type(kty) is not str or kty not in _KINDS:
        raise ValueError(f"{name} is no Ed25519, P-256 or RSA key (kty OKP, EC or RSA)")
    members, algorithms, read = _KINDS[kty]
    if not jwk.keys() <= _COMMON | set(members):
        raise ValueError(f"{name} has {_unknown(jwk.keys() - _COMMON - set(members))}")
    if jwk.get("use", "sig") != "sig":
        raise ValueError(f"{name} is not for signatures (`use` is not sig)")
    if jwk.get("alg", algorithms[0]) not in algorithms:
        raise ValueError(f"{name} has another `alg` than {' or '.join(algorithms)}")
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise ValueError(f'{name} has other `key_ops` than ["verify"]')
    return read(jwk, name)


def _ed25519(jwk: dict[str, Any], name: str) -> PublicKey:
    if jwk.get("crv") != "Ed25519":
        raise ValueError(f"{name} is not an Ed25519 key (kty OKP, crv Ed25519)")
    key = _octets(jwk, "x")
    problem = key_problem(key)
    if problem is not None:
        raise ValueError(f"{name} {problem}")
    return key


def _p256(jwk: dict[str, Any], name: str) -> PublicKey:
    if jwk.get("crv") != "P-256":
        raise ValueError(f"{name} is not a P-256 key (kty EC, crv P-256)")
    x, y = _octets(jwk, "x"), _octets(jwk, "y")
    if len(x) != 32 or len(y) != 32:
        raise ValueError(f"{name} has coordinates that are not 32 bytes long")
    from passgate.core.other_keys import p256_key

    try:
        return p256_key(x, y)
    except ValueError:
        raise ValueError(f"{name} is no point on the curve") from None


def _rsa(jwk: dict[str, Any], name: str) -> PublicKey:
    modulus, exponent = _octets(jwk, "n"), _octets(jwk, "e")
    n = int.from_bytes(modulus, "big")
    if modulus[:1] == b"\0" or n.bit_length() not in _RSA_BITS or n % 2 == 0:
        raise ValueError(f"{name} is not an RSA key of 2048 to 8192 bits")
    if exponent != _RSA_EXPONENT.to_bytes(3, "big"):
        raise ValueError(f"{name} has another exponent than 65537")
    from passgate.core.other_keys import rsa_key

    return rsa_key(n, _RSA_EXPONENT)


_KINDS: dict[
    str,
    tuple[tuple[str, ...], tuple[str, ...], Callable[[dict[str, Any], str], PublicKey]],
] = {
    "OKP": (("crv", "x"), ("EdDSA", "Ed25519"), _ed25519),
    "EC": (("crv", "x", "y"), ("ES256",), _p256),
    "RSA": (("e", "n"), ("RS256",), _rsa),
}
"""By `kty`: the members that are the key (those of its thumbprint), its algorithms, its reader."""


def _refuse_fraction(_: object) -> str:
    raise ValueError("the key set holds a number that is none of a key set")


def _encrypts(jwk: Any) -> bool:
    return type(jwk) is dict and jwk.get("use") == "enc" and _PRIVATE.isdisjoint(jwk)


def _octets(jwk: dict[str, Any], member: str) -> bytes:
    """The bytes of a member in canonical base64url; none where it is not that."""
    text = jwk.get(member)
    try:
        return decode_base64url(text.encode("ascii")) if type(text) is str else b""
    except (MalformedError, ValueError):
        return b""


def _unknown(names: set[str]) -> str:
    return f"a member that the gate does not know: {min(names)!r}"
