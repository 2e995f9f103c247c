"""Opening a log: one gate takes hold of one directory, and recovers what is in it."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from passgate.clock import Clock
from passgate.errors import DataError
from passgate.log.checkpoint import NoteKey, Signer, origin_of
from passgate.log.keys import open_query_key
from passgate.log.lines import Lines
from passgate.log.recover import recover
from passgate.log.segments import LOCK
from passgate.log.settings import LogSettings
from passgate.log.stdout_copy import StdoutCopy
from passgate.log.writer import Log


def open_log(
    directory: Path,
    gate_id: str,
    settings: LogSettings,
    clock: Clock,
    signer: Signer,
    loop: asyncio.AbstractEventLoop,
    *,
    retry_s: float = 1.0,
    sync: Callable[[int], None] = os.fdatasync,
) -> Log:
    """Recover the log in `directory` (`data_dir/log`) and take hold of it; nothing is written yet.

    Afterwards its lines can be read, then `start` begins to write. The key that hides queries is
    read from, or made in, the directory above. A disk that refuses is tried again every `retry_s`
    seconds; `sync` makes an open file durable. Raises `DataError` when the log is damaged, not
    writable, or in use by another gate, `KeyFileError` when the query key is unusable, `ValueError`
    for an unusable gate id.
    """
    key = NoteKey(origin_of(gate_id), signer.public_key)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataError(
            f"{directory} cannot be written: {error.strerror}; make it writable for the gate"
        ) from error
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"{directory} is in use by another gate; give each gate its own data_dir"
            ) from error
        lines = Lines(gate_id, open_query_key(directory.parent))
        found = recover(directory, key)
        undo.pop_all()
    copy = StdoutCopy() if settings.stdout else None
    return Log(
        directory,
        gate_id,
        settings,
        clock,
        signer,
        loop,
        lines,
        found,
        lock,
        retry_s,
        copy,
        sync,
    )
