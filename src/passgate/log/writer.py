"""The log of a running gate: what the event loop calls, and what it is told back.

Lines get their number and their bytes at once; all lines of one turn of the loop are committed
together. In strict mode a waiter hears True only after its line and a covering checkpoint are on
disk, and False as soon as that is not to be had.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from passgate import __version__
from passgate.clock import Clock
from passgate.core.passport import Passport
from passgate.log.checkpoint import Checkpoint, NoteKey, Signer, origin_of, sign_checkpoint
from passgate.log.commit import Batch, Committer, Report
from passgate.log.lines import Lines
from passgate.log.recover import Recovered
from passgate.log.settings import LogSettings
from passgate.log.stdout_copy import StdoutCopy
from passgate.record import Record

# A segment also ends after this share of `keep_age_s`: on a quiet gate nothing else would, and
# then nothing would ever be old enough to be removed.
_AGE_SHARE: Final = 10
_FULL_PERCENT: Final = 90


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How the log is, for `readyz` and metrics.

    `size` counts leaves, `durable` those known to be on disk, `waiting` the lines not written yet.
    `error` is the last failure in words, kept after recovery; `volume_full` means over 90 percent.
    """

    healthy: bool
    error: str
    size: int
    durable: int
    waiting: int
    unrecorded: int
    gaps: int
    volume_percent: int
    volume_full: bool


class Log:
    """One gate's log. Everything but `sign` of the signer runs on the event loop's thread.

    `healthy` says whether lines can be written now. When it is False the caller refuses, or passes
    without a record and says so by `count_unrecorded`. `on_commit(seconds, lines)` is called after
    each commit, for metrics.
    """

    def __init__(
        self,
        directory: Path,
        gate_id: str,
        settings: LogSettings,
        clock: Clock,
        signer: Signer,
        loop: asyncio.AbstractEventLoop,
        lines: Lines,
        found: Recovered,
        lock: int,
        retry_s: float,
        copy: StdoutCopy | None,
        sync: Callable[[int], None],
    ) -> None:
        self.healthy = True
        self.on_commit: Callable[[float, int], None] | None = None
        self._key = NoteKey(origin_of(gate_id), signer.public_key)
        self._settings = settings
        self._strict = settings.durability == "strict"
        self._clock = clock
        self._loop = loop
        self._lines = lines
        self._found = found
        self._lock = lock
        self._copy = copy
        self._seen = found.passports
        self._size = self._recovered_size = found.size
        self._durable = found.covered.size
        self._note = sign_checkpoint(
            Checkpoint(self._key.name, found.covered.size, found.covered.root()), self._key, signer
        )
        self._segment_bytes = found.covered_bytes
        self._segment_began = found.began or clock().wall
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._waiters: list[Callable[[bool], None]] = []
        self._rotate = False
        self._started = False
        self._busy = False
        self._soon = False
        self._timer: asyncio.TimerHandle | None = None
        self._at_close: dict[asyncio.TimerHandle, Callable[[], None]] = {}
        self._error = ""
        self._failed_at = 0.0
        self._unrecorded = 0
        self._gaps = 0
        self._volume_percent = 0
        self._committer = Committer(
            directory,
            self._key,
            signer,
            settings,
            clock,
            found,
            self._hear,
            copy,
            retry_s,
            sync,
        )

    def note_bundle(self, version: int) -> None:
        """Has `version` of the trust bundle in every line from here on that is of no request."""
        self._lines.bundle = version

    @property
    def size(self) -> int:
        """How many lines the log has, those still waiting to be written included."""
        return self._size

    @property
    def recovered_size(self) -> int:
        """How many lines the log had when it was opened."""
        return self._recovered_size

    @property
    def gaps(self) -> int:
        """How many `gap` lines this process has written."""
        return self._gaps

    def newest_checkpoint(self) -> str:
        """The newest signed note over lines that are all on disk: it is never taken back."""
        return self._note

    def status(self) -> LogStatus:
        """How the log is now."""
        return LogStatus(
            healthy=self.healthy,
            error=self._error,
            size=self._size,
            durable=self._durable,
            waiting=len(self._pending),
            unrecorded=self._unrecorded,
            gaps=self._gaps,
            volume_percent=self._volume_percent,
            volume_full=self._volume_percent > _FULL_PERCENT,
        )

    def append_decision(self, record: Record, notify: Callable[[bool], None] | None = None) -> None:
        """Record a decision. `notify` is called once, later, on the loop.

        It hears True when the line is durable (strict) or written (relaxed), False when it is not
        and the request must not pass on the strength of it. Without `notify` nothing waits: so for
        refusals, and in relaxed mode.
        """
        if self._stuffed():
            if notify is not None:
                self._loop.call_soon(notify, False)
            return
        passport = record.passport
        if passport is not None and passport.digest not in self._seen:
            for link in passport.lineage:
                if link.digest not in self._seen:
                    self._describe(link, record.at.wall)
        line = self._lines.decision(record, self._size)
        if notify is None:
            self._add(line)
        elif self.healthy:
            self._waiters.append(notify)
            self._add(line, urgent=self._strict)
        else:
            # The line is kept for when the disk is back, where an outcome will say what followed.
            self._loop.call_soon(notify, False)
            self._add(line)

    def append_outcome(self, record: Record) -> None:
        """Record what became of a request. Nothing waits for it."""
        if not self._stuffed():
            self._add(self._lines.outcome(record, self._size))

    def append_event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        wall: float | None = None,
        notify: Callable[[bool], None] | None = None,
    ) -> None:
        """Record something else that happened: `config`, `trust`, `suppressed`, `hold`, and so on.

        `wall` is when it did, in Unix seconds, where that is not just now. Values may be anything
        JSON has; what RFC 8785 cannot hold is kept as text. `notify` is as for `append_decision`.
        Raises `ValueError` for a kind that is not in the contract.
        """
        if not self._stuffed():
            at = self._clock().wall if wall is None else wall
            line = self._lines.event(kind, self._size, at, fields)
            if notify is not None and self.healthy:
                self._waiters.append(notify)
                self._add(line, urgent=self._strict)
                return
            self._add(line)
        if notify is not None:
            self._loop.call_soon(notify, False)

    def count_unrecorded(self) -> None:
        """Count a decision that was made without a line; the next `gap` line holds the sum."""
        self._unrecorded += 1

    def adopt(self, settings: LogSettings) -> None:
        """Go on under other settings, from the next batch on; `stdout` stays as it was opened."""
        self._settings = self._committer.settings = settings
        self._strict = settings.durability == "strict"

    def keep_from(self, needed: Callable[[], int]) -> None:
        """Remove no segment with lines from number `needed()` on; a thread asks."""
        self._committer.needed_from = needed

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call back after `delay_s` seconds, and at the latest before the log closes."""
        timer: asyncio.TimerHandle

        def due() -> None:
            timer.cancel()
            self._at_close.pop(timer, None)
            call()

        timer = self._loop.call_later(delay_s, due)
        self._at_close[timer] = due

    async def start(self) -> None:
        """Write the `start` line, and a `gap` line if the last run left lines without a checkpoint.

        Returns once they are on disk, or the disk has refused: then `healthy` is False and writing
        is tried again every second.
        """
        self._started = True
        self._committer.start()
        found = self._found
        self.append_event(
            "start",
            {
                "clean": found.clean,
                "durability": self._settings.durability,
                "version": __version__,
            },
        )
        if found.uncovered or found.cut:
            self._gaps += 1
            self.append_event(
                "gap",
                {"reason": "crash", "uncovered": len(found.uncovered), "cut_bytes": found.cut},
            )
        written: asyncio.Future[bool] = self._loop.create_future()
        # Told either way: a full disk must not keep the gate from coming up and saying so.
        self._waiters.append(written.set_result)
        self._flush(sync=True)
        await written

    async def close(self) -> None:
        """Write what waits and the `stop` line, and end; a disk that refuses is tried once more."""
        for due in list(self._at_close.values()):
            due()
        if self._started:
            self.append_event("stop", {})
            self._flush(sync=True, regardless=True)
            self._committer.stop()
            await self._loop.run_in_executor(None, self._committer.join)
        if self._timer is not None:
            self._timer.cancel()
        if self._copy is not None:
            self._copy.close()
        os.close(self._lock)

    def _describe(self, passport: Passport, wall: float) -> None:
        """Put a passport's claims before its first decision line in this segment."""
        self._seen.add(passport.digest)
        self._add(self._lines.passport(passport, self._size, wall))

    def _add(self, line: bytes, *, urgent: bool = False) -> None:
        """Queue a line that was rendered with the next number, and see that it is committed."""
        self._size += 1
        self._pending.append(line)
        self._pending_bytes += len(line)
        if self._busy or self._soon:
            return
        if urgent:
            # Not now but at the end of this turn, so that its other requests share the commit.
            self._soon = True
            self._loop.call_soon(self._flush)
        elif self._timer is None:
            # What nobody waits for does not cause a commit of its own right away.
            self._timer = self._loop.call_later(self._settings.delay_s, self._flush)

    def _stuffed(self) -> bool:
        """Whether memory for lines is used up, which a line would have to be dropped for.

        A disk that merely does not keep up ends here too, and is then treated like one that fails.
        """
        if self._pending_bytes <= self._settings.pending_bytes:
            return False
        if self.healthy:
            self._fail("the disk does not keep up with the log")
        self._unrecorded += 1
        return True

    def _flush(self, *, sync: bool = False, regardless: bool = False) -> None:
        """Hand everything that waits to the committer as one batch."""
        self._soon = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending or (self._busy and not regardless):
            return
        batch = Batch(self._pending, self._waiters, self._rotate, sync or self._strict)
        self._busy = True
        self._pending, self._waiters = [], []
        self._segment_bytes += self._pending_bytes
        self._pending_bytes = 0
        self._rotate = self._segment_is_done()
        if self._rotate:
            # All that is rendered from here on goes to the next segment, which describes anew.
            self._seen = set()
            self._segment_bytes = 0
            self._segment_began = self._clock().wall
        self._committer.submit(batch)

    def _segment_is_done(self) -> bool:
        if self._segment_bytes >= self._settings.rotate_bytes:
            return True
        keep = self._settings.keep_age_s
        return keep is not None and self._clock().wall - self._segment_began > keep / _AGE_SHARE

    def _hear(self, report: Report) -> None:
        """In the committer's thread: hand a report to the loop, if there still is one."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settled, report)

    def _settled(self, report: Report) -> None:
        """On the loop: what the committer says about a batch."""
        self._volume_percent = report.used_percent
        if report.note:
            self._durable, self._note = report.durable, report.note
        if not report.ok:
            self._fail(report.error)
            self._let_go(report.batch, durable=False)
            return
        if report.batch is not None:
            self._busy = False
        if not self.healthy:
            self._recover()
        # The next commit starts before the waiters of this one run: the disk works meanwhile.
        if self._pending and not self._busy:
            if self._waiters and self._strict:
                self._flush()
            elif self._timer is None:
                self._timer = self._loop.call_later(self._settings.delay_s, self._flush)
        self._let_go(report.batch, durable=True)
        if self.on_commit is not None and report.batch is not None:
            self.on_commit(report.seconds, len(report.batch.lines))

    def _let_go(self, batch: Batch | None, *, durable: bool) -> None:
        if batch is None:
            return
        waiters, batch.waiters = batch.waiters, []
        for notify in waiters:
            notify(durable)

    def _fail(self, error: str) -> None:
        """The disk refuses: whoever waits is told, lines are kept for later within their bound."""
        self._error = error
        if self.healthy:
            self.healthy = False
            self._failed_at = self._clock().boot
            self._seen = set()  # what failed goes to a new segment
        waiters, self._waiters = self._waiters, []
        for notify in waiters:
            self._loop.call_soon(notify, False)

    def _recover(self) -> None:
        """The disk is back: say what is missing."""
        self.healthy = True
        self._gaps += 1
        fields = {
            "error": self._error,
            "reason": "write_failed",
            "seconds": int(self._clock().boot - self._failed_at),
            "unrecorded": self._unrecorded,
        }
        self._unrecorded = 0
        self._add(self._lines.event("gap", self._size, self._clock().wall, fields))
