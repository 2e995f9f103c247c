"""A snapshot of the counters in an SQLite file: the newest one whole, or the one before it."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import aiosqlite
import msgspec

from passgate.errors import DataError

_FORMAT = 2
_READ = (0, 1, 2)  # 0 is a new file; 1 knew no operations
_BUSY_S = 1.0
_TABLES = ("head", "part")
_COLUMNS = "number INTEGER PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_MOVE_IT_AWAY = (
    "move it away and start again: the counters are then folded from the log, "
    "and only what the log no longer keeps is forgotten"
)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot covers: every log line before `position`, all of them on disk by then.

    So a shorter log was cut. `wall` and `steady` are the ledger's time when it was begun. `parts`
    is the number of parts, `digest` the SHA-256 in hex of their digests, each of which is the
    SHA-256 in hex of the part's text.
    """

    position: int
    wall: float
    steady: float
    parts: int
    digest: str


OperationRow: TypeAlias = tuple[
    str, str, int, float, bool, tuple[tuple[str, int], ...], tuple[str, ...]
]


class Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Some counters (name, then what `state` of a window gives), open decisions, or operations.

    An open decision is its id, then the first fields of `OpenDecision`. An operation is its name,
    digest, `ms`, `wall`, `sent`, `spend`, and the ids of its open decisions, which come before it.
    """

    counters: list[tuple[str, int, int, bytes]] = []
    open: list[tuple[str, int, float, tuple[tuple[str, int], ...]]] = []
    operations: list[OperationRow] = []


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(Head).decode
_decode_part = msgspec.json.Decoder(Part).decode


class SnapshotFile:
    """The file, locked against any other process. Every failure is a DataError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Opens the file, made where it is missing; locked until `close` or the process's end."""
        with self._translating("opened"):
            self.path.touch(mode=0o600)
            db = await aiosqlite.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            self._connection = db
            # The lock is held on after the first transaction: a second process owning the same
            # counters would let twice the limits pass.
            await db.execute("PRAGMA locking_mode = EXCLUSIVE")
            await db.execute("PRAGMA synchronous = FULL")
            async with self._transaction():
                row = await self._row("PRAGMA user_version")
                written = row[0] if row is not None else 0
                if written not in _READ:
                    raise DataError(
                        f"{self.path}: a snapshot of format {written}, not {_FORMAT}; "
                        "start the version that wrote it"
                    )
                for table in _TABLES:
                    await db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({_COLUMNS})")
                await db.execute(f"PRAGMA user_version = {_FORMAT}")

    async def close(self) -> None:
        """Closes the file and gives up the lock; again does nothing."""
        db, self._connection = self._connection, None
        if db is not None:
            await db.close()

    async def head(self) -> Head | None:
        """What the newest snapshot covers; None where there is none yet."""
        with self._translating("read"):
            row = await self._row("SELECT body, digest FROM head")
            if row is None:
                return None
            head = _decode_head(_proven(*row))
            digest = sha256()
            async with self._db.execute("SELECT digest FROM part ORDER BY number") as rows:
                async for (of_part,) in rows:
                    digest.update(str(of_part).encode())
            if digest.hexdigest() != head.digest:
                raise ValueError("parts are missing or are not its own")
            return head

    async def part(self, number: int) -> Part:
        """One of the parts that the head counts, from 0 on."""
        with self._translating("read"):
            row = await self._row("SELECT body, digest FROM part WHERE number = ?", number)
            if row is None:
                raise ValueError(f"part {number} is missing")
            return _decode_part(_proven(*row))

    async def replace(
        self,
        parts: Iterator[Part],
        *,
        position: int,
        wall: float,
        steady: float,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """Puts a new snapshot in the place of the one before, all of it or nothing.

        Each part is asked for in a turn of the loop of its own; the disk's work is a thread's.
        `ready` is awaited before the new one counts; what it raises leaves the one before.
        """
        digest = sha256()
        number = 0
        with self._translating("written"):
            async with self._transaction():
                await self._db.execute("DELETE FROM part")
                for part in parts:
                    row = (number, *_with_digest(part))
                    digest.update(row[2].encode())
                    await self._db.execute("INSERT INTO part VALUES (?, ?, ?)", row)
                    number += 1
                head = Head(position, wall, steady, number, digest.hexdigest())
                await self._db.execute(
                    "INSERT OR REPLACE INTO head VALUES (0, ?, ?)", _with_digest(head)
                )
                await ready()

    @property
    def _db(self) -> aiosqlite.Connection:
        assert self._connection is not None, "the snapshot file is not open"
        return self._connection

    async def _row(self, query: str, *values: int) -> sqlite3.Row | None:
        async with self._db.execute(query, values) as rows:
            return await rows.fetchone()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        done = False
        try:
            await self._db.execute("BEGIN EXCLUSIVE")
            yield
            await self._db.execute("COMMIT")
            done = True
        finally:  # also when this task is cancelled: the snapshot before stays
            if not done:
                # What was cancelled may still wait its turn in the connection's thread; this waits
                # behind it, and then does nothing where no transaction is open.
                await self._db.rollback()

    @contextmanager
    def _translating(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # The lower byte is the primary code; sqlite3's own complaints carry none.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                advice = "another process uses it; one data directory serves one gate"
            elif code in _DAMAGED:
                advice = _MOVE_IT_AWAY
            else:
                advice = "see to the disk and the permissions of its directory"
            raise DataError(f"{self.path}: cannot be {done} ({error}); {advice}") from error
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be {done} ({error.strerror}); "
                "see to the permissions of its directory"
            ) from error
        except ValueError as error:  # of this module, and what msgspec raises
            raise DataError(f"{self.path}: is damaged ({error}); {_MOVE_IT_AWAY}") from error


def _with_digest(part: Head | Part) -> tuple[str, str]:
    body = _encode(part)
    return body.decode(), sha256(body).hexdigest()


def _proven(body: object, digest: object) -> str:
    if type(body) is not str or sha256(body.encode()).hexdigest() != digest:
        raise ValueError("a row does not match its digest")
    return body
