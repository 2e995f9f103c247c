"""Raw sockets on both sides of a data plane: what was sent is exactly what is in the test."""

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

import h11

PATIENCE_S = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits until `condition` holds; fails with `what` when it never does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.002)


@dataclass
class Seen:
    """One connection as the upstream saw it: every byte, and how it ended (`eof`, `reset`, "")."""

    received: bytearray = field(default_factory=bytearray)
    end: str = ""
    requests: list[bytes] = field(default_factory=list)
    peer: object = None

    @property
    def whole_requests(self) -> list[bytes]:
        """The targets of the requests that an independent parser finds whole in the bytes."""
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(bytes(self.received))
        targets: list[bytes] = []
        target = b""
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                target = event.target
            elif isinstance(event, h11.EndOfMessage):
                targets.append(target)
                # The parser wants the answer before the next request.
                parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                parser.send(h11.EndOfMessage())
                if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE:
                    return targets
                parser.start_next_cycle()
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return targets


class Peer:
    """One accepted connection, in the hands of an upstream's script."""

    def __init__(self, sock: socket.socket, seen: Seen) -> None:
        self.sock = sock
        self.seen = seen
        self._used = 0

    def receive(self) -> bool:
        """Reads some more; false once the connection ended."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            self.seen.end = "reset"
            return False
        if not data:
            self.seen.end = "eof"
            return False
        self.seen.received += data
        return True

    def pause(self, seconds: float) -> None:
        """Lets so much time pass, but no more than until something comes, which is read."""
        if select.select([self.sock], [], [], seconds)[0]:
            self.receive()

    def head(self) -> bytes | None:
        """The next request head, or None when there is none."""
        while (end := self.seen.received.find(b"\r\n\r\n", self._used)) < 0:
            if not self.receive():
                return None
        head = bytes(self.seen.received[self._used : end + 4])
        self._used = end + 4
        return head

    def request(self) -> bytes | None:
        """The next request with its body, or None."""
        start = self._used
        head = self.head()
        if head is None:
            return None
        if re.search(rb"(?i)\r\ntransfer-encoding:", head):
            while (end := self.seen.received.find(b"0\r\n\r\n", self._used)) < 0:
                if not self.receive():
                    return None
            self._used = end + 5
        elif found := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
            end = self._used + int(found[1])
            while len(self.seen.received) < end:
                if not self.receive():
                    return None
            self._used = end
        request = bytes(self.seen.received[start : self._used])
        self.seen.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        """Sends; a peer that is gone does not matter."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def rest(self) -> None:
        """Reads until the connection ends."""
        while self.receive():
            pass

    def reset(self) -> None:
        """Ends with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


Script = Callable[[Peer], None]


def answering(*answers: bytes) -> Script:
    """Answers request after request with these, the last one over and over."""

    def script(peer: Peer) -> None:
        at = 0
        while peer.request() is not None:
            peer.send(answers[min(at, len(answers) - 1)])
            at += 1

    return script


def answering_once(answer: bytes) -> Script:
    """Answers one request with exactly these bytes, and ends the connection."""

    def script(peer: Peer) -> None:
        if peer.request() is not None:
            peer.send(answer)

    return script


class RawUpstream:
    """A real server on loopback that follows a script and records what it saw."""

    def __init__(
        self, script: Script | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.script = script or answering(OK)
        self.seen: list[Seen] = []
        self.backlog = 128
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server((host, port), backlog=self.backlog)
        self.port: int = self._listening.getsockname()[1]

    @property
    def whole_requests(self) -> list[bytes]:
        """The targets of all whole requests on all connections."""
        return [target for seen in self.seen for target in seen.whole_requests]

    @property
    def received(self) -> bytes:
        """Every byte that came."""
        return b"".join(seen.received for seen in self.seen)

    def received_ends_with(self, end: bytes) -> bool:
        """Whether what came last ends so."""
        return self.received.endswith(b"\r\n\r\n" + end)

    def settled(self) -> list[Seen]:
        """Every connection so far, each read to its end.

        A connection that was closed at once may still wait to be accepted; they are in order, so
        one of our own tells when all before it have been.
        """
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as mark:
            name = mark.getsockname()
            until(lambda: any(seen.peer == name for seen in list(self.seen)), "ours is accepted")
        before = [seen for seen in self.seen if seen.peer != name]
        until(lambda: all(seen.end for seen in before), "the upstream has seen the ends")
        return before

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        # Closing does not wake a thread in `accept`; shutting down does.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in tuple(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listening.accept()
            except OSError:
                return
            seen = Seen(peer=peer)
            self.seen.append(seen)
            self._sockets.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock, seen), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket, seen: Seen) -> None:
        peer = Peer(sock, seen)
        try:
            self.script(peer)
        finally:
            self._sockets.discard(sock)
            peer.sock.close()


class Flood:
    """A script that sends `head` and then zeros, as many as are taken of `total`."""

    def __init__(self, head: bytes, total: int) -> None:
        self.head = head
        self.total = total
        self.sent = 0

    def __call__(self, peer: Peer) -> None:
        peer.request()
        peer.send(self.head)
        piece = bytes(1 << 20)
        with contextlib.suppress(OSError):
            while self.sent < self.total:
                self.sent += peer.sock.send(piece[: self.total - self.sent])
        peer.rest()

    def stalled_at(self) -> int:
        """How much had been taken when nothing was for a while."""
        before = -1
        while before != self.sent:
            before = self.sent
            time.sleep(0.2)
        return before


@dataclass(frozen=True)
class Received:
    """One answer as it stood on the wire, its body decoded."""

    status: int
    head: bytes
    body: bytes
    trailers: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of the header, or None; it must not be there twice."""
        values = re.findall(
            rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*([^\r]*)\r$", self.head
        )
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0].decode("latin-1") if values else None


class Client:
    """A client's raw socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Sends all at once; a peer that has closed already does not matter."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Sends byte by byte, each in a packet of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            for at in range(len(data)):
                self.sock.sendall(data[at : at + 1])
                time.sleep(0)

    def send_until_stuck(self, total: int, patience_s: float = 0.2) -> int:
        """Sends zeros until nobody has taken any for a while; returns how many, at most `total`."""
        self.sock.settimeout(patience_s)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < total:
                sent += self.sock.send(bytes(min(1 << 20, total - sent)))
        self.sock.settimeout(PATIENCE_S)
        return sent

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._held += data
        return bool(data)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes; fails where the connection ends before."""
        while len(self._held) < count:
            assert self._more(), f"the connection ended within an answer: {self._held[:200]!r}"
        data, self._held = self._held[:count], self._held[count:]
        return data

    def take_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while (end := self._held.find(mark)) < 0:
            assert self._more(), f"the connection ended within an answer: {self._held[:200]!r}"
        return self.take(end + len(mark))

    def answer(self, method: str = "GET") -> Received:
        """The next answer; fails where it is cut short. Interim answers are answers here."""
        head = self.take_until(b"\r\n\r\n")
        status = int(head[9:12])
        if method == "HEAD" or status in (204, 304) or status < 200:
            return Received(status, head, b"")
        if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
            body = b""
            while size := int(self.take_until(b"\r\n"), 16):
                body += self.take(size)
                assert self.take(2) == b"\r\n"
            trailers = b""
            while (line := self.take_until(b"\r\n")) != b"\r\n":
                trailers += line
            return Received(status, head, body, trailers)
        found = re.search(rb"\r\ncontent-length: (\d+)\r\n", head.lower())
        if found is None:
            return Received(status, head, self.everything())
        return Received(status, head, self.take(int(found[1])))

    def everything(self) -> bytes:
        """What comes until the connection ends in order; a reset raises."""
        while self._more():
            pass
        data, self._held = self._held, b""
        return data

    def until_end(self) -> tuple[bytes, bool]:
        """What comes until the connection ends, and whether that was a reset."""
        try:
            return self.everything(), False
        except ConnectionError:
            data, self._held = self._held, b""
            return data, True

    def is_closed(self) -> bool:
        """Whether the peer ended the connection and sent nothing more; waits for it."""
        try:
            return self.everything() == b""
        except ConnectionError:
            return True


@contextlib.contextmanager
def connected(port: int) -> Iterator[Client]:
    """A client of 127.0.0.1."""
    with Client(socket.create_connection(("127.0.0.1", port), PATIENCE_S)) as client:
        yield client
