"""Server-sent events, read piece by piece (HTML, section 9.2.6), however the pieces are cut.

Whatever comes, no more than `MAX_EVENT_BYTES` of it is ever kept.
"""

from typing import Final, NamedTuple

from passgate.core.revocation_delta import MAX_DELTA_BYTES

MAX_EVENT_BYTES: Final = MAX_DELTA_BYTES + 1024
"""The longest event, and so the longest line."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its `name` (`message` where it has none), and its lines of data, joined."""

    name: str
    data: bytes


class EventReader:
    """Makes events of the bytes that come. Comments and unknown fields are no part of any."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0
        self._begun = False
        self._after_cr = False
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in `piece`. Raises `ValueError` for one beyond the limit."""
        events: list[Event] = []
        self._rest += piece
        if not self._begun:
            if len(self._rest) < 3 and _BYTE_ORDER_MARK.startswith(bytes(self._rest)):
                return events
            self._begun = True
            if self._rest.startswith(_BYTE_ORDER_MARK):
                del self._rest[:3]
        while (line := self._next_line()) is not None:
            if line:
                self._take(line)
            elif self._data:
                name = self._name.decode("utf-8", "replace") or "message"
                events.append(Event(name, b"\n".join(self._data)))
                self._clear()
            else:
                self._clear()
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise ValueError(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        return events

    def _next_line(self) -> bytes | None:
        """The next whole line, without its end, which is CR, LF, or both."""
        rest = self._rest
        if self._after_cr and rest:
            if rest[0] == 0x0A:
                del rest[:1]
            self._after_cr = False
        ends = [
            at for at in (rest.find(b"\n", self._seen), rest.find(b"\r", self._seen)) if at >= 0
        ]
        if not ends:
            self._seen = len(rest)  # so that a line that never ends is looked at once
            return None
        end = min(ends)
        line = bytes(rest[:end])
        self._after_cr = rest[end] == 0x0D
        del rest[: end + 1]
        self._seen = 0
        return line

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value
        elif field == b"data":
            self._data.append(value)
        else:
            return
        self._size += len(line) + 1
        if self._size > MAX_EVENT_BYTES:
            raise ValueError(f"an event is larger than {MAX_EVENT_BYTES} bytes")

    def _clear(self) -> None:
        self._name = b""
        self._data = []
        self._size = 0
