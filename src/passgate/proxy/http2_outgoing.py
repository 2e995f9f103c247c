"""What is still to be sent on one HTTP/2 stream: pieces of a body, then trailers or the end."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from passgate.proxy.http2_answering import AnsweringStream
    from passgate.proxy.http2_shared import SharedConnection

_STEP: Final = 4096  # a client that takes less than this in time takes nothing


class Outgoing:
    """A body on its way out, as fast as the client's windows let it; `size` bytes wait."""

    __slots__ = ("_connection", "_ended", "_pieces", "_trailers", "size")

    def __init__(self, connection: "SharedConnection") -> None:
        self._connection = connection
        self._pieces: deque[memoryview] = deque()
        self._ended = False
        self._trailers: Sequence[tuple[bytes, bytes]] = ()
        self.size = 0

    @property
    def untaken(self) -> int:
        """`size` to the next 4 KiB: windows may be opened by single bytes, and to count these as
        progress would hold an upstream for weeks."""
        return -(-self.size // _STEP) * _STEP

    def put(self, data: bytes) -> None:
        """More of the body."""
        if data:
            self._pieces.append(memoryview(data))
            self.size += len(data)

    def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Nothing more will be put."""
        self._ended = True
        self._trailers = trailers

    def clear(self) -> None:
        """None of it will be sent."""
        self._pieces.clear()
        self.size = 0

    def pump(self, stream: "AnsweringStream") -> bool:
        """Sends what the windows allow; true once the end of `stream` was sent."""
        connection = self._connection
        pieces = self._pieces
        while pieces:
            room = connection.room(stream)
            if room <= 0:
                return False
            piece = pieces[0]
            if len(piece) > room:
                pieces[0] = piece[room:]
                piece = piece[:room]
            else:
                pieces.popleft()
            self.size -= len(piece)
            last = self._ended and not pieces and not self._trailers
            connection.send_data(stream, piece, end=last)
            if last:
                return True
        if not self._ended:
            return False
        if self._trailers:
            fields = [(name.lower(), value) for name, value in self._trailers]
            connection.send_fields(stream, fields, end=True)
        else:
            connection.send_data(stream, memoryview(b""), end=True)
        return True
