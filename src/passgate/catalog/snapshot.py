"""One published version as bytes: what is hashed, signed, stored and served.

The file is the RFC 8785 form of `{catalog_snapshot, changes, content_hash, gate_id,
has_breaking_changes, published_at, signature, signing_key_id, version}`. `content_hash` is the
SHA-256 of the bytes of `catalog_snapshot`, and the signature, Ed25519 in base64, is over its 32
bytes. Everything but these three stands within the snapshot too, so that all of it is signed.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import rfc8785

from passgate.catalog.changes import Change
from passgate.core.catalog import (
    UNPUBLISHED,
    Catalog,
    CatalogEntry,
    content_hash,
    parse_permissions,
)
from passgate.core.ed25519 import signature_fits
from passgate.core.jwks import thumbprint

_WITHIN: Final = ("changes", "gate_id", "has_breaking_changes", "published_at", "version")


class Signer(Protocol):
    """The gate's key."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that verify."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""


@dataclass(frozen=True, slots=True)
class Published:
    """One version: compiled, and `body`, which is served and stored byte for byte."""

    catalog: Catalog
    body: bytes
    published_at: str
    key_id: str
    has_breaking_changes: bool

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What it changed, read anew: a gate that serves it has no use for a hundred thousand."""
        return _read_envelope(self.body).changes

    @property
    def version(self) -> int:
        """The number, from 1."""
        return self.catalog.version


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    catalog_snapshot: msgspec.Raw
    changes: list[dict[str, Any]]
    content_hash: str
    gate_id: str
    has_breaking_changes: bool
    published_at: str
    signature: str
    signing_key_id: str
    version: int


class _Snapshot(msgspec.Struct, forbid_unknown_fields=True):
    changes: list[dict[str, Any]]
    gate_id: str
    has_breaking_changes: bool
    permissions: list[Any]
    published_at: str
    version: int


_read_envelope = msgspec.json.Decoder(_Envelope).decode
_read_snapshot = msgspec.json.Decoder(_Snapshot).decode


def write_snapshot(
    entries: Mapping[str, CatalogEntry],
    changes: Sequence[Change],
    *,
    gate_id: str,
    version: int,
    published_at: str,
    signer: Signer,
) -> bytes:
    """The bytes of a new version."""
    about: dict[str, Any] = {
        "changes": [change.as_json() for change in changes],
        "gate_id": gate_id,
        "has_breaking_changes": any(change.breaking for change in changes),
        "published_at": published_at,
        "version": version,
    }
    permissions = [entry.authored for entry in entries.values()]
    return _signed(rfc8785.dumps({**about, "permissions": permissions}), about, signer)


def write_unpublished(canonical: bytes, gate_id: str, signer: Signer) -> bytes:
    """The bytes that serve a catalog from its file alone: version 0, signed all the same.

    `canonical` is the catalog as authored, which is the whole snapshot; no time stands in it.
    """
    about = {
        "changes": [],
        "gate_id": gate_id,
        "has_breaking_changes": False,
        "published_at": None,
        "version": UNPUBLISHED,
    }
    return _signed(canonical, about, signer)


def _signed(snapshot: bytes, about: Mapping[str, Any], signer: Signer) -> bytes:
    named = content_hash(snapshot)
    signature = b64encode(signer.sign(_hash_bytes(named))).decode()
    return _assembled(snapshot, about, named, signature, thumbprint(signer.public_key))


def _assembled(
    snapshot: bytes, about: Mapping[str, Any], named: str, signature: str, key_id: str
) -> bytes:
    around = {
        **about,
        "content_hash": named,
        "signature": signature,
        "signing_key_id": key_id,
    }
    # RFC 8785 sorts members, and `catalog_snapshot` comes before all others.
    return b'{"catalog_snapshot":' + snapshot + b"," + rfc8785.dumps(around)[1:] + b"\n"


def _hash_bytes(named: str) -> bytes:
    return bytes.fromhex(named.removeprefix("sha256:"))


def read_snapshot(
    body: bytes,
    *,
    gate_id: str,
    version: int,
    keys: Mapping[str, bytes],
    known: Mapping[str, CatalogEntry] | None = None,
) -> Published:
    """A version as it was written, every byte of it proven by one of the gate's `keys`.

    `keys` are public keys by their thumbprints. Entries that `known` has too are shared. Raises
    `ValueError` with a sentence for anything that this gate did not write, or that this version of
    it cannot enforce.
    """
    try:
        read = _read_envelope(body)
        snapshot = _read_snapshot(read.catalog_snapshot)
        signature = b64decode(read.signature, validate=True)
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"it is no published catalog ({error})") from None
    written = bytes(read.catalog_snapshot)
    named = content_hash(written)
    if named != read.content_hash:
        raise ValueError("its content does not have the hash that it was published under")
    if (snapshot.gate_id, snapshot.version) != (gate_id, version):
        raise ValueError(
            f"it is version {snapshot.version} of {snapshot.gate_id}, "
            f"not version {version} of {gate_id}"
        )
    key = keys.get(read.signing_key_id)
    if key is None:
        raise ValueError(f"it was signed by the key {read.signing_key_id}, which is not gate.key")
    about = {name: getattr(snapshot, name) for name in _WITHIN}
    # What stands around the snapshot is not hashed: it must say what stands within, in one form.
    whole = _assembled(written, about, named, read.signature, read.signing_key_id)
    if whole != body or not signature_fits(signature, _hash_bytes(named), key):
        raise ValueError("it is not as this gate signed it")
    entries = parse_permissions(snapshot.permissions, known)
    return Published(
        Catalog(entries, named, version),
        body,
        snapshot.published_at,
        read.signing_key_id,
        snapshot.has_breaking_changes,
    )
