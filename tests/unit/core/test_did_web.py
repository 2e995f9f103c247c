"""A did:web is a place; its document's keys for assertions count, and nothing else of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.craft import KEY, OTHER_KEY, b64

from passgate.core.did_web import document_url, read_did_document
from passgate.core.jwks import parse_jwks
from passgate.core.keys import PublicKey
from passgate.core.multikey import write_multikey

DID = "did:web:issuer.example"
JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(KEY)}
METHOD = {"id": f"{DID}#one", "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": JWK}
MULTI = {
    "id": f"{DID}#two",
    "type": "Multikey",
    "controller": DID,
    "publicKeyMultibase": write_multikey(OTHER_KEY),
}


def read(*methods: Any, **members: Any) -> dict[str, PublicKey]:
    document = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": DID,
        "verificationMethod": list(methods),
        "assertionMethod": [method["id"] for method in methods if isinstance(method, dict)],
        "service": [{"id": f"{DID}#site", "type": "LinkedDomains"}],
        **members,
    }
    return parse_jwks(read_did_document(json.dumps(document).encode(), DID))


@pytest.mark.parametrize(
    ("did", "url"),
    [
        (DID, "https://issuer.example/.well-known/did.json"),
        (f"{DID}:agents:lab", "https://issuer.example/agents/lab/did.json"),
        (f"{DID}%3A8443", "https://issuer.example:8443/.well-known/did.json"),
        ("did:web:localhost%3A8443:a", "https://localhost:8443/a/did.json"),
        ("did:web:xn--bcher-kva.example", "https://xn--bcher-kva.example/.well-known/did.json"),
    ],
)
def test_a_did_says_where_its_document_is(did: str, url: str) -> None:
    """The did:web method, always by https."""
    assert document_url(did) == url


@pytest.mark.parametrize(
    "did",
    [
        "did:web:",
        "did:key:z6Mk",
        "did:web:Issuer.example",
        "did:web:issuer.example:",
        "did:web:issuer.example::a",
        "did:web:issuer.example:..",
        "did:web:issuer.example:.well-known",
        "did:web:issuer.example:a%2fb",
        "did:web:issuer.example/a",
        "did:web:issuer.example:8443%3A",
        "did:web:issuer.example%3a8443",
        "did:web:issuer.example%3A0",
        "did:web:issuer.example#key",
        "did:web:issuer.example?x",
        "did:web:user@issuer.example",
        "did:web:127.0.0.1",
        "did:web:2130706433",
        "did:web:a.1",
        "did:web:-a.example",
        "did:web:a..example",
        "did:web:a.example\n",
        "did:web:bücher.example",
        "did:web:" + "a" * 250,
    ],
)
def test_what_is_no_did_web_is_refused(did: str) -> None:
    """Addresses, escapes, empty or hidden parts, and other spellings of a host."""
    with pytest.raises(ValueError, match="must be did:web:HOST"):
        document_url(did)


def test_keys_for_assertions_come_out_by_their_ids() -> None:
    """By the method's whole id, or the `kid` that its JWK has."""
    named = {**METHOD, "publicKeyJwk": {**JWK, "kid": "key-1", "alg": "EdDSA"}}

    assert read(METHOD, MULTI) == {f"{DID}#one": KEY, f"{DID}#two": OTHER_KEY}
    assert read({**named, "type": "JsonWebKey"}) == {"key-1": KEY}


def test_relative_ids_and_embedded_methods_are_read() -> None:
    """DID Core section 5.3.1: a reference may be relative, and a method may stand in its place."""
    relative = {**METHOD, "id": "#one"}

    assert read(relative, assertionMethod=["#one", MULTI]) == read(METHOD, MULTI)
    assert read(METHOD, assertionMethod=["#one"]) == read(relative, assertionMethod=[f"{DID}#one"])


def test_keys_for_something_else_do_not_count() -> None:
    """A key for logins or for encryption signs no statement about others."""
    encrypting = {
        "id": "#three",
        "type": "X25519KeyAgreementKey2020",
        "controller": DID,
        "publicKeyMultibase": "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
    }

    keys = read(
        METHOD,
        MULTI,
        encrypting,
        assertionMethod=["#one"],
        authentication=["#two"],
        keyAgreement=["#three"],
    )

    assert keys == {f"{DID}#one": KEY}


def test_an_issuer_may_withdraw_its_keys() -> None:
    """A revoked method counts no more, and a document may name none."""
    assert read({**METHOD, "revoked": "2099-01-01T00:00:00Z"}, MULTI) == {f"{DID}#two": OTHER_KEY}
    assert read(METHOD, assertionMethod=[]) == {}
    assert parse_jwks(read_did_document(json.dumps({"id": DID}).encode(), DID)) == {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": 1}, "id is not its own"),
        ({"id": None}, "id is not its own"),
        ({"id": "did:web:evil.example#one"}, "id is not its own"),
        ({"id": "#"}, "id is not its own"),
        ({"id": f"{DID}#two"}, "two verification methods of one id"),
        ({"type": "Ed25519VerificationKey2018"}, "none of JsonWebKey2020"),
        ({"type": ["JsonWebKey2020"]}, "none of JsonWebKey2020"),
        ({"controller": "did:web:evil.example"}, "another controls"),
        ({"controller": [DID]}, "another controls"),
        ({"expires": "2030-01-01T00:00:00Z"}, "a member that the gate does not know"),
        ({"publicKeyMultibase": "z"}, "a member that the gate does not know"),
        ({"publicKeyJwk": None}, "`publicKeyJwk` that is no object"),
        ({"publicKeyJwk": {}}, "`publicKeyJwk` that is no object"),
        ({"publicKeyJwk": {**JWK, "kid": 1.5}}, "a number that is none of a key set"),
        ({"publicKeyJwk": {**JWK, "d": "AA"}}, "shows its private part"),
        ({"publicKeyJwk": {**JWK, "use": "enc"}}, "not for signatures"),
        ({"publicKeyJwk": {**JWK, "x": b64(bytes(32))}}, "no point of prime order"),
        ({"publicKeyJwk": {**JWK, "x": b64(OTHER_KEY)}}, "is the same key as"),
    ],
)
def test_an_unusable_key_refuses_the_whole_document(change: dict[str, Any], sentence: str) -> None:
    """Nothing that the issuer would sign with is skipped."""
    with pytest.raises(ValueError, match=sentence):
        read(MULTI, {**METHOD, **change})


@pytest.mark.parametrize("value", [None, 1, "z6Mk", "z" * 48])
def test_a_multikey_that_is_none_refuses_the_document(value: Any) -> None:
    """Only a sound Ed25519 key is one."""
    with pytest.raises(ValueError, match="not of a sound Ed25519 key"):
        read({**MULTI, "publicKeyMultibase": value})


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"id": "did:web:evil.example"}, "of another `id`"),
        ({"id": DID + ":lab"}, "of another `id`"),
        ({"id": None}, "of another `id`"),
        ({"deactivated": True}, "a member that the gate does not know"),
        ({"verificationMethod": {}}, "`verificationMethod` is not a list"),
        ({"verificationMethod": [METHOD] * 1001}, "`verificationMethod` is not a list of at most"),
        ({"verificationMethod": ["#one"]}, "that is no object"),
        ({"verificationMethod": [METHOD, METHOD]}, "two verification methods of one id"),
        ({"assertionMethod": "#one"}, "`assertionMethod` is not a list"),
        ({"assertionMethod": [1]}, "that is no object"),
        ({"assertionMethod": ["#none"]}, "that it does not hold"),
        ({"assertionMethod": ["did:web:evil.example#one"]}, "id is not its own"),
        ({"assertionMethod": ["#one", "#one"]}, "two verification methods of one id"),
        ({"assertionMethod": [METHOD]}, "two verification methods of one id"),
    ],
)
def test_what_is_no_document_of_this_did_is_refused(members: Any, sentence: str) -> None:
    """Another's document, ambiguous ids, and members that might limit what it says."""
    with pytest.raises(ValueError, match=sentence):
        read(METHOD, **members)


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"id":"a","id":"b"}', b"\xff"])
def test_what_is_not_unambiguous_json_is_refused(raw: bytes) -> None:
    """Duplicates too, of which one would have to be believed."""
    with pytest.raises(ValueError, match="not unambiguous JSON"):
        read_did_document(raw, DID)


def test_what_is_no_object_is_refused() -> None:
    """A list has no id."""
    with pytest.raises(ValueError, match="of another `id`"):
        read_did_document(b"[]", DID)


def test_the_document_in_the_reference_is_read() -> None:
    """The key of the page goes by its thumbprint, as the issuer's passports name it."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "key-sources.md").read_bytes()
    document = page.partition(b"```json\n")[2].partition(b"```")[0]

    kids = list(parse_jwks(read_did_document(document, DID)))

    assert kids == ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]
