"""Last good copies in `data_dir/trust/`, so that a gate starts while its sources are away.

Two files per issuer and kind: the copy itself, written when the content changes, and a small note
of when it was last confirmed; for a list to which was pushed, one more with what that was. Each
begins with a digest of its rest; what the gate did not write refuses the start and names the file.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from passgate.core.instant import Instant
from passgate.errors import DataError
from passgate.files import write_whole
from passgate.sync.sources import Kind

_MAGIC: Final = "passgate-trust-1"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

UNKNOWN_AGE_S: Final = 10 * 365 * 86_400.0
"""What counts as the age of a copy whose time cannot be told: older than any `max_stale`."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What was last accepted from one source.

    `issuer`, `kind` and `source` say from where; a copy from another source is not this one's.
    `read_at` is when the content was last read or confirmed. `highest_iat` is the greatest `iat` of
    a signed list ever accepted; `signed_by` is the key, `kid` and hex, under which this list was.
    """

    issuer: str
    kind: Kind
    source: str
    body: bytes
    etag: str | None
    read_at: Instant
    highest_iat: int | None = None
    signed_by: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SignedDelta:
    """A delta that was accepted, as it came, and the key, `kid` and hex, under which it was."""

    raw: bytes
    signed_by: tuple[str, str]


class TrustStore:
    """The directory of last good copies. Its methods block; they are called in a thread."""

    def __init__(self, directory: Path, boot_id: str | None = None) -> None:
        self._directory = directory
        self._boot_id = _machine_boot_id() if boot_id is None else boot_id

    def save(self, copy: Copy) -> None:
        """Puts `copy` on disk in place of the one before. Raises `OSError`."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        meta = {
            name: value for name, value in asdict(copy).items() if name not in ("body", "read_at")
        }
        meta |= self._time(copy.read_at)
        self._write(self._path(copy.issuer, copy.kind), _line(meta), copy.body)

    def confirm(self, issuer: str, kind: Kind, digest: str, read_at: Instant) -> None:
        """Notes that the saved body with this SHA-256 was confirmed. Raises `OSError`."""
        meta = {"copy": digest} | self._time(read_at)
        self._write(self._path(issuer, kind, ".seen"), _line(meta))

    def save_deltas(self, issuer: str, deltas: Iterable[SignedDelta]) -> None:
        """Puts `deltas`, which were added to the saved list, on disk. Raises `OSError`."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = [{"raw": each.raw.decode("ascii"), "signed_by": each.signed_by} for each in deltas]
        self._write(self.deltas_path_of(issuer), _line({"issuer": issuer, "deltas": rows}))

    def load_deltas(self, issuer: str) -> list[SignedDelta]:
        """What `save_deltas` saved last. Raises `DataError` for what the gate did not write."""
        path = self.deltas_path_of(issuer)
        content = self._read(path)
        if content is None:
            return []
        try:
            meta = json.loads(content[0])
            if meta["issuer"] != issuer:
                raise _damaged(path)
            return [
                SignedDelta(row["raw"].encode("ascii"), (row["signed_by"][0], row["signed_by"][1]))
                for row in meta["deltas"]
            ]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise _damaged(path) from None

    def deltas_path_of(self, issuer: str) -> Path:
        """The file of deltas, for messages."""
        return self._path(issuer, "revocations", ".deltas")

    def load(self, issuer: str, kind: Kind, now: Instant) -> Copy | None:
        """The last good copy, its `read_at` in terms of this boot and never younger than it is.

        None where nothing was ever saved. Raises `DataError` for what the gate did not write.
        """
        path = self._path(issuer, kind)
        content = self._read(path)
        if content is None:
            return None
        line, body = content
        seen = self._read(self._path(issuer, kind, ".seen"))
        try:
            meta = json.loads(line)
            if meta["issuer"] != issuer or meta["kind"] != kind:
                raise _damaged(path)
            signed_by = meta["signed_by"]
            copy = Copy(
                issuer,
                kind,
                meta["source"],
                body,
                meta["etag"],
                self._instant(meta, now),
                meta["highest_iat"],
                None if signed_by is None else (signed_by[0], signed_by[1]),
            )
            note = None if seen is None else json.loads(seen[0])
            if note is None or note["copy"] != _digest(body):
                return copy  # saved after the last confirmation, which was of the one before
            confirmed = self._instant(note, now)
        except (ValueError, LookupError, TypeError):
            raise _damaged(path) from None
        if now.age_of(confirmed) < now.age_of(copy.read_at):
            return replace(copy, read_at=confirmed)
        return copy

    @property
    def bundle_file(self) -> Path:
        """Where the trust bundle in force is, if there is one."""
        return self._directory / "bundle"

    def save_bundle(self, text: bytes, at: Instant) -> None:
        """Puts a trust bundle that was verified `at` in place of the one before.

        Raises `OSError`; then that one is still there.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write(self.bundle_file, _line(self._time(at)), text)

    def load_bundle(self, now: Instant) -> tuple[bytes, Instant] | None:
        """The trust bundle in place, and when it came there, as `load` tells the time; or None.

        Raises `DataError` for what `save_bundle` did not write.
        """
        content = self._read(self.bundle_file)
        if content is None:
            return None
        try:
            return content[1], self._instant(json.loads(content[0]), now)
        except (ValueError, LookupError, TypeError):
            raise _damaged(self.bundle_file) from None

    def _time(self, read_at: Instant) -> dict[str, Any]:
        return {"wall": read_at.wall, "boot": read_at.boot, "boot_id": self._boot_id}

    def _instant(self, meta: dict[str, Any], now: Instant) -> Instant:
        """The stored moment, in terms of this boot."""
        wall, boot = float(meta["wall"]), float(meta["boot"])
        if self._boot_id and meta["boot_id"] == self._boot_id and boot <= now.boot:
            return Instant(wall, boot)
        if wall > now.wall:
            # The wall clock was set back, so nobody knows for how long the copy has lain here.
            return Instant(now.wall - UNKNOWN_AGE_S, now.boot - UNKNOWN_AGE_S)
        return Instant(wall, now.boot - (now.wall - wall))

    def path_of(self, issuer: str, kind: Kind) -> Path:
        """The file of the copy, for messages."""
        return self._path(issuer, kind)

    def _path(self, issuer: str, kind: Kind, suffix: str = ".copy") -> Path:
        # The digest names it; the readable part is for people, since ids may hold any character.
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", issuer)[:40]
        return self._directory / f"{readable}.{_digest(issuer.encode())[:16]}.{kind}{suffix}"

    # A list may be large: it is written and read without another copy of it in memory.
    def _write(self, path: Path, line: bytes, body: bytes = b"") -> None:
        write_whole(path, [f"{_MAGIC} {_digest(line, body)}\n".encode(), line, body], 0o600)

    def _read(self, path: Path) -> tuple[bytes, bytes] | None:
        """The line of JSON at the beginning of what was written, and its body."""
        try:
            with path.open("rb") as file:
                head, line, body = file.readline(), file.readline(), file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}; make it readable") from None
        if head.decode("latin-1") != f"{_MAGIC} {_digest(line, body)}\n":
            raise _damaged(path)
        return line, body


def _line(meta: dict[str, Any]) -> bytes:
    return json.dumps(meta, separators=(",", ":")).encode() + b"\n"


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path}:1: not what the gate wrote; restore it from a backup, or remove it: the gate then"
        " has no copy of this source, and forgets which of its lists was the newest"
    )


def _machine_boot_id() -> str:
    """What names this boot of the machine; "" where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
