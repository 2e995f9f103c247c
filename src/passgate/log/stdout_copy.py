"""A copy of the log's lines on standard output, which may be slow or gone without any harm."""

import contextlib
import json
import os
import queue
import threading

from passgate.log.settings import MIB

_MOST_WAITING = 16 * MIB


class StdoutCopy:
    """Writes what it is called with to a file descriptor, from a thread of its own.

    When the reader does not keep up, bytes beyond a bound are left out and a line of kind
    `suppressed` says how many lines that were; the log itself has all of them.
    """

    def __init__(self, descriptor: int = 1, most_waiting: int = _MOST_WAITING) -> None:
        self._descriptor = descriptor
        self._most = most_waiting
        self._waiting = 0
        self._left_out = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # A daemon: a reader that never reads must not keep the gate from ending.
        self._worker = threading.Thread(target=self._run, name="passgate-stdout", daemon=True)
        self._worker.start()

    def __call__(self, data: bytes) -> None:
        """Queue these lines, or count them as left out; never waits."""
        with self._lock:
            if self._waiting + len(data) > self._most:
                self._left_out += data.count(b"\n")
                return
            if self._left_out:
                count, self._left_out = self._left_out, 0
                said = {"count": count, "kind": "suppressed", "reason": "stdout_slow", "v": 1}
                data = json.dumps(said, separators=(",", ":")).encode() + b"\n" + data
            self._waiting += len(data)
        self._queue.put(data)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for as long as the reader takes part, at most `timeout_s`."""
        self._queue.put(None)
        self._worker.join(timeout_s)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while (data := self._queue.get()) is not None:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
                with self._lock:
                    self._waiting -= len(data)
