"""A real redis-server of Debian's packages, on a free loopback port, with a directory of its own.

Where there is none a test is skipped, but never where CI is set: there it fails, and says what is
missing.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "redis-server"


def program() -> str:
    """Where redis-server is."""
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"redis-server is missing: apt-get install {PACKAGE}")
        pytest.skip(f"needs redis-server: apt-get install {PACKAGE}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CounterServer:
    """One server; `start` after `kill` or `stop` is the same one again, with what it wrote to disk.

    `options` are those of its command line, such as ("--appendonly", "yes"), after `first`: a
    configuration file, where one is needed.
    """

    def __init__(
        self,
        directory: Path,
        options: Sequence[str] = (),
        port: int = 0,
        first: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.options = list(options)
        self.first = first or ("--save", "")
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> "CounterServer":
        """Starts it, and returns once it answers."""
        self._run()
        self._await(lambda: self.says(b"PING").startswith((b"+PONG", b"-NOAUTH")))
        return self

    def start_tls(self) -> "CounterServer":
        """Starts one that speaks TLS alone, and returns once it listens."""
        self._run()
        self._await(lambda: socket.create_connection(("127.0.0.1", self.port), 5).close() is None)
        return self

    def _run(self) -> None:
        plain = [] if "--port" in self.options else ["--port", str(self.port)]
        command = [
            program(), *self.first, "--bind", "127.0.0.1", *plain, "--dir", str(self.directory),
            "--logfile", str(self.directory / "server.log"), "--daemonize", "no", *self.options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _await(self, answers: Callable[[], bool]) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.directory / "server.log").read_text()
            try:
                if answers():
                    return
            except OSError:
                time.sleep(0.01)  # the one thing that says when a server listens is to try
        raise AssertionError("redis-server did not come up")

    def says(self, *words: bytes) -> bytes:
        """What it answers to one command, as it comes over the wire."""
        message = b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%b\r\n" % (len(word), word) for word in words
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(message)
            return connection.recv(65536)

    def command(self, *words: Any) -> bytes:
        """Has it do something, and fails where it says that it cannot."""
        answer = self.says(*(str(word).encode() for word in words))
        assert not answer.startswith(b"-"), answer
        return answer

    def kill(self) -> None:
        """kill -9: what was not on disk is gone."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It accepts and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(timeout=10)


@contextmanager
def running(directory: Path, options: Sequence[str] = ()) -> Iterator[CounterServer]:
    """A server for the time of a test."""
    server = CounterServer(directory, options).start()
    try:
        yield server
    finally:
        server.kill()
