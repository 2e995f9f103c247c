"""What every signer of the authority promises; a new one joins SIGNERS."""

import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from passgate.authority.keys import KeySigner, Signer, load_issuer, new_issuer
from passgate.core.ed25519 import signature_fits
from passgate.core.jwks import parse_jwks
from passgate.core.jws import read


def _in_memory(directory: Path) -> Signer:
    return KeySigner.generate("iss_lab")


def _from_a_directory(directory: Path) -> Signer:
    new_issuer(directory, "iss_lab")
    return load_issuer(directory)


SIGNERS: dict[str, Callable[[Path], Signer]] = {
    "in memory": _in_memory,
    "from a directory": _from_a_directory,
}

CLAIMS = {"iss": "iss_lab", "iat": 1_800_000_000, "text": 'ä"\\\n', "list": [1, {"a": None}]}
TYPES = frozenset({"passport+jwt"})


@pytest.fixture(params=SIGNERS)
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Signer:
    return SIGNERS[request.param](tmp_path)


def _keys(signer: Signer) -> dict[str, bytes]:
    return parse_jwks(json.dumps({"keys": [dict(signer.public_jwk)]}).encode())


def test_it_signs_in_the_name_of_its_issuer(signer: Signer) -> None:
    assert signer.issuer == "iss_lab"


def test_what_it_signs_is_read_and_verified_by_a_gate(signer: Signer) -> None:
    jws = read(signer.sign("passport+jwt", CLAIMS).encode(), TYPES)
    assert signature_fits(jws.signature, jws.signing_input, _keys(signer)[jws.kid])
    assert jws.claims == CLAIMS
    assert jws.kid == signer.kid


def test_another_implementation_verifies_it_too(signer: Signer) -> None:
    found = jwt.decode(
        signer.sign("passport+jwt", CLAIMS),
        jwt.PyJWK.from_dict(dict(signer.public_jwk)).key,
        algorithms=["EdDSA"],
        options={"verify_iat": False},
    )
    assert found == CLAIMS


def test_the_header_holds_algorithm_key_and_type_and_no_more(signer: Signer) -> None:
    token = signer.sign("passport+jwt", CLAIMS)
    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "typ": "passport+jwt",
        "kid": signer.kid,
    }


def test_its_key_id_is_the_thumbprint(signer: Signer) -> None:
    """RFC 7638: a key set that leaves `kid` out gives the same name."""
    nameless = {name: value for name, value in signer.public_jwk.items() if name != "kid"}
    assert set(parse_jwks(json.dumps({"keys": [nameless]}).encode())) == {signer.kid}


def test_it_signs_the_same_thing_the_same_way(signer: Signer) -> None:
    assert signer.sign("passport+jwt", CLAIMS) == signer.sign("passport+jwt", CLAIMS)


def test_the_type_is_signed(signer: Signer) -> None:
    token = signer.sign("revocations+jwt", CLAIMS)
    with pytest.raises(ValueError, match="typ"):
        read(token.encode(), TYPES)


def test_it_never_shows_its_private_key(signer: Signer) -> None:
    assert "d" not in signer.public_jwk
    assert "PrivateKey" not in repr(signer)
