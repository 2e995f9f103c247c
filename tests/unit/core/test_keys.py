"""Keys that are not Ed25519: read strictly, and good for their one algorithm alone."""

import base64
import json
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from tests.craft import KEY, SEED, b64, credential, issuer, trust

from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks, read_public_key
from passgate.core.keys import OtherKey, PublicKey, algorithm_of, fits, identity_of
from passgate.core.reasons import Refusal
from passgate.core.trust import KeySet
from passgate.core.verification import Acceptance, verify

# RFC 7638 section 3.1.
EXAMPLE = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


EC_KEY = ec.derive_private_key(7, ec.SECP256R1())


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def rsa_jwk(key: rsa.RSAPrivateKey | None = None) -> dict[str, Any]:
    numbers = (key or rsa_key()).public_key().public_numbers()
    return {"kty": "RSA", "kid": "rsa", "n": number(numbers.n), "e": number(numbers.e)}


def ec_jwk() -> dict[str, Any]:
    numbers = EC_KEY.public_key().public_numbers()
    return {
        "kty": "EC",
        "kid": "ec",
        "crv": "P-256",
        "x": number(numbers.x, 32),
        "y": number(numbers.y, 32),
    }


def parse(*keys: dict[str, Any]) -> dict[str, PublicKey]:
    return parse_jwks(json.dumps({"keys": keys}).encode())


def signed(message: bytes) -> dict[str, bytes]:
    """Signatures of `message` by algorithm."""
    r, s = decode_dss_signature(EC_KEY.sign(message, ec.ECDSA(SHA256())))
    return {
        "EdDSA": crypto_sign(message, crypto_sign_seed_keypair(SEED)[1])[:64],
        "ES256": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "RS256": rsa_key().sign(message, padding.PKCS1v15(), SHA256()),
    }


def keys() -> dict[str, PublicKey]:
    return {algorithm_of(key): key for key in [KEY, *parse(rsa_jwk(), ec_jwk()).values()]}


def test_each_key_verifies_by_its_own_algorithm_and_no_other() -> None:
    """Whatever is presented as its signature, of whatever length."""
    signatures = signed(b"message")

    for algorithm, key in keys().items():
        for by, signature in signatures.items():
            assert fits(key, signature, b"message") == (by == algorithm)
            assert not fits(key, signature, b"another")
        for rubbish in (b"", b"x", bytes(64), bytes(256), b"\xff" * 64, signatures[algorithm][:-1]):
            assert not fits(key, rubbish, b"message")


def test_an_elliptic_signature_in_another_encoding_is_none() -> None:
    """Only r and s of 32 bytes each (RFC 7518 section 3.4), not DER."""
    der = EC_KEY.sign(b"message", ec.ECDSA(SHA256()))

    assert not fits(keys()["ES256"], der, b"message")


def test_a_key_without_kid_goes_by_its_thumbprint() -> None:
    """RFC 7638 section 3.1, the example."""
    nameless = {name: value for name, value in EXAMPLE.items() if name != "kid"}

    assert list(parse(nameless)) == ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"]
    assert list(parse(EXAMPLE)) == ["2011-04-29"]


def test_what_authorities_write_beside_their_keys_is_taken() -> None:
    """Certificates of the same key say nothing about its use."""
    certified = {**rsa_jwk(), "x5c": ["AA"], "x5t": "AA", "x5t#S256": "AA", "use": "sig"}

    assert set(parse(certified, {**ec_jwk(), "alg": "ES256"})) == {"rsa", "ec"}


def test_the_same_key_is_told_by_its_identity() -> None:
    """Under two names it is refused, whatever kind it is."""
    assert identity_of(parse(rsa_jwk())["rsa"]) == identity_of(parse(rsa_jwk())["rsa"])
    assert len({identity_of(key) for key in keys().values()}) == 3
    with pytest.raises(ValueError, match="same key as 'rsa'"):
        parse(rsa_jwk(), {**rsa_jwk(), "kid": "again"})


@pytest.mark.parametrize(
    ("jwk", "sentence"),
    [
        ({**rsa_jwk(), "d": "AQ"}, "private part"),
        ({**rsa_jwk(), "p": "AQ"}, "private part"),
        ({**rsa_jwk(), "alg": "PS256"}, "another `alg` than RS256"),
        ({**rsa_jwk(), "alg": "HS256"}, "another `alg` than RS256"),
        ({**rsa_jwk(), "e": "Aw"}, "another exponent"),
        ({**rsa_jwk(), "e": "AAEAAQ"}, "another exponent"),
        ({**rsa_jwk(), "n": number(2**2047)}, "2048 to 8192"),
        ({**rsa_jwk(), "n": number(2**1024 + 1)}, "2048 to 8192"),
        ({**rsa_jwk(), "n": number(2**8192 + 1)}, "2048 to 8192"),
        ({**rsa_jwk(), "n": "AA" + rsa_jwk()["n"]}, "2048 to 8192"),
        ({**rsa_jwk(), "n": 7}, "2048 to 8192"),
        ({**rsa_jwk(), "x": "AA"}, "does not know: 'x'"),
        ({**ec_jwk(), "d": "AQ"}, "private part"),
        ({**ec_jwk(), "alg": "EdDSA"}, "another `alg` than ES256"),
        ({**ec_jwk(), "crv": "P-384"}, "not a P-256 key"),
        ({**ec_jwk(), "crv": "secp256k1"}, "not a P-256 key"),
        ({**ec_jwk(), "x": ec_jwk()["y"]}, "no point on the curve"),
        ({**ec_jwk(), "x": number(2**256 - 1)}, "no point on the curve"),
        ({**ec_jwk(), "x": "AQ"}, "not 32 bytes"),
        ({**ec_jwk(), "y": None}, "not 32 bytes"),
    ],
    ids=range(20),
)
def test_a_weak_or_foreign_key_refuses_its_set(jwk: dict[str, Any], sentence: str) -> None:
    """Short moduli, other exponents, curves, algorithms, and keys that are no secret any more."""
    with pytest.raises(ValueError, match=sentence):
        parse(jwk)


def test_a_native_passport_is_never_verified_by_another_kind_of_key() -> None:
    """Under that name the issuer has no Ed25519 key."""
    mixed = KeySet(parse({**rsa_jwk(), "kid": "key-1"}), "v", Instant(0.0, 0.0))

    refusal = verify(credential(), trust(issuer(keys=mixed)), Acceptance())

    assert isinstance(refusal, Refusal)
    assert refusal.code == "key_unknown"


def test_only_an_ed25519_key_can_be_a_holder_s() -> None:
    """Where the native format asks for one."""
    assert read_public_key({"kty": "OKP", "crv": "Ed25519", "x": b64(KEY)}, "the key") == KEY
    with pytest.raises(ValueError, match="the key is not an Ed25519 key"):
        read_public_key(ec_jwk(), "the key")


def test_the_example_key_is_what_it_says() -> None:
    """RFC 7638's modulus has 2048 bits."""
    (key,) = parse(EXAMPLE).values()

    assert isinstance(key, OtherKey)
    assert len(base64.b64decode(EXAMPLE["n"] + "==", altchars=b"-_")) == 256
