"""The chunked coding, read without any leniency (RFC 9112 section 7.1)."""

from typing import Final

from passgate.core.headers import drop_from_trailers
from passgate.proxy.grammar import BREAKS_LINE, CHUNK_LINE, FIELD_LINE
from passgate.proxy.stated_cost import COST, also_stated

_LINE_BYTES: Final = 256  # a chunk's size line with its extensions
_EXTENSION_BYTES: Final = 4096  # all of these extensions of one body
_TRAILER_BYTES: Final = 8192

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedReader:
    """Turns the bytes of one chunked body into its data.

    `feed` gives the data in what arrived. Afterwards `done` says whether the body ended, with what
    came behind it in `rest` and its field lines in `trailers`, but for what they say of the cost,
    which is in `cost`; `fault` is a sentence once the coding was violated, and `too_large` is true
    once the data passed `limit` bytes. Faulty input gives no data, and nothing more may be fed
    after a fault or the end.

    Extensions are checked and dropped (RFC 9112 section 7.1.1 lets a recipient ignore them), and
    limited as a whole, since a flood of them costs reading and carries nothing. With
    `strict_trailers` a trailer that must not be one (RFC 9110 section 6.5.1) is a fault, otherwise
    it is left out.
    """

    __slots__ = (
        "_extensions",
        "_held",
        "_left",
        "_limit",
        "_searched",
        "_state",
        "_strict_trailers",
        "_total",
        "cost",
        "done",
        "fault",
        "rest",
        "too_large",
        "trailers",
    )

    def __init__(self, limit: int, *, strict_trailers: bool) -> None:
        self._limit = limit
        self._strict_trailers = strict_trailers
        self._state = _SIZE
        self._held = b""
        self._left = 0
        self._total = 0
        self._extensions = 0
        self._searched = 0  # of what is held of the trailers
        self.done = False
        self.too_large = False
        self.fault = ""
        self.rest = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.cost = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the body's data that `data` completes, in order."""
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        at = 0
        size = len(data)
        while True:
            state = self._state
            if state == _DATA:
                if at == size:
                    return pieces
                end = at + self._left
                if end > size:
                    pieces.append(data[at:] if at else data)
                    self._left = end - size
                    return pieces
                pieces.append(data[at:end])
                at = end
                self._state = _DATA_END
            elif state == _DATA_END:
                if size - at < 2:
                    if at < size and data[at] != 13:
                        return self._fail("A chunk is longer than its size.")
                    self._held = data[at:]
                    return pieces
                if data[at : at + 2] != b"\r\n":
                    return self._fail("A chunk is longer than its size.")
                at += 2
                self._state = _SIZE
            elif state == _SIZE:
                end = data.find(b"\n", at, at + _LINE_BYTES) + 1
                if end == 0:
                    if size - at >= _LINE_BYTES:
                        return self._fail("A chunk extension is too long.")
                    if not _may_become_size(data[at:]):
                        return self._fail("A chunk size is malformed.")
                    self._held = data[at:]
                    return pieces
                match = CHUNK_LINE.fullmatch(data, at, end)
                if match is None:
                    return self._fail("A chunk size is malformed.")
                digits = match[1]
                self._extensions += end - at - len(digits) - 2
                if self._extensions > _EXTENSION_BYTES:
                    return self._fail("The chunk extensions are too long.")
                at = end
                length = int(digits, 16)
                if length:
                    self._total += length
                    if self._total > self._limit:
                        self.too_large = True
                        return []
                    self._left = length
                    self._state = _DATA
                else:
                    self._state = _TRAILERS
            else:
                return self._read_trailers(data, at, pieces)

    def _read_trailers(self, data: bytes, at: int, pieces: list[bytes]) -> list[bytes]:
        if data.startswith(b"\r\n", at):
            end = at
        else:
            # The blank line may straddle what is here and what comes. Searching all of it with each
            # packet would make a trickle of trailers cost many times what it takes to send.
            begin = max(at + self._searched - 3, at)
            found = data.find(b"\r\n\r\n", begin)
            if found < 0 or found - at > _TRAILER_BYTES:
                if len(data) - at > _TRAILER_BYTES:
                    return self._fail("The trailers are too long.")
                if BREAKS_LINE.search(data, begin) is not None:
                    return self._fail("A trailer is malformed.")
                self._searched = len(data) - at
                self._held = data[at:]
                return pieces
            end = found + 2
            while at < end:
                match = FIELD_LINE.match(data, at, end)
                if match is None:
                    return self._fail("A trailer is malformed.")
                name = match[1].lower()
                if not drop_from_trailers(name):
                    self.trailers.append((match[1], match[2].strip(b" \t")))
                elif self._strict_trailers:
                    return self._fail("A trailer is not allowed.")
                elif name == COST:
                    self.cost = also_stated(self.cost, match[2].strip(b" \t"))
                at = match.end()
        self.done = True
        self.rest = data[end + 2 :]
        return pieces

    def _fail(self, sentence: str) -> list[bytes]:
        self.fault = sentence
        return []


def _may_become_size(start: bytes) -> bool:
    """Whether more bytes could make `start` a chunk-size line; so junk is refused at once."""
    digits = start.rstrip(b"\r").split(b";", 1)[0]
    return (
        len(digits) <= 15
        and not digits.translate(None, b"0123456789abcdefABCDEF")
        and (bool(digits) or not start)
    )
