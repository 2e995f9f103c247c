"""The body of one request as it comes in: how much of it is left, and whether it is sound."""

from typing import Final

from passgate.proxy.chunked import ChunkedReader
from passgate.proxy.request_head import CHUNKED, Fault

SLOWEST_BODY: Final = 1024  # bytes a second that a body must come at while the gate holds it
TOO_LARGE: Final = Fault(413, "The request body is too large.")


class IncomingBody:
    """A body of `length` bytes or `CHUNKED`, of at most `limit` bytes.

    `left` is what is still to come, `CHUNKED` where that is not known; it is 0 once the body is
    whole. `fault` is set once it can never become whole.
    """

    __slots__ = ("_chunks", "fault", "left")

    def __init__(self, length: int, limit: int) -> None:
        self.left = length
        self.fault: Fault | None = None
        self._chunks: ChunkedReader | None = None
        if length == CHUNKED:
            self._chunks = ChunkedReader(limit, strict_trailers=True)
        elif length > limit:
            self.fault = TOO_LARGE

    def take(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The pieces of the body in `data`, and what came behind the body."""
        chunks = self._chunks
        if chunks is None:
            left = self.left
            if len(data) <= left:
                self.left = left - len(data)
                return [data], b""
            self.left = 0
            return [data[:left]], data[left:]
        pieces = chunks.feed(data)
        if chunks.done:
            self.left = 0
        elif chunks.fault:
            self.fault = Fault(400, chunks.fault)
        elif chunks.too_large:
            self.fault = TOO_LARGE
        return pieces, chunks.rest
