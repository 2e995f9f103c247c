"""Envelopes made by hand, right or wrong in exactly one way; for tests only."""

import base64
import copy
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import rfc8785
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from tests.craft import b64

Tree = dict[str, Any]

ROOT_SEED = bytes(32)
"""The seed of the vendor's own fixtures, and of the root of their chain."""
LEAF_SEED = bytes(range(32))
"""The seed whose public key the leaf of the fixtures has."""


def public(seed: bytes) -> bytes:
    return crypto_sign_seed_keypair(seed)[0]


def standard(raw: bytes) -> str:
    """Standard base64, padded."""
    return base64.b64encode(raw).decode()


def envelope(seed: bytes = ROOT_SEED, **changes: Any) -> Tree:
    """The self-issued fixture of the vendor, by the key of `seed`; `changes` are of its top."""
    key = public(seed)
    return {
        "schema_version": 2,
        "passport_id": "pp_self_fixture_00000001",
        "identity": {
            "agent_id": "agent_self_" + b64(sha256(key).digest())[:32],
            "agent_name": "fixture@dev.local",
            "public_key": standard(key),
        },
        "permissions": [{"permission_key": "api:read", "constraints": {}}],
        "provenance": {
            "issuer": {
                "type": "self",
                "id": "self:" + sha256(key).hexdigest(),
                "key_id": "self",
            },
            "gate_id": None,
            "catalog_content_hash": None,
            "catalog_version": None,
            "delegation_chain": None,
            "issued_at": "2026-04-22T00:00:00.000Z",
            "expires_at": "2026-05-22T00:00:00.000Z",
        },
        "delegation_authority": False,
        "verification_evidence": [],
        **changes,
    }


def platform(seed: bytes = LEAF_SEED, **changes: Any) -> Tree:
    """An envelope of agent-7 by the issuer `iss_lab` and its key `key-1`."""
    made = envelope(seed, passport_id="pp_1", **changes)
    made["identity"]["agent_id"] = "agent-7"
    made["provenance"]["issuer"] = {"type": "platform", "id": "iss_lab", "key_id": "key-1"}
    return made


def signed(tree: Tree, seed: bytes = ROOT_SEED) -> Tree:
    """The carrier of `tree` with its signature by the key of `seed`."""
    secret = crypto_sign_seed_keypair(seed)[1]
    signature = crypto_sign(rfc8785.dumps(tree), secret)[:64]
    return {"passport_json": tree, "signature": standard(signature)}


def carried(carrier: Any) -> str:
    """The credential that a header holds."""
    return b64(json.dumps(carrier, separators=(",", ":")).encode())


def below(
    *chain: Tree,
    child: bytes = LEAF_SEED,
    by: bytes = ROOT_SEED,
    alter: Callable[[Tree], object] = lambda tree: None,
    name: str = "pp_delegate_fixture_leaf",
) -> Tree:
    """The carrier of an envelope below the last of `chain`, `alter`ed and signed by key `by`."""
    root = chain[0]["passport_json"]
    tree = envelope(child, passport_id=name)
    tree["identity"]["agent_name"] = "leaf@dev.local"
    tree["provenance"]["issuer"] = {
        "type": "delegate",
        "id": f"delegate:{root['passport_id']}",
        "key_id": root["provenance"]["issuer"]["key_id"],
    }
    tree["provenance"]["delegation_chain"] = copy.deepcopy(list(chain))
    alter(tree)
    return signed(tree, by)


def fixture_root(**changes: Any) -> Tree:
    """The carrier of the vendor's root, which may delegate."""
    tree = envelope(passport_id="pp_self_fixture_root", delegation_authority=True, **changes)
    tree["identity"]["agent_name"] = "root@dev.local"
    return signed(tree)
