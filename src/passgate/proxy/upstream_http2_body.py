"""What is still to be sent of a request's body on a stream of HTTP/2."""

from collections import deque
from typing import Final

_HIGH: Final = 64 * 1024  # what may wait for the upstream's windows before the client must wait
_LOW: Final = 16 * 1024
_STEP: Final = 4096  # an upstream that takes less than this in time takes nothing


class RequestBody:
    """A request's body on its way out, as fast as the upstream's windows let it.

    `size` bytes wait; `ended` says that nothing more will be put, `sent` that the end was sent.
    `full` once too much waits, until most of it was taken.
    """

    __slots__ = ("_pieces", "ended", "full", "sent", "size")

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self.size = 0
        self.ended = False
        self.sent = False
        self.full = False

    @property
    def untaken(self) -> int:
        """`size` to the next 4 KiB: windows may be opened by single bytes."""
        return -(-self.size // _STEP) * _STEP

    def begin(self, *, ended: bool) -> None:
        """Another request; `ended` where it has no body, and its head ends it."""
        self._pieces.clear()
        self.size = 0
        self.ended = self.sent = ended
        self.full = False

    def put(self, data: memoryview, *, last: bool) -> None:
        """More of the body, or its end."""
        if data:
            self._pieces.append(data)
            self.size += len(data)
        if last:
            self.ended = True

    def take(self, room: int) -> memoryview | None:
        """The next piece to be sent, of at most `room` bytes; it is the last one once `sent`.

        None where nothing can be sent now.
        """
        pieces = self._pieces
        if not pieces:
            if not self.ended or self.sent:
                return None
            self.sent = True
            return memoryview(b"")
        if room <= 0:
            return None
        piece = pieces[0]
        if len(piece) > room:
            pieces[0] = piece[room:]
            piece = piece[:room]
        else:
            pieces.popleft()
        self.size -= len(piece)
        self.sent = self.ended and not pieces
        return piece

    def fills(self) -> bool:
        """Whether it has become full just now."""
        if self.full or self.size <= _HIGH:
            return False
        self.full = True
        return True

    def drains(self) -> bool:
        """Whether it was full, and just now is no longer."""
        if not self.full or self.size > _LOW:
            return False
        self.full = False
        return True
