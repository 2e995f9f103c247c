"""DPoP proofs for tests: good unless one thing is made wrong."""

from hashlib import sha256
from typing import Any

from tests.craft import NOW, OTHER_KEY, OTHER_SEED, UNSET, b64, compact_json, jwk_of, sign_parts

URL = "http://api.example/v1/search"


def ath(passport: str) -> str:
    """The hash by which a proof names a passport (RFC 9449 section 4.2)."""
    return b64(sha256(passport.encode()).digest())


def proof(
    passport: str,
    header: dict[str, Any] | None = None,
    seed: bytes = OTHER_SEED,
    **claims: Any,
) -> str:
    """A proof of the holder of `OTHER_KEY` for GET of `URL` with `passport`, with these changes."""
    head = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk_of(OTHER_KEY), **(header or {})}
    body = {
        "jti": "proof-1",
        "htm": "GET",
        "htu": URL,
        "iat": int(NOW.wall),
        "ath": ath(passport),
        **claims,
    }
    kept_head = {name: value for name, value in head.items() if value is not UNSET}
    kept_body = {name: value for name, value in body.items() if value is not UNSET}
    return sign_parts(b64(compact_json(kept_head)), b64(compact_json(kept_body)), seed)
