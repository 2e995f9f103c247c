"""Key sets are read whole or refused whole."""

import json
from typing import Any

import pytest
from tests.craft import KEY, OTHER_KEY, UNSET, b64

from passgate.core.jwks import (
    MAX_JWKS_BYTES,
    MAX_KEYS,
    parse_jwks,
    thumbprint,
    without_encryption_keys,
)
from passgate.core.keys import PublicKey

JWK: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": b64(KEY), "kid": "key-1"}
OTHER = {**JWK, "x": b64(OTHER_KEY), "kid": "key-2"}


def parse(*keys: Any) -> dict[str, PublicKey]:
    return parse_jwks(json.dumps({"keys": list(keys)}).encode())


def test_keys_come_out_by_kid() -> None:
    """Each key's 32 bytes, by its name; what is said about its use must be true of it."""
    spoken = {**OTHER, "use": "sig", "alg": "Ed25519", "key_ops": ["verify"], "ext": True}

    assert parse(JWK, spoken) == {"key-1": KEY, "key-2": OTHER_KEY}
    assert parse({**JWK, "alg": "EdDSA"}) == {"key-1": KEY}


def test_an_empty_set_holds_no_key() -> None:
    """An issuer may withdraw every key."""
    assert parse() == {}


def test_a_key_without_kid_goes_by_its_thumbprint() -> None:
    """RFC 8037 appendix A.3: the thumbprint of the example key."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}

    [(kid, key)] = parse(jwk).items()

    assert kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert isinstance(key, bytes)
    assert (thumbprint(key), b64(key)) == (kid, x)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"d": b64(bytes(32))}, "shows its private part"),
        ({"kty": "RSA"}, "does not know: 'crv'"),
        ({"kty": "oct", "k": "AAAA"}, "shows its private part"),
        ({"kty": "oct"}, "no Ed25519, P-256 or RSA key"),
        ({"kty": ["OKP"]}, "no Ed25519, P-256 or RSA key"),
        ({"kty": UNSET}, "no Ed25519, P-256 or RSA key"),
        ({"y": "AA"}, "does not know: 'y'"),
        ({"crv": "X25519"}, "not an Ed25519 key"),
        ({"crv": "Ed448"}, "not an Ed25519 key"),
        ({"crv": ["Ed25519"]}, "not an Ed25519 key"),
        ({"use": "enc"}, "not for signatures"),
        ({"use": None}, "not for signatures"),
        ({"alg": "HS256"}, "another `alg`"),
        ({"alg": ["EdDSA"]}, "another `alg`"),
        ({"key_ops": ["sign", "verify"]}, "other `key_ops`"),
        ({"key_ops": []}, "other `key_ops`"),
        ({"exp": 1}, "does not know: 'exp'"),
        ({"x5u": "https://evil.example"}, "does not know: 'x5u'"),
        ({"kid": ""}, "`kid` that is not"),
        ({"kid": None}, "`kid` that is not"),
        ({"kid": 1}, "`kid` that is not"),
        ({"kid": "a\n"}, "`kid` that is not"),
        ({"x": UNSET}, "not 32 bytes"),
        ({"x": 1}, "not 32 bytes"),
        ({"x": "é"}, "not 32 bytes"),
        ({"x": b64(KEY) + "="}, "not 32 bytes"),
        ({"x": b64(KEY)[:-1]}, "not 32 bytes"),
        ({"x": b64(KEY + b"\0")}, "not 32 bytes"),
        ({"x": b64((1).to_bytes(32, "little"))}, "no point of prime order"),
        ({"x": b64((2**255 - 18).to_bytes(32, "little"))}, "not canonically encoded"),
    ],
)
def test_an_unusable_key_refuses_the_whole_set(change: dict[str, Any], sentence: str) -> None:
    """Nothing is skipped: the sentence says which key and why."""
    spoilt = {name: value for name, value in {**JWK, **change}.items() if value is not UNSET}

    with pytest.raises(ValueError, match=f"^key 2 of the key set .*{sentence}"):
        parse(OTHER, spoilt)


def test_two_keys_of_one_name_are_refused() -> None:
    """A name means one key."""
    with pytest.raises(ValueError, match="same `kid`"):
        parse(JWK, {**OTHER, "kid": "key-1"})


def test_one_key_of_two_names_is_refused() -> None:
    """Else revoking it by one name would leave it in force by the other."""
    with pytest.raises(ValueError, match="same key as 'key-1'"):
        parse(JWK, {**JWK, "kid": "key-2"})


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not unambiguous JSON"),
        (b"<html>", "not unambiguous JSON"),
        (b'{"keys":[],"keys":[]}', "not unambiguous JSON: JSON names one member twice"),
        (b"[]", "not a JSON object"),
        (b"{}", "not a JSON object"),
        (b'{"keys":{}}', "not a JSON object"),
        (b'{"keys":[],"more":1}', "does not know: 'more'"),
        (b'{"keys":[1]}', "key 1 of the key set is not a JSON object"),
        (b'{"keys":[]}' + b" " * MAX_JWKS_BYTES, "larger than"),
        (b'{"keys":[' + b"1," * MAX_KEYS + b"1]}", "more than 1000 keys"),
    ],
)
def test_what_is_no_key_set_is_refused(raw: bytes, sentence: str) -> None:
    """Wrong type, wrong shape, duplicates, and sizes beyond the limits."""
    with pytest.raises(ValueError, match=sentence):
        parse_jwks(raw)


def test_keys_for_encryption_can_be_left_out() -> None:
    """Of any kind, as OpenID providers have them; all others stay as they are."""
    encrypting = {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": "AQ", "e": "AQAB"}
    raw = json.dumps({"keys": [JWK, encrypting, OTHER]}).encode()

    assert parse_jwks(without_encryption_keys(raw)) == {"key-1": KEY, "key-2": OTHER_KEY}
    with pytest.raises(ValueError, match="not for signatures"):
        parse_jwks(raw)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"<html>", "not unambiguous JSON"),
        (b"[]", "not a JSON object"),
        (b'{"keys":1}', "not a JSON object"),
        (b'{"keys":[1]}', "key 1 of the key set is not"),
        (b'{"keys":[{"use":"enc","kty":"OKP","d":"AA"}]}', "shows its private part"),
        (b'{"keys":[{"use":"enc","use":"sig"}]}', "names one member twice"),
        (b'{"keys":[{"use":"ENC","kty":"OKP"}]}', "not for signatures"),
        (b'{"keys":[],"more":1}', "does not know"),
        (b'{"keys":[{"use":"enc"},{"kid":1.5}]}', "a number that is none of a key set"),
        (b'{"keys":[{"kty":"OKP","kid":1.5}]}', "not an Ed25519 key"),
    ],
)
def test_leaving_keys_out_hides_nothing_else(raw: bytes, sentence: str) -> None:
    """Whatever refuses a key set refuses it still."""
    with pytest.raises(ValueError, match=sentence):
        parse_jwks(without_encryption_keys(raw))
