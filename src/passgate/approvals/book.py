"""The book of holds and of letters about them: an SQLite file, changed in whole transactions.

What has ended is overwritten on disk, so that nothing of a body outlives its hold there.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import aiosqlite
import msgspec

from passgate.approvals.held import STATES, Held
from passgate.approvals.letters import Letter
from passgate.errors import DataError

_FORMAT: Final = 1
_BUSY_S: Final = 1.0
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_MOVE_IT_AWAY: Final = (
    "move it away and start again: whoever waited for an approval, or had one, must ask anew"
)

_encode = msgspec.json.Encoder().encode
_held = msgspec.json.Decoder(Held).decode
_letter = msgspec.json.Decoder(Letter).decode


class Book:
    """The file, locked against any other process. Every failure is a DataError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> tuple[list[Held], list[Letter]]:
        """Opens the file, made where it is missing; what stands in it, oldest first."""
        failure: BaseException | None = None
        try:
            return await self._open()
        except BaseException as error:
            failure = error
        await self.close()
        raise failure

    async def _open(self) -> tuple[list[Held], list[Letter]]:
        with self._translating("opened"):
            self.path.touch(mode=0o600)
            db = await aiosqlite.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            self._connection = db
            # Held on after the first transaction: two gates would each use the same grant.
            await db.execute("PRAGMA locking_mode = EXCLUSIVE")
            await db.execute("PRAGMA synchronous = FULL")
            await db.execute("PRAGMA secure_delete = ON")
            async with self._transaction():
                async with db.execute("PRAGMA user_version") as rows:
                    row = await rows.fetchone()
                written = row[0] if row is not None else 0
                if written not in (0, _FORMAT):
                    raise DataError(
                        f"{self.path}: a book of format {written}, not {_FORMAT}; "
                        "start the version that wrote it"
                    )
                for table in ("hold", "letter"):
                    await db.execute(
                        f"CREATE TABLE IF NOT EXISTS {table} "
                        "(id TEXT PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL)"
                    )
                await db.execute(f"PRAGMA user_version = {_FORMAT}")
            holds = [_held(body) async for body in self._rows("hold")]
            letters = [_letter(body) async for body in self._rows("letter")]
            if any(held.state not in STATES for held in holds):
                raise ValueError("a hold is in a state that is none")
            return holds, letters

    async def close(self) -> None:
        """Closes the file after whatever is being written; again does nothing."""
        async with self._turn:
            db, self._connection = self._connection, None
            if db is not None:
                await db.close()

    async def write(
        self,
        holds: Iterable[Held] = (),
        letters: Iterable[Letter] = (),
        forget: Iterable[str] = (),
    ) -> None:
        """Puts all of it on disk and returns then, or raises DataError and has put nothing there.

        `forget` are ids of holds and letters.
        """
        rows = [("hold", held.id, *_with_digest(held)) for held in holds]
        rows += [("letter", letter.id, *_with_digest(letter)) for letter in letters]
        gone = list(forget)
        async with self._turn:
            with self._translating("written"):
                db = self._db
                async with self._transaction():
                    for table, *row in rows:
                        await db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", row)  # noqa: S608 - our own names
                    for each in gone:
                        await db.execute("DELETE FROM hold WHERE id = ?", (each,))
                        await db.execute("DELETE FROM letter WHERE id = ?", (each,))

    @property
    def _db(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise DataError(f"{self.path}: is closed")
        return self._connection

    async def _rows(self, table: str) -> AsyncIterator[str]:
        query = f"SELECT id, body, digest FROM {table} ORDER BY id"  # noqa: S608 - our own names
        async with self._db.execute(query) as rows:
            async for name, body, digest in rows:
                if type(body) is not str or sha256(body.encode()).hexdigest() != digest:
                    raise ValueError(f"{table} {name} does not match its digest")
                yield body

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        done = False
        try:
            await self._db.execute("BEGIN EXCLUSIVE")
            yield
            await self._db.execute("COMMIT")
            done = True
        finally:
            if not done:
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


def _with_digest(row: Held | Letter) -> tuple[str, str]:
    body = _encode(row)
    return body.decode(), sha256(body).hexdigest()
