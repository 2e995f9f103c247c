"""Proofs of possession, made: by DPoP (RFC 9449), or by signing the request (RFC 9421)."""

import os
import time
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from passgate.client.holder import Holder
from passgate.core.jws import encode_base64url

SIGNATURE_TAG: Final = "agent-passport"
_PORTS: Final = {"http": 80, "https": 443}


def dpop_proof(
    holder: Holder,
    passport: str,
    method: str,
    url: str,
    *,
    nonce: str = "",
    now: Callable[[], float] = time.time,
    entropy: Callable[[int], bytes] = os.urandom,
) -> str:
    """The value of a `DPoP` header for one request with `passport`: good once, for a minute.

    `url` may have query and fragment, which a proof leaves out (RFC 9449 section 4.2).
    """
    claims = {
        "jti": encode_base64url(entropy(16)).decode(),
        "htm": method.upper(),
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": int(now()),
        "ath": encode_base64url(sha256(passport.encode("ascii")).digest()).decode(),
    }
    if nonce:
        claims["nonce"] = nonce
    return holder.prove(claims)


def signature_headers(
    holder: Holder,
    method: str,
    url: str,
    authorization: str,
    body: bytes | None,
    *,
    nonce: str = "",
    now: Callable[[], float] = time.time,
    entropy: Callable[[int], bytes] = os.urandom,
) -> dict[str, str]:
    """`Signature-Input`, `Signature`, and with a body `Content-Digest`, for one request.

    `authorization` is the header that the passport goes in; the signature covers it.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = parts.port
    authority = name if port in (None, _PORTS.get(parts.scheme)) else f"{name}:{port}"
    covered = {
        "@method": method.upper(),
        "@authority": authority,
        "@path": parts.path or "/",
        "@query": "?" + parts.query,
        "authorization": authorization,
    }
    headers: dict[str, str] = {}
    if body is not None:
        digest = b64encode(sha256(body).digest()).decode()
        headers["Content-Digest"] = covered["content-digest"] = f"sha-256=:{digest}:"
    said = (
        "(" + " ".join(f'"{each}"' for each in covered) + ")"
        f";created={int(now())}"
        f';nonce="{nonce}{"." if nonce else ""}{encode_base64url(entropy(16)).decode()}"'
        f';keyid="{holder.thumbprint}";tag="{SIGNATURE_TAG}"'
    )
    lines = [f'"{each}": {value}' for each, value in covered.items()]
    base = "\n".join([*lines, f'"@signature-params": {said}'])
    octets = b64encode(holder.key.sign(base.encode("latin-1"))).decode()
    headers["Signature-Input"] = f"sig1={said}"
    headers["Signature"] = f"sig1=:{octets}:"
    return headers
