"""The committer: one thread that owns the newest segment and makes batches of lines durable.

A batch is hashed into the tree, signed, and written with its checkpoint line by one write; in
strict mode one sync follows. Nothing is reported durable before that. What failed is kept and
written again, to a new file.
"""

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from passgate.clock import Clock
from passgate.files import sync_directory
from passgate.log.checkpoint import Checkpoint, NoteKey, Signer, sign_checkpoint
from passgate.log.merkle import Frontier, leaf_hash
from passgate.log.recover import Recovered
from passgate.log.retention import remove_old, used_percent
from passgate.log.segments import commit_line, header_line, segment_path
from passgate.log.settings import MIB, LogSettings

# In relaxed mode what was written and not yet synced is kept in memory, because after a failed sync
# nothing says which of it reached the disk. Both bounds also bound what a power loss can take.
_SYNC_EVERY_S: Final = 1.0
_SYNC_BYTES: Final = 8 * MIB
_TIDY_EVERY_S: Final = 3600.0


@dataclass(slots=True)
class Batch:
    """Lines that are committed together.

    `rotate` begins a new segment with this batch. `sync` asks for durability now. `waiters` belong
    to the event loop and are only carried here.
    """

    lines: list[bytes]
    waiters: list[Callable[[bool], None]]
    rotate: bool = False
    sync: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What the committer tells the loop. `ok` False: the disk refused, `error` says how.

    `batch` is None for news between batches. `durable` is the number of leaves known to be on disk
    and `note` the checkpoint over exactly these ("" before there is one).
    """

    ok: bool
    batch: Batch | None
    durable: int
    note: str
    error: str
    seconds: float
    used_percent: int


@dataclass(slots=True)
class _Blob:
    """A batch as bytes, ready to be written to any file that continues at `before`."""

    before: Frontier
    after: int
    note: str
    data: bytes
    rotate: bool


class Committer:
    """Owns the files of a log while a gate runs; others call `submit`, `stop` and `join`."""

    def __init__(
        self,
        directory: Path,
        key: NoteKey,
        signer: Signer,
        settings: LogSettings,
        clock: Clock,
        found: Recovered,
        report: Callable[[Report], None],
        copy: Callable[[bytes], None] | None = None,
        retry_s: float = 1.0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.settings = settings
        self.needed_from: Callable[[], int] | None = None
        self._directory = directory
        self._key = key
        self._signer = signer
        self._clock = clock
        self._history = found.history
        self._report = report
        self._copy = copy
        self._retry_s = retry_s
        # fdatasync makes a grown file's size durable too; only its times may lag.
        self._sync_file = sync
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._worker = threading.Thread(target=self._run, name="passgate-log", daemon=True)
        self._path = found.segment
        self._file = -1
        # Bytes of the segment that are known to be on disk, and that were written.
        self._good = self._end = found.covered_bytes
        self._tree = found.covered.copy()
        self._durable = found.size
        self._durable_note = ""
        self._unsynced: list[_Blob] = []
        # Leaves without a checkpoint, which the next one is over as well.
        self._owed = [leaf_hash(line) for line in found.uncovered]
        if found.uncovered:
            # What a crash left uncovered is in the same state as what was written and not synced.
            self._tree.extend(self._owed)
            data = b"".join([line + b"\n" for line in found.uncovered])
            self._end += len(data)
            self._unsynced.append(_Blob(found.covered, self._tree.size, "", data, rotate=False))
        self._unsynced_bytes = 0
        self._broken = False
        self._current: Batch | None = None
        self._synced_at = self._looked_at = self._tidied_at = -_TIDY_EVERY_S
        self._used_percent = 0
        self._history_due = False

    def start(self) -> None:
        """Begin to take batches."""
        self._worker.start()

    def submit(self, batch: Batch) -> None:
        """Queue a batch; a `Report` with it follows once it is settled."""
        self._queue.put(batch)

    def stop(self) -> None:
        """Ask the thread to end after what is queued; a disk that refuses is tried once more."""
        self._stopping.set()
        self._queue.put(None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._worker.join()

    def _run(self) -> None:
        """Work until asked to stop. Whatever ends this thread otherwise is reported first."""
        try:
            self._work()
        except BaseException as error:
            # Without its thread a log takes nothing any more, and must not look as if it did.
            self._broken = True
            self._tell(self._current, f"the log's thread has ended: {error!r}", self._clock().boot)
            raise
        finally:
            if self._file >= 0:
                os.close(self._file)

    def _work(self) -> None:
        while True:
            idle = bool(self._unsynced or self._history_due)
            try:
                batch = self._queue.get(timeout=_SYNC_EVERY_S) if idle else self._queue.get()
            except queue.Empty:
                self._settle(None)
                continue
            if batch is None:
                break
            self._settle(batch)
        if self._unsynced:
            self._settle(None)
        self._look_around(final=True)

    def _settle(self, batch: Batch | None) -> None:
        """Bring a batch to disk, however long that takes, and report it; without one, catch up."""
        started = self._clock().boot
        self._current = batch
        blob: _Blob | None = None
        while True:
            try:
                if batch is not None and blob is None:
                    blob = self._prepared(batch)
                    self._unsynced.append(blob)
                if self._broken:
                    self._start_over()
                else:
                    self._put(blob, sync=batch is None or batch.sync)
            except OSError as error:
                self._broken = True
                self._tell(batch, f"{self._directory}: {error.strerror or error}", started)
                # The last attempt is the one after the gate was asked to stop.
                if self._stopping.is_set():
                    return
                self._stopping.wait(self._retry_s)
            else:
                break
        self._look_around()
        self._tell(batch, "", started)

    def _tell(self, batch: Batch | None, error: str, started: float) -> None:
        self._report(
            Report(
                ok=not error,
                batch=batch,
                durable=self._durable,
                note=self._durable_note,
                error=error,
                seconds=self._clock().boot - started,
                used_percent=self._used_percent,
            )
        )

    def _prepared(self, batch: Batch) -> _Blob:
        """Hash the lines into the tree and sign it."""
        before = self._tree
        tree = before.copy()
        # Hashing small inputs keeps the interpreter lock; libsodium's signature releases it.
        hashes = [leaf_hash(line) for line in batch.lines]
        tree.extend(hashes)
        note = self._signed(tree)
        self._tree = tree
        data = b"\n".join([*batch.lines, commit_line(note, self._owed + hashes)])
        self._owed = []
        if self._copy is not None:
            self._copy(data)
        return _Blob(before, tree.size, note, data, batch.rotate)

    def _signed(self, tree: Frontier) -> str:
        checkpoint = Checkpoint(self._key.name, tree.size, tree.root())
        return sign_checkpoint(checkpoint, self._key, self._signer)

    def _put(self, blob: _Blob | None, *, sync: bool) -> None:
        """Write the newest blob behind the others, and sync where that is due."""
        if blob is not None:
            data = blob.data
            if self._path is None or (blob.rotate and self._end):
                earlier = self._unsynced[:-1]
                if earlier:
                    self._sync(earlier)
                data = self._begin(blob.before) + data
            elif self._file < 0:
                self._reopen(self._path)
            self._write(data)
        if self._unsynced and (
            sync
            or self._unsynced_bytes >= _SYNC_BYTES
            or self._clock().boot - self._synced_at >= _SYNC_EVERY_S
        ):
            self._sync(self._unsynced[:])

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        # One write is the rule; the loop is for the kernel's right to take less, as when the disk
        # is almost full: the rest then fails, or fits.
        while view:
            count = os.write(self._file, view)
            self._end += count
            self._unsynced_bytes += count
            view = view[count:]

    def _sync(self, blobs: list[_Blob]) -> None:
        self._sync_file(self._file)
        self._good = self._end
        self._durable, self._durable_note = blobs[-1].after, blobs[-1].note
        del self._unsynced[: len(blobs)]
        self._unsynced_bytes = 0
        self._synced_at = self._clock().boot
        self._history_due = True

    def _reopen(self, path: Path) -> None:
        """Go on with the segment that recovery left."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _begin(self, before: Frontier) -> bytes:
        """Open the segment that continues at `before`; returns the bytes that go first."""
        path = segment_path(self._directory, before.size)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = file, path
        self._good = self._end = 0
        sync_directory(self._directory)
        return header_line(self._signed(before), before) if before.size else b""

    def _start_over(self) -> None:
        """Cut the segment back to what is durable and write the rest from memory to a new one.

        After a failed fsync Linux marks the dirty pages clean and reports the error once: the next
        fsync of the same file succeeds although the data never reached the disk (known as
        fsyncgate, PostgreSQL 2018). So neither that file's cached pages nor a second fsync of it is
        ever trusted again; a new file has no such past.
        """
        if self._path is not None:
            if self._file < 0:
                self._reopen(self._path)
            if self._good:
                os.ftruncate(self._file, self._good)
                os.fsync(self._file)
            else:
                self._path.unlink(missing_ok=True)
        before = self._unsynced[0].before
        # Left by an attempt that failed half-way: nothing in it was ever reported.
        segment_path(self._directory, before.size).unlink(missing_ok=True)
        data = self._begin(before)
        self._unsynced_bytes = 0
        self._write(data + b"".join([blob.data for blob in self._unsynced]))
        self._sync(self._unsynced[:])
        self._broken = False

    def _look_around(self, *, final: bool = False) -> None:
        """Once a second: note the newest checkpoint, ask how full the volume is; hourly: tidy."""
        now = self._clock()
        if not final and now.boot - self._looked_at < _SYNC_EVERY_S:
            return
        self._looked_at = now.boot
        self._used_percent = used_percent(self._directory)
        if self._history_due and self._path is not None:
            self._history.add(
                self._durable_note, self._durable, (self._path.name, int(now.wall // 60))
            )
            self._history_due = False
        self._history.write(compact=final)
        if now.boot - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = now.boot
            self._history.forget(
                remove_old(
                    self._directory,
                    self.settings,
                    now.wall,
                    None if self.needed_from is None else self.needed_from(),
                )
            )
