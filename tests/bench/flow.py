"""Both ends of a long stream: an API that gives and takes bytes, and a client that checks them.

What goes over the wire is one block again and again, so that every byte of it can be checked
without slowing it down. `python -m tests.bench.flow PORT` serves until it is ended.
"""

import ctypes
import socket
import sys
import threading
from typing import Final

_BLOCK: Final = bytes(range(251)) * 1044  # a prime length: nothing can slip by whole buffers
_TWICE: Final = _BLOCK + _BLOCK
_READ: Final = len(_BLOCK)
_AS_C: Final = ctypes.c_char_p(_TWICE)
_EXPECTED: Final = ctypes.cast(_AS_C, ctypes.c_void_p).value or 0
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class BrokenStreamError(Exception):
    """What arrived is not what was sent."""


def serve(port: int) -> None:
    """The API: `GET /v1/stream/N` gives N bytes; a POST there takes as many and counts them."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        while True:
            try:
                head, rest = _head(connection)
            except (BrokenStreamError, OSError):
                return
            method, target = head.split(b" ", 2)[:2]
            count = int(target.rpartition(b"/")[2])
            if method == b"POST":
                taken = _take(connection, rest, count)
                body = str(taken).encode()
                connection.sendall(_ok(len(body)) + body)
            else:
                connection.sendall(_ok(count))
                _give(connection, count)


def _ok(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % length


def download(port: int, count: int, passport: str) -> None:
    """Fetches `count` bytes and checks each; raises `BrokenStreamError`."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(_request("GET", count, passport))
        head, rest = _head(connection)
        _expect_ok(head)
        if _take(connection, rest, count) != count:
            raise BrokenStreamError("the answer ended early")


def upload(port: int, count: int, passport: str) -> None:
    """Sends `count` bytes; raises `BrokenStreamError` unless the API got exactly these."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(_request("POST", count, passport))
        _give(connection, count)
        head, rest = _head(connection)
        _expect_ok(head)
        if int(rest or connection.recv(100)) != count:
            raise BrokenStreamError("the API got another number of bytes")


def _request(method: str, count: int, passport: str) -> bytes:
    lines = [
        f"{method} /v1/stream/{count} HTTP/1.1",
        "Host: api.example",
        f"Authorization: Passport {passport}",
    ]
    if method == "POST":
        lines.append(f"Content-Length: {count}")
    return "\r\n".join([*lines, "", ""]).encode()


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = connection.recv(65_536)
        if not more:
            raise BrokenStreamError("the connection ended before a head was whole")
        data += more
    return data[:end], data[end + 4 :]


def _expect_ok(head: bytes) -> None:
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BrokenStreamError(f"the answer was {head[:100]!r}")


def _give(connection: socket.socket, count: int) -> None:
    whole, rest = divmod(count, len(_BLOCK))
    for _ in range(whole):
        connection.sendall(_BLOCK)
    connection.sendall(_BLOCK[:rest])


def _take(connection: socket.socket, begun: bytes, count: int) -> int:
    """Reads `count` bytes, of which `begun` came already; raises where one of them is wrong."""
    if begun != _TWICE[: len(begun)]:
        raise BrokenStreamError("other bytes than were sent, at the beginning")
    taken = len(begun)
    buffer = bytearray(_READ)
    at = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    while taken < count:
        got = connection.recv_into(buffer, min(_READ, count - taken))
        if not got:
            return taken
        # Python's own comparison would copy both sides first, and be slower than the stream.
        if _memcmp(at, _EXPECTED + taken % len(_BLOCK), got):
            raise BrokenStreamError(f"other bytes than were sent, after {taken}")
        taken += got
    return taken


if __name__ == "__main__":
    serve(int(sys.argv[1]))
