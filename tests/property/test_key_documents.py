"""Whatever a server sends for a key set, it is read or refused; nothing else happens."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.craft import KEY, b64

from passgate.core.did_web import document_url, read_did_document
from passgate.core.discovery import discovery_url, read_discovery
from passgate.core.jwks import parse_jwks, without_encryption_keys
from passgate.core.keys import PublicKey
from passgate.core.multikey import read_multikey

DID = "did:web:a.example"
JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(KEY), "kid": "key-1"}
METHOD = {"id": f"{DID}#1", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": JWK}
DOCUMENT = {"id": DID, "verificationMethod": [METHOD], "assertionMethod": [f"{DID}#1"]}
DISCOVERY = {"issuer": "https://a.example", "jwks_uri": "https://a.example/keys"}

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["enc", "sig", "OKP", "RSA", "Multikey", f"{DID}#1", "#1", "z6Mk", DID]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*JWK, *METHOD, *DOCUMENT, *DISCOVERY, "use"]), inner)
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, as the way to it."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, (dict, list)):
        for name, part in inner:
            found += places(part, (*path, name))
    return found


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> bytes:
    """The document with something else in one place of it, or anything at all, or its text cut."""
    changed = json.loads(json.dumps(document))
    way = draw(st.sampled_from(places(document)))
    value = draw(VALUES)
    if not way:
        changed = value
    else:
        inside = changed
        for name in way[:-1]:
            inside = inside[name]
        inside[way[-1]] = value
    raw = json.dumps(changed).encode()
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


def only_the_key(keys: dict[str, PublicKey]) -> None:
    """No key is made of anything but the one that was there."""
    assert set(keys.values()) <= {KEY}


@given(spoilt({"keys": [JWK, {"kty": "RSA", "use": "enc"}]}))
def test_a_key_set_is_read_or_refused(raw: bytes) -> None:
    """With keys left out or not."""
    with suppress(ValueError):
        only_the_key(parse_jwks(without_encryption_keys(raw)))


@given(spoilt(DOCUMENT))
def test_a_did_document_is_read_or_refused(raw: bytes) -> None:
    """And what it becomes is a key set or refused as one."""
    with suppress(ValueError):
        only_the_key(parse_jwks(read_did_document(raw, DID)))


@given(spoilt(DISCOVERY))
def test_a_discovery_document_leads_to_its_own_origin_or_nowhere(raw: bytes) -> None:
    """Whatever it says."""
    with suppress(ValueError):
        assert read_discovery(raw, "https://a.example").startswith("https://a.example")


@given(st.text(max_size=60))
def test_a_name_of_a_source_is_a_place_or_refused(text: str) -> None:
    """Of a did:web always one over TLS."""
    for name in (text, f"did:web:{text}", f"https://{text}"):
        for read in (discovery_url, document_url, read_multikey):
            try:
                found = read(name)
            except ValueError:
                continue
            if read is document_url:
                assert str(found).startswith("https://")
