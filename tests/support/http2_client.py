"""A client of HTTP/2 over a raw socket: well-behaved with h2, or whatever frames a test writes."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import hpack
from tests.support.raw_http import PATIENCE_S

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20


def frame(kind: int, flags: int = 0, stream: int = 0, body: bytes = b"") -> bytes:
    """One frame, right or wrong."""
    return (
        struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body
    )


def request_fields(
    path: str = "/", *more: tuple[str, str], method: str = "GET", scheme: str = "http"
) -> list[tuple[str, str]]:
    """The fields of a request, the pseudo-headers first."""
    return [
        (":method", method),
        (":scheme", scheme),
        (":authority", "gate.test"),
        (":path", path),
        *more,
    ]


@dataclass
class Answer:
    """What came on one stream."""

    interim: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Http2Client:
    """One connection. `h2` is what h2 makes of it; raw frames go around it with `send`."""

    def __init__(self, sock: socket.socket, **config: Any) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                **config,
            )
        )
        self.answers: dict[int, Answer] = {}
        self.goaway: int | None = None
        self.last_stream: int | None = None
        self.closed = False
        self.pings = 0
        self.read_windows = True

    def start(self) -> Self:
        """Preface and SETTINGS."""
        self.h2.initiate_connection()
        self.flush()
        return self

    def flush(self) -> None:
        """Sends what h2 has ready."""
        self.send(self.h2.data_to_send())

    def send(self, data: bytes) -> None:
        """Sends bytes as they are; a peer that has closed does not matter."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def request(
        self,
        path: str = "/",
        *more: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
        end: bool = True,
        scheme: str = "http",
    ) -> int:
        """Sends a request; its stream. Without `end` its body goes on."""
        return self.send_fields(
            request_fields(path, *more, method=method, scheme=scheme), body=body, end=end
        )

    def send_fields(
        self, fields: list[tuple[str, str]], *, body: bytes | None = None, end: bool = True
    ) -> int:
        """Sends a request of exactly these fields; what fits of its body goes with them at once."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields, end_stream=end and body is None)
        self.answers[number] = Answer()
        if body:
            self.send_body(number, body, end=end)
            return number
        self.flush()
        if body is not None:
            self.send_body(number, body, end=end)
        return number

    def send_body(self, number: int, body: bytes, *, end: bool = True) -> None:
        """Sends (more of) a body as the windows allow."""
        at = 0
        while at < len(body):
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room <= 0:
                if not self.receive() or self.answers[number].over:
                    return
                continue
            piece = body[at : at + room]
            at += len(piece)
            self.h2.send_data(number, piece, end_stream=end and at == len(body))
            self.flush()
        if end and not body:
            self.h2.end_stream(number)
            self.flush()

    def receive(self) -> bool:
        """Reads what comes next; false once the connection ended."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._note(event)
        with contextlib.suppress(OSError):
            self.flush()
        return True

    def _note(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", None)
        answer = self.answers.setdefault(number, Answer()) if number else Answer()
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = dict(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.read_windows:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
            self.last_stream = event.last_stream_id
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1

    def answer(self, number: int) -> Answer:
        """What came on the stream, once it is over there; fails where the connection ends first."""
        answer = self.answers[number]
        while not answer.over:
            assert self.receive(), f"the connection ended, GOAWAY {self.goaway}, before {answer}"
        return answer

    def get(self, path: str = "/", *more: tuple[str, str], **kinds: Any) -> Answer:
        """A request and its answer."""
        return self.answer(self.request(path, *more, **kinds))

    def ends(self) -> int | None:
        """The code of the GOAWAY with which the gate ends the connection; waits for the end."""
        while self.receive():
            pass
        return self.goaway

    def alive(self) -> bool:
        """Whether the gate answers a PING."""
        before = self.pings
        self.h2.ping(b"12345678")
        self.flush()
        while self.pings == before and self.receive():
            pass
        return self.pings > before


@contextlib.contextmanager
def http2(
    port: int, *, context: ssl.SSLContext | None = None, **config: Any
) -> Iterator[Http2Client]:
    """A client of 127.0.0.1 that has sent its preface."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
        if context is not None:
            sock = stack.enter_context(context.wrap_socket(sock, server_hostname="localhost"))
        yield Http2Client(sock, **config).start()


class RawFrames:
    """A connection of hand-made frames; `fields` are encoded without any table."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self.received = b""
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.closed = False

    def send(self, *frames: bytes) -> None:
        """Sends frames; a peer that has closed does not matter."""
        with contextlib.suppress(OSError):
            self.sock.sendall(b"".join(frames))

    def headers(
        self, stream: int, fields: list[tuple[str, str]] | None = None, *, flags: int | None = None
    ) -> bytes:
        """A HEADERS frame; a whole GET where nothing else is said."""
        fields = request_fields() if fields is None else fields
        flags = END_HEADERS | END_STREAM if flags is None else flags
        return frame(HEADERS, flags, stream, self.encoder.encode(fields))

    def next(self) -> tuple[int, int, int, bytes] | None:
        """The next frame as kind, flags, stream and body; None once the connection ended."""
        while True:
            if len(self.received) >= 9:
                size = int.from_bytes(self.received[:3], "big")
                if len(self.received) >= 9 + size:
                    head, body = self.received[:9], self.received[9 : 9 + size]
                    self.received = self.received[9 + size :]
                    stream = int.from_bytes(head[5:9], "big")
                    self.frames.append((head[3], head[4], stream, body))
                    return self.frames[-1]
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return None
            self.received += data

    def until(self, kind: int, stream: int = 0) -> bytes | None:
        """The body of the next frame of this kind on this stream; None if the end comes first."""
        while (found := self.next()) is not None:
            if (
                found[0] == kind
                and found[2] == stream
                and not (kind == SETTINGS and found[1] & ACK)
            ):
                return found[3]
        return None

    def ends_with(self) -> int | None:
        """The code of the GOAWAY before the end; None where there was none."""
        code = None
        while (found := self.next()) is not None:
            if found[0] == GOAWAY:
                code = int.from_bytes(found[3][4:8], "big")
        return code

    def verdict(self, stream: int) -> str:
        """How the gate took it: `status NNN`, `reset CODE`, `goaway CODE`, or `closed`."""
        verdict = ""
        while (found := self.next()) is not None:
            kind, flags, number, body = found
            if kind == GOAWAY:
                return f"goaway {h2.errors.ErrorCodes(int.from_bytes(body[4:8], 'big')).name}"
            if number != stream:
                continue
            if kind == HEADERS:
                status = dict(self.decoder.decode(body)).get(":status", "none")
                verdict = verdict or f"status {status}"
            elif kind == RST_STREAM:
                code = h2.errors.ErrorCodes(int.from_bytes(body, "big")).name
                return f"{verdict} reset {code}".strip()
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return verdict
        return verdict or "closed"


@contextlib.contextmanager
def raw_frames(port: int, *, preface: bool = True) -> Iterator[RawFrames]:
    """A connection that has sent its preface and empty SETTINGS, or nothing."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        client = RawFrames(sock)
        if preface:
            client.send(PREFACE, frame(SETTINGS))
        yield client
