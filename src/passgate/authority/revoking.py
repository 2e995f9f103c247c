"""An issuer's signed revocation list in its directory: entries are added, the list is signed anew.

Two writers wait for each other, and a reader sees the old list or the new one.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from passgate.authority.keys import REVOCATIONS_FILE, Signer, check_id, read_jwks
from passgate.core.jwks import parse_jwks
from passgate.core.jws import REVOCATIONS_TYPES, read
from passgate.core.keys import PublicKey
from passgate.core.revocation import KINDS, MAX_LIST_BYTES, read_revocation_list
from passgate.errors import DataError, KeyFileError
from passgate.files import write_whole

LIST_LIFETIME_S: Final = 30 * 86_400

_TYP: Final = "revocations+jwt"
_LOCK_FILE: Final = ".revocations.lock"


@dataclass(frozen=True, slots=True)
class Revoked:
    """What to revoke: `kind` is passport, agent, key or issuer."""

    kind: str
    id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A list as written: its times (Unix seconds), its size, and how many entries are new."""

    issued_at: int
    expires_at: int
    entries: int
    added: int


def kind_of(id_: str, signer: Signer) -> str | None:
    """The kind that `id_` shows by itself; None where only its owner can say."""
    if id_ == signer.issuer:
        return "issuer"
    if id_ == signer.kid:
        return "key"
    for prefix, kind in (("pass_", "passport"), ("agent_", "agent")):
        if id_.startswith(prefix):
            return kind
    return None


def new_list(directory: Path, signer: Signer, now: float) -> Signed:
    """Writes an empty signed list; raises `DataError` where there is one already."""
    with locked(directory):
        path = directory / REVOCATIONS_FILE
        if path.exists():
            raise DataError(
                f"{path} exists and is not overwritten; add to it with 'passgate revoke'"
            )
        return _write(path, signer, [], issued_at=int(now), added=0)


def revoke(directory: Path, signer: Signer, revoked: Sequence[Revoked], now: float) -> Signed:
    """Adds `revoked` to the list in `directory` and signs it anew for 30 days.

    What is revoked already stays as it is. `iat` always grows, so that no gate takes an older list
    afterwards. Raises `ValueError` for an entry that gates would refuse, `DataError` where the old
    list is missing or not what the issuer signed.
    """
    for entry in revoked:
        _check(entry, signer)
    with locked(directory):
        return add(directory, signer, revoked, now)


def add(directory: Path, signer: Signer, revoked: Sequence[Revoked], now: float) -> Signed:
    """`revoke` for who has `locked` the directory."""
    path = directory / REVOCATIONS_FILE
    entries, last_iat = _read(path, signer, now)
    known = {(entry["kind"], entry["id"]) for entry in entries}
    issued_at = max(int(now), last_iat + 1)
    before = len(entries)
    for entry in revoked:
        if (entry.kind, entry.id) in known:
            continue
        known.add((entry.kind, entry.id))
        entries.append({"kind": entry.kind, "id": entry.id, "at": int(now), "reason": entry.reason})
    return _write(path, signer, entries, issued_at=issued_at, added=len(entries) - before)


def _check(entry: Revoked, signer: Signer) -> None:
    if entry.kind not in KINDS:
        raise ValueError(f"the kind must be one of {', '.join(KINDS)}, not {entry.kind!r}")
    check_id("the id", entry.id)
    if entry.kind == "issuer" and entry.id != signer.issuer:
        raise ValueError(f"an issuer can revoke only itself, {signer.issuer!r}")


def check_list(directory: Path, signer: Signer, now: float) -> None:
    """Raises `DataError` unless the list in `directory` can be added to by `signer`."""
    _read(directory / REVOCATIONS_FILE, signer, now)


def keys_of(directory: Path, signer: Signer) -> dict[str, PublicKey]:
    """The public keys that a list in `directory` may be signed with: `signer`'s, and where the key
    was changed, the one before."""
    try:
        keys = parse_jwks(json.dumps({"keys": read_jwks(directory)}).encode())
    except KeyFileError:
        keys = {}
    return keys | parse_jwks(json.dumps({"keys": [dict(signer.public_jwk)]}).encode())


def _read(path: Path, signer: Signer, now: float) -> tuple[list[dict[str, Any]], int]:
    """The entries and `iat` of the list at `path`, once it is known to be the issuer's."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        # A fresh list would set free what the lost one revoked.
        raise DataError(
            f"{path} does not exist; restore it from a copy, or from what a gate serves"
        ) from None
    keys = keys_of(path.parent, signer)
    try:
        old = read_revocation_list(raw, signer.issuer, keys, now=now, plain_allowed=False)
    except ValueError as error:
        raise DataError(f"{path}: {str(error).rstrip('.')}; restore it from a copy") from None
    assert old.issued_at is not None
    entries: list[dict[str, Any]] = read(raw.strip(), REVOCATIONS_TYPES).claims["revoked"]
    return entries, old.issued_at


def _write(
    path: Path, signer: Signer, entries: list[dict[str, Any]], *, issued_at: int, added: int
) -> Signed:
    expires_at = issued_at + LIST_LIFETIME_S
    claims = {"iss": signer.issuer, "iat": issued_at, "exp": expires_at, "revoked": entries}
    data = signer.sign(_TYP, claims).encode()
    if len(data) > MAX_LIST_BYTES:
        raise ValueError(
            f"the list would be larger than the {MAX_LIST_BYTES} bytes that gates read"
        )
    write_whole(path, [data], 0o644)
    return Signed(issued_at, expires_at, len(entries), added)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the directory's lock, waiting for whoever has it; the system frees it after a crash."""
    handle = os.open(directory / _LOCK_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
