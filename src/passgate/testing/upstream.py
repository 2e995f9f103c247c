"""An upstream for tests: a real server on the loopback interface that remembers what it saw."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the upstream received it. Header names are as sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of header `name`, in any case; several are joined with `, `."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(slots=True)
class Reply:
    """What the upstream answers.

    `body` as bytes goes with `Content-Length`; as a sequence it is streamed as chunks, `pause_s`
    apart. `raw` replaces the whole answer, and the connection is closed after it. `after_s` delays
    the first byte.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = (("Content-Type", "text/plain"),)
    body: bytes | Sequence[bytes] = b"hello from upstream\n"
    pause_s: float = 0.0
    after_s: float = 0.0
    raw: bytes | None = None


@dataclass(slots=True)
class FakeUpstream:
    """A tiny real HTTP/1.1 server on a free port of 127.0.0.1, in a thread of its own.

    Use it as a context manager. `seen` holds every request that was received whole, in order;
    `answer` is the reply, or a function from a request to one. Connections are kept alive.
    """

    answer: Reply | Callable[[Seen], Reply] = field(default_factory=Reply)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _socket: socket.socket | None = None
    _thread: threading.Thread | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Where it listens, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="fake-upstream", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._socket is not None
        assert self._thread is not None
        # Closing does not wake a thread in accept(); shutting down does.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its own thread closed it meanwhile

    def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Seen]:
        """Returns `seen` once it holds `count` requests; raises `TimeoutError` else."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.seen) >= count, timeout_s):
                raise TimeoutError(f"upstream saw {len(self.seen)} requests, expected {count}")
            return list(self.seen)

    def _accept(self) -> None:
        assert self._socket is not None
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as stream:
                while self._exchange(connection, stream):
                    pass
        except (OSError, ValueError):
            return  # the peer went away or spoke no HTTP: there is nobody to answer
        finally:
            self._open.discard(connection)

    def _exchange(self, connection: socket.socket, stream: Any) -> bool:
        line = stream.readline(65_536)
        if not line:
            return False
        method, target, _ = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        headers: list[tuple[str, str]] = []
        while (line := stream.readline(65_536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            headers.append((name, value.strip()))
        lower = {name.lower(): value for name, value in headers}
        if lower.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if lower.get("transfer-encoding", "").lower() == "chunked":
            body = _read_chunked(stream)
        else:
            body = stream.read(int(lower.get("content-length", "0")))
        seen = Seen(method, target, tuple(headers), body)
        with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()
        reply = self.answer(seen) if callable(self.answer) else self.answer
        if reply.after_s:
            time.sleep(reply.after_s)
        return _send(connection, reply, method) and lower.get("connection", "").lower() != "close"


def _read_chunked(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline(1024).split(b";")[0], 16):
        body += stream.read(size)
        stream.readline(16)
    while stream.readline(65_536) not in (b"\r\n", b""):
        pass  # trailers
    return body


def _send(connection: socket.socket, reply: Reply, method: str) -> bool:
    """Sends `reply`; True when the connection may be used again."""
    if reply.raw is not None:
        connection.sendall(reply.raw)
        return False
    streamed = not isinstance(reply.body, bytes)
    bodiless = method == "HEAD" or reply.status in (204, 304)
    head = [f"HTTP/1.1 {reply.status} Status"]
    head += [f"{name}: {value}" for name, value in reply.headers]
    if streamed:
        head.append("Transfer-Encoding: chunked")
    elif reply.status not in (204, 304):
        head.append(f"Content-Length: {len(reply.body)}")
    block = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
    if isinstance(reply.body, bytes):
        connection.sendall(block if bodiless else block + reply.body)
        return True
    connection.sendall(block)
    if bodiless:
        return True
    for part in reply.body:
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        if reply.pause_s:
            time.sleep(reply.pause_s)
    connection.sendall(b"0\r\n\r\n")
    return True
