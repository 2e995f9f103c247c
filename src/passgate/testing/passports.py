"""Issuers with throwaway keys, and passports that are good unless a test makes them bad."""

import base64
import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passgate.authority.keys import KeySigner
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.instant import Instant
from passgate.core.revocation import packed
from passgate.core.trust import Issuer, KeySet, Revocations
from passgate.ulid import encode_ulid


class _Removed:
    """The type of `REMOVED`."""

    def __repr__(self) -> str:
        return "REMOVED"


REMOVED: Final = _Removed()
"""As the value of a claim or header member: that member is left out."""


class TestIssuer:
    """An issuer with a throwaway key: mints passports, signs lists, and shows its public side.

    The same `id` and `seed` give the same key.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    def __init__(self, id: str = "iss_test", seed: str = "") -> None:  # noqa: A002 - reads as in gate.yaml
        secret = hashlib.sha256(f"passgate.testing {id} {seed}".encode()).digest()
        self.id = id
        self.key = Ed25519PrivateKey.from_private_bytes(secret)
        self.signer = KeySigner.of(id, self.key)
        self.kid = self.signer.kid
        self.public_key = self.key.public_key().public_bytes_raw()

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys as the issuer publishes them; `issuers[].keys` takes it inline."""
        return {"keys": [dict(self.signer.public_jwk)]}

    def key_set(self, read_at: Instant) -> KeySet:
        """The keys as the gate would have learnt them at `read_at`."""
        return KeySet({self.kid: self.public_key}, self.kid, read_at)

    def trusted(self, read_at: Instant, **settings: Any) -> Issuer:
        """The issuer as part of a `Trust`, with keys and an empty list read at `read_at`.

        `settings` replaces fields of `passgate.core.trust.Issuer`.
        """
        fields: dict[str, Any] = {
            "id": self.id,
            "tier": "L2",
            "formats": frozenset({"jwt"}),
            "permissions": ("*",),
            "constraints": NO_CONSTRAINTS,
            "max_stale_s": 3600.0,
            "revocations_required": True,
            "keys": self.key_set(read_at),
            "revocations": revocations(read_at),
        }
        return Issuer(**(fields | settings))

    def mint(self, **options: Any) -> str:
        """`mint(issuer=self, ...)`."""
        return mint(issuer=self, **options)

    def sign(
        self,
        claims: Mapping[str, Any] | bytes,
        header: Mapping[str, Any] | bytes,
        key: Ed25519PrivateKey | None = None,
    ) -> str:
        """The compact JWS of exactly this header and these claims, signed with the issuer's key.

        `bytes` are taken as they are, however wrong; `REMOVED` members are left out.
        """
        signed = _encode(_octets(header)) + "." + _encode(_octets(claims))
        return signed + "." + _encode((key or self.key).sign(signed.encode()))

    def revocation_list(
        self,
        *revoked: tuple[str, str] | Mapping[str, Any],
        now: float | None = None,
        ttl_s: int = 30 * 86_400,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> str:
        """A signed list of `(kind, id)` pairs or whole entries, issued at `now`."""
        issued_at = int(time.time() if now is None else now)
        entries = [
            dict(entry)
            if isinstance(entry, Mapping)
            else {"kind": entry[0], "id": entry[1], "at": issued_at, "reason": ""}
            for entry in revoked
        ]
        return self.sign(
            {"iss": self.id, "iat": issued_at, "exp": issued_at + ttl_s, "revoked": entries}
            | dict(claims or {}),
            {"alg": "EdDSA", "kid": self.kid, "typ": "revocations+jwt"} | dict(header or {}),
            key,
        )

    def status_list(
        self,
        uri: str,
        *statuses: int,
        bits: int = 2,
        now: float | None = None,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed token status list at `uri` with `statuses` from place 0 on, issued at `now`."""
        packed_statuses = bytearray(-(-len(statuses) * bits // 8))
        for place, status in enumerate(statuses):
            packed_statuses[place * bits // 8] |= status << (place * bits % 8)
        return self.sign(
            {
                "sub": uri,
                "iat": int(time.time() if now is None else now),
                "status_list": {
                    "bits": bits,
                    "lst": _encode(zlib.compress(bytes(packed_statuses), 9)),
                },
            }
            | dict(claims or {}),
            {"alg": "EdDSA", "kid": self.kid, "typ": "statuslist+jwt"} | dict(header or {}),
        )


def revocations(
    read_at: Instant,
    *,
    passports: Iterable[str] = (),
    agents: Iterable[str] = (),
    keys: Iterable[str] = (),
    issuer_revoked: bool = False,
    expires_at: float | None = None,
) -> Revocations:
    """A revocation list as the gate would have learnt it at `read_at`."""
    return Revocations(
        packed(map(hash, passports)),
        packed(map(hash, agents)),
        packed(map(hash, keys)),
        issuer_revoked,
        read_at,
        expires_at,
    )


def mint(
    *,
    issuer: TestIssuer | None = None,
    agent: str = "agent_test",
    permissions: Sequence[Any] = ("*",),
    constraints: Mapping[str, Any] | None = None,
    passport_id: str | None = None,
    now: float | None = None,
    ttl_s: int = 3600,
    claims: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | bytes | None = None,
    payload: bytes | None = None,
    key: Ed25519PrivateKey | None = None,
) -> str:
    """A passport, good unless you make it bad.

    `claims` and `header` add or replace members, `REMOVED` leaves one out. A `header` or `payload`
    of bytes is signed as it is. `key` signs in place of the issuer's own. Without `issuer` it is
    `TestIssuer()`, without `now` the machine's time.
    """
    issuer = issuer or TestIssuer()
    wall = time.time() if now is None else now
    body: dict[str, Any] = {
        "iss": issuer.id,
        "sub": agent,
        "jti": passport_id or "pass_" + encode_ulid(int(wall * 1000), os.urandom(10)),
        "iat": int(wall),
        "exp": int(wall) + ttl_s,
        "permissions": list(permissions),
    }
    if constraints is not None:
        body["constraints"] = dict(constraints)
    body |= claims or {}
    head: Mapping[str, Any] | bytes
    if isinstance(header, bytes):
        head = header
    else:
        head = {"alg": "EdDSA", "kid": issuer.kid, "typ": "passport+jwt"} | dict(header or {})
    return issuer.sign(body if payload is None else payload, head, key)


def _octets(part: Mapping[str, Any] | bytes) -> bytes:
    if isinstance(part, bytes):
        return part
    kept = {name: value for name, value in part.items() if value is not REMOVED}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
