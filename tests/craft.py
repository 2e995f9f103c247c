"""Credentials made by hand, right or wrong in exactly one way; for tests only."""

import base64
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from math import inf
from typing import Any

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.instant import Instant
from passgate.core.jwks import thumbprint
from passgate.core.revocation import packed
from passgate.core.revoked_ids import RevokedIds
from passgate.core.status_list import StatusList
from passgate.core.trust import Issuer, KeySet, Revocations, Trust

SEED = bytes(range(32))
KEY = crypto_sign_seed_keypair(SEED)[0]
OTHER_SEED = bytes(range(1, 33))
OTHER_KEY = crypto_sign_seed_keypair(OTHER_SEED)[0]
KID = "key-1"
NOW = Instant(1_800_000_000.0, 5_000.0)

HEADER: dict[str, Any] = {"alg": "EdDSA", "typ": "passport+jwt", "kid": KID}
CLAIMS: dict[str, Any] = {
    "iss": "iss_lab",
    "sub": "agent-7",
    "jti": "pass_01JZ0000000000000000000000",
    "iat": 1_800_000_000 - 60,
    "exp": 1_800_000_000 + 3600,
    "permissions": ["api:search"],
}


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"  # the same in every process: it stands in the names of tests


UNSET = _Unset()


def b64(raw: bytes) -> str:
    """Canonical base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sign_parts(head: str, body: str, seed: bytes = SEED) -> str:
    """The compact JWS of two parts that are already encoded, or claim to be."""
    signed = f"{head}.{body}".encode()
    secret = crypto_sign_seed_keypair(seed)[1]
    return f"{head}.{body}." + b64(crypto_sign(signed, secret)[:64])


def raw_credential(header: bytes, payload: bytes, seed: bytes = SEED) -> str:
    """A compact JWS over exactly these bytes of header and payload."""
    return sign_parts(b64(header), b64(payload), seed)


def credential(
    claims: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    seed: bytes = SEED,
) -> str:
    """A passport with these changes to `CLAIMS` and `HEADER`; `UNSET` takes a member out."""
    return raw_credential(
        compact_json(_changed(HEADER, header)), compact_json(_changed(CLAIMS, claims)), seed
    )


def _changed(base: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = {**base, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not UNSET}


def jwk_of(key: bytes) -> dict[str, str]:
    """A public key as `cnf.jwk` has it."""
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key)}


THUMBPRINT = thumbprint(OTHER_KEY)
PARENT = credential(
    {
        "jti": "pass_root",
        "permissions": ["api:*"],
        "may_delegate": True,
        "cnf": {"jwk": jwk_of(OTHER_KEY)},
    }
)
CHILD: dict[str, Any] = {"sub": "agent-7/helper", "jti": "pass_child", "chain": [PARENT]}


def delegated(
    claims: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    seed: bytes = OTHER_SEED,
) -> str:
    """A passport below `PARENT`, with these changes to its claims and header."""
    return credential({**CHILD, **(claims or {})}, {"kid": THUMBPRINT, **(header or {})}, seed)


def key_set(keys: Mapping[str, bytes] | None = None, read_at: Instant = NOW) -> KeySet:
    known = {KID: KEY} if keys is None else dict(keys)
    version = sha256(repr(sorted(known.items())).encode()).hexdigest()
    return KeySet(known, version, read_at)


def revoked_ids(*ids: str) -> RevokedIds:
    """These ids as a list revokes them."""
    return packed(map(hash, ids))


def revocations(
    passports: Iterable[str] = (),
    agents: Iterable[str] = (),
    keys: Iterable[str] = (),
    *,
    issuer_revoked: bool = False,
    read_at: Instant = NOW,
    expires_at: float | None = None,
    statuses: StatusList | None = None,
) -> Revocations:
    return Revocations(
        revoked_ids(*passports),
        revoked_ids(*agents),
        revoked_ids(*keys),
        issuer_revoked,
        read_at,
        expires_at,
        statuses=statuses,
    )


def issuer(
    issuer_id: str = "iss_lab",
    *,
    formats: Iterable[str] = ("jwt",),
    keys: KeySet | None = None,
    revoked: Revocations | None = None,
    max_stale_s: float = 3600.0,
    revocations_required: bool = False,
    list_max_stale_s: float = inf,
) -> Issuer:
    return Issuer(
        id=issuer_id,
        tier="L2",
        formats=frozenset(formats),
        permissions=("*",),
        constraints=NO_CONSTRAINTS,
        max_stale_s=max_stale_s,
        revocations_required=revocations_required,
        keys=keys,
        revocations=revoked,
        list_max_stale_s=list_max_stale_s,
    )


def trust(*entries: Issuer) -> Trust:
    """A Trust in these issuers; with none given, in `iss_lab` with `KEY`."""
    known = entries or (issuer(keys=key_set()),)
    return Trust({entry.id: entry for entry in known})
