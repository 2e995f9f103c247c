"""The verifier on the page of assertions believes what it should, and nothing that was moved."""

import re
import time
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prove-requests-to-your-api.md"
REQUEST = ("GET", "api.example", b"/x?q=1")


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def module(key: Ed25519PrivateKey) -> dict[str, Any]:
    """The module as it stands on the page, with the gate's keys at hand."""
    found = re.search(r"cat > assertion.py <<'EOF'\n(.*?)^EOF$", PAGE.read_text(), re.M | re.S)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1], str(PAGE), "exec"), names)

    def get_signing_key(kid: str) -> SimpleNamespace:
        if kid != "k1":
            raise jwt.PyJWKClientError("no such key")
        return SimpleNamespace(key=key.public_key())

    names["KEYS"] = SimpleNamespace(get_signing_key=get_signing_key)
    return names


def signed(key: Ed25519PrivateKey, header: dict[str, Any], **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "gate_my-api",
        "aud": "http://127.0.0.1:8000",
        "iat": now,
        "exp": now + 60,
        "jti": "att_1",
        "method": "GET",
        "host": "api.example",
        "target_sha256": sha256(b"/x?q=1").hexdigest(),
    }
    full = {"kid": "k1", "typ": "passgate-assertion+jwt"} | header
    return jwt.encode(claims | changes, key, algorithm="EdDSA", headers=full)


def test_the_statement_about_a_request_is_believed(
    module: dict[str, Any], key: Ed25519PrivateKey
) -> None:
    """What the gate signed about this request, a moment ago."""
    assert module["verified"](*REQUEST, signed(key, {}))["jti"] == "att_1"


@pytest.mark.parametrize(
    "moved",
    [
        ("POST", "api.example", b"/x?q=1"),
        ("GET", "admin.example", b"/x?q=1"),
        ("GET", "api.example", b"/x?q=2"),
        ("GET", "api.example", b"/y?q=1"),
    ],
)
def test_a_statement_cannot_be_moved_to_another_request(
    module: dict[str, Any], key: Ed25519PrivateKey, moved: tuple[str, str, bytes]
) -> None:
    """Not to another method, host, path or query."""
    with pytest.raises(jwt.PyJWTError):
        module["verified"](*moved, signed(key, {}))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": "passport+jwt"}, {}),
        ({"kid": "k2"}, {}),
        ({}, {"iss": "gate_other"}),
        ({}, {"aud": "http://127.0.0.1:8001"}),
        ({}, {"exp": 1}),
        ({}, {"iat": 1 << 40, "exp": 1 << 41}),
        ({}, {"host": None}),
    ],
)
def test_another_statement_is_not_believed(
    module: dict[str, Any], key: Ed25519PrivateKey, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Another kind, key, gate, audience or time, or one that leaves out what it is about."""
    with pytest.raises(jwt.PyJWTError):
        module["verified"](*REQUEST, signed(key, header, **claims))


def test_a_forged_statement_is_not_believed(module: dict[str, Any]) -> None:
    """Signed with a key that is not the gate's."""
    with pytest.raises(jwt.PyJWTError):
        module["verified"](*REQUEST, signed(Ed25519PrivateKey.generate(), {}))
