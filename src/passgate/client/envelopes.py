"""Envelopes that an agent issues for itself, for gates and for readers of Modei's passports."""

import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization

from passgate.client.holder import Holder
from passgate.core.formats.envelope import agent_id_of, canonical, read_envelope
from passgate.core.jws import encode_base64url
from passgate.core.self_issued import hash_id
from passgate.core.verification import MAX_CREDENTIAL_BYTES


def mint_envelope(
    holder: Holder,
    *,
    permissions: Mapping[str, Mapping[str, Any]],
    now: float,
    ttl_s: int,
    agent_name: str | None = None,
    may_delegate: bool = False,
    entropy: Callable[[int], bytes] = os.urandom,
) -> str:
    """The credential of a self-issued envelope by the key of `holder`, for `ttl_s` seconds.

    `permissions` are the constraints of each by its key. It is read back as a gate reads it:
    `ValueError`, with a sentence, for whatever a gate would call malformed.
    """
    key = holder.key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    # Through JSON and back, so that nothing but JSON can be signed.
    envelope = json.loads(
        json.dumps(
            {
                "schema_version": 2,
                "passport_id": "pp_self_" + entropy(16).hex(),
                "identity": {
                    "agent_id": agent_id_of(key),
                    "agent_name": agent_name,
                    "public_key": _base64(key),
                },
                "permissions": [
                    {"permission_key": name, "constraints": dict(limits)}
                    for name, limits in permissions.items()
                ],
                "provenance": {
                    "issuer": {"type": "self", "id": hash_id(key), "key_id": "self"},
                    "gate_id": None,
                    "catalog_content_hash": None,
                    "catalog_version": None,
                    "delegation_chain": None,
                    "issued_at": _moment(now),
                    "expires_at": _moment(now + ttl_s),
                },
                "delegation_authority": may_delegate,
                "verification_evidence": [],
            }
        )
    )
    carrier = {
        "passport_json": envelope,
        "signature": _base64(holder.key.sign(canonical(envelope))),
    }
    credential = encode_base64url(json.dumps(carrier, separators=(",", ":")).encode())
    if len(credential) > MAX_CREDENTIAL_BYTES:
        raise ValueError(f"the passport would be larger than the {MAX_CREDENTIAL_BYTES} bytes read")
    read_envelope(credential)
    return credential.decode()


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _moment(seconds: float) -> str:
    """Milliseconds are cut off, as the vendor does."""
    whole = datetime.fromtimestamp(int(seconds), UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{int(seconds * 1000) % 1000:03d}Z"
