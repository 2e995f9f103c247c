"""An open-loop load: requests are due at a constant rate, whatever has become of those before.

Latency counts from the moment when a request was due, so a peer that stalls is charged for every
request that it kept waiting. Run as a process of its own, pinned to the load's core; what it found
is one JSON object on standard output.
"""

import argparse
import gc
import json
import select
import socket
import sys
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.bench.nginx import ANSWER

_BODY = ANSWER.encode()
_LENGTH = b"\r\ncontent-length: %d\r\n" % len(_BODY)
_LONGEST_WAIT_S = 10.0


class _Connection:
    """One keepalive connection with at most one request under way, due at `due`."""

    __slots__ = ("buffer", "due", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.buffer = b""

    def whole_answer(self) -> bool | None:
        """Reads what is there: None while more must come, else whether it is the right answer."""
        data = self.socket.recv(65_536)
        self.buffer = buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if not data or (end >= 0 and _LENGTH not in buffer.lower()):
            return False
        if end < 0 or len(buffer) < end + 4 + len(_BODY):
            return None
        self.buffer = b""
        return buffer.startswith(b"HTTP/1.1 200 ") and buffer[end + 4 :] == _BODY


def load(
    port: int, rate: float, seconds: float, connections: int, tokens: list[str]
) -> dict[str, Any]:
    """Sends `rate` requests a second for `seconds`; latencies in ms by percentile."""
    requests = [
        (
            "GET /v1/search?q=bench HTTP/1.1\r\nHost: api.example\r\n"
            f"Authorization: Passport {token}\r\nUser-Agent: agent/1.0\r\n"
            "Accept: application/json\r\n\r\n"
        ).encode()
        for token in tokens
    ]
    all_of_them = [_Connection(port) for _ in range(connections)]
    by_fd = {connection.socket.fileno(): connection for connection in all_of_them}
    ready = select.epoll()
    for fd in by_fd:
        ready.register(fd, select.EPOLLIN)
    free = deque(all_of_them)
    overdue: deque[float] = deque()
    latencies: list[float] = []
    late: list[float] = []
    total = int(rate * seconds)
    interval = 1 / rate
    due = done = sent = 0

    def send(connection: _Connection, when: float) -> None:
        nonlocal sent
        connection.due = when
        connection.socket.send(requests[sent % len(requests)])
        sent += 1

    gc.disable()
    begin = perf_counter() + 0.01
    deadline = begin + seconds + _LONGEST_WAIT_S
    while done < total and (now := perf_counter()) < deadline:
        while due < total and begin + due * interval <= now:
            when = begin + due * interval
            late.append(now - when)
            due += 1
            if free:
                send(free.popleft(), when)
            else:
                overdue.append(when)
        # select waits by microseconds where epoll has only whole milliseconds.
        wait = max(0.0, begin + due * interval - perf_counter()) if due < total else 0.1
        select.select([ready], [], [], wait)
        for fd, _ in ready.poll(0):
            connection = by_fd[fd]
            right = connection.whole_answer()
            if right is None:
                continue
            done += 1
            latencies.append(perf_counter() - connection.due)
            if not right:
                raise SystemExit(f"a wrong answer: {connection.buffer[:200]!r}")
            if overdue:
                send(connection, overdue.popleft())
            else:
                free.append(connection)
    return {
        "requests": done,
        "missing": total - done,
        "requests_per_s": done / (perf_counter() - begin),
        "latency_ms": percentiles(latencies),
        "late_ms": percentiles(late),
    }


PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """The percentiles of a list of seconds, in ms."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        f"p{point:g}": round(ordered[round(point / 100 * last)] * 1000, 3) for point in PERCENTILES
    }


def main() -> None:
    """Reads the command line, runs, and says what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.open_loop", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--passports", type=Path, required=True)
    options = parser.parse_args()
    tokens = options.passports.read_text().split()
    found = load(options.port, options.rate, options.seconds, options.connections, tokens)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
