"""An upstream of HTTP/2 whose every frame is in the test, right or wrong."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.support.http2_client import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
    RawFrames,
    frame,
)
from tests.support.raw_http import PATIENCE_S, Peer, Script

OK = [(":status", "200"), ("content-type", "text/plain")]


@dataclass
class Asked:
    """One request as it came."""

    stream: int
    fields: dict[str, str]
    body: bytes = b""
    ended: bool = False


@dataclass
class Conversation:
    """What an upstream saw, over all its connections."""

    requests: list[Asked] = field(default_factory=list)
    settings: dict[int, int] = field(default_factory=dict)
    connections: int = 0


class Http2Peer(RawFrames):
    """One accepted connection; SETTINGS are exchanged, windows stay as they are."""

    def __init__(self, sock: socket.socket, seen: Conversation) -> None:
        super().__init__(sock)
        self.sock.settimeout(4 * PATIENCE_S)  # a gate that waits must fail its client first
        self.seen = seen
        self.windows: dict[int, int] = {}
        self._first_window = 65_535

    def next(self) -> tuple[int, int, int, bytes] | None:
        """The next frame; what it says of windows is noted, for `room`."""
        found = super().next()
        if found is not None:
            kind, flags, stream, body = found
            if kind == WINDOW_UPDATE:
                self.windows[stream] = self._window(stream) + int.from_bytes(body, "big")
            elif kind == SETTINGS and not flags & ACK:
                for at in range(0, len(body), 6):
                    value = int.from_bytes(body[at + 2 : at + 6], "big")
                    self.seen.settings[body[at + 1]] = value
                    if body[at + 1] == 4:
                        self._first_window = value
        return found

    def _window(self, stream: int) -> int:
        return self.windows.get(stream, self._first_window if stream else 65_535)

    def room(self, stream: int) -> int:
        """How much DATA may be sent now in one frame."""
        return min(16_384, self._window(0), self._window(stream))

    def sent(self, stream: int, size: int) -> None:
        """So much was sent."""
        for number in (0, stream):
            self.windows[number] = self._window(number) - size

    def start(self, settings: bytes = b"") -> Self:
        """Reads the preface, sends SETTINGS."""
        while len(self.received) < len(PREFACE):
            data = self.sock.recv(65536)
            if not data:
                return self
            self.received += data
        assert self.received.startswith(PREFACE)
        self.received = self.received[len(PREFACE) :]
        self.send(frame(SETTINGS, 0, 0, settings), frame(SETTINGS, ACK))
        return self

    def request(self, *, whole: bool = True) -> Asked | None:
        """The next request with its body, or only its head; None once the connection ended."""
        asked: Asked | None = None
        while (found := self.next()) is not None:
            kind, flags, stream, body = found
            if kind == HEADERS:
                assert flags & END_HEADERS
                fields = {str(k): str(v) for k, v in self.decoder.decode(body)}
                asked = Asked(stream, fields)
                self.seen.requests.append(asked)
            elif kind == DATA and asked is not None and stream == asked.stream:
                asked.body += body
                if body:
                    self.send(open_window(0, len(body)), open_window(stream, len(body)))
            else:
                continue
            assert asked is not None
            asked.ended = bool(flags & END_STREAM)
            if asked.ended or not whole:
                return asked
        return None

    def answer(
        self, stream: int, body: bytes = b"ok", fields: list[tuple[str, str]] | None = None
    ) -> None:
        """A whole answer."""
        fields = OK if fields is None else fields
        self.send(
            self.headers(stream, fields, flags=END_HEADERS), frame(DATA, END_STREAM, stream, body)
        )

    def rest(self) -> None:
        """Reads until the connection ends."""
        while self.next() is not None:
            pass

    def head(self, stream: int, *fields: tuple[str, str], end: bool = False) -> bytes:
        """A HEADERS frame of exactly these fields."""
        flags = END_HEADERS | (END_STREAM if end else 0)
        return self.headers(stream, list(fields), flags=flags)


def open_window(stream: int, size: int) -> bytes:
    """A WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def goaway(last: int, code: int = 0) -> bytes:
    """A GOAWAY."""
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def setting(number: int, value: int) -> bytes:
    """One entry of SETTINGS."""
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


Talk = Callable[[Http2Peer], None]


def speaking(talk: Talk, seen: Conversation | None = None, settings: bytes = b"") -> Script:
    """A script for `RawUpstream`: each connection is started and handed to `talk`."""
    seen = Conversation() if seen is None else seen

    def script(peer: Peer) -> None:
        seen.connections += 1
        with contextlib.suppress(OSError):
            talk(Http2Peer(peer.sock, seen).start(settings))

    return script


def answering(body: bytes = b"ok") -> Talk:
    """Answers every request with 200 and this body."""

    def talk(peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            peer.answer(asked.stream, body)

    return talk
