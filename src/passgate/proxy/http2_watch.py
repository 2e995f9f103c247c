"""Frames looked at before the library sees them: what they cost, and which it never should see.

Everything here is decided from a frame's head, its size and what came before; what a frame means is
for the library and the streams.
"""

from typing import Final, NamedTuple

from h2.errors import ErrorCodes

from passgate.proxy.http2_framing import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    known_settings,
)
from passgate.proxy.http2_limits import Patience
from passgate.proxy.plane import Plane

_HEADERS_EFFORT: Final = 8  # a request costs more than any other frame
_SETTINGS_A_FRAME: Final = 8  # so many settings cost as much as a frame of their own


class Broken(NamedTuple):
    """Why the connection ends: the code for GOAWAY, and a sentence for the log."""

    code: int
    detail: str


_NOT_SETTINGS: Final = Broken(ErrorCodes.PROTOCOL_ERROR, "The first frame is not SETTINGS.")
_ACK_WITH_SETTINGS: Final = Broken(ErrorCodes.FRAME_SIZE_ERROR, "An acknowledgement has settings.")
_NEVER_WAS: Final = Broken(ErrorCodes.PROTOCOL_ERROR, "A stream was reset that never was.")
_PUSHED: Final = Broken(ErrorCodes.PROTOCOL_ERROR, "Nobody may push here.")
_TOO_MANY: Final = Broken(ErrorCodes.ENHANCE_YOUR_CALM, "Too many frames that carry nothing.")
_TOO_LARGE: Final = Broken(ErrorCodes.ENHANCE_YOUR_CALM, "A header block is too large.")


class FrameWatch:
    """The frames of one connection, one after the other.

    `effort` is what the last one cost, in frames. `settled` is true once the client's SETTINGS
    came, `in_block` while a header block is not whole, which must end by `block_deadline` (the
    plane's clock, 0 for none).
    """

    __slots__ = ("_block", "_patience", "_plane", "block_deadline", "effort", "settled")

    def __init__(self, plane: Plane, patience: Patience) -> None:
        self._plane = plane
        self._patience = patience
        self._block = 0
        self.block_deadline = 0.0
        self.effort = 0
        self.settled = False

    @property
    def in_block(self) -> bool:
        """Whether nothing but CONTINUATION may come (RFC 9113 section 4.3)."""
        return self._block > 0

    def look(self, frame: bytes, *, is_open: bool, highest: int) -> bytes | Broken:
        """What the library is to read for this whole frame, nothing for an empty result.

        `is_open`: its stream is one that the gate still works on; `highest` is the highest stream
        that was ever opened.
        """
        kind = frame[3]
        flags = frame[4]
        size = len(frame) - HEAD_BYTES
        now = self._plane.now
        patience = self._patience
        calm = True
        self.effort = 1
        if not self.settled:
            # RFC 9113 section 3.4.
            if kind != SETTINGS or flags & ACK:
                return _NOT_SETTINGS
            self.settled = True
        if kind == DATA:
            calm = is_open or patience.aside(now)
        elif kind in (HEADERS, CONTINUATION):
            if not self._count_block(size, flags):
                return _TOO_LARGE
            if flags & END_HEADERS:
                self.effort = _HEADERS_EFFORT
            elif not size:
                calm = patience.aside(now)
            if kind == HEADERS and not is_open and _number(frame) <= highest:
                calm = patience.aside(now) and calm
        elif kind == WINDOW_UPDATE:
            calm = patience.update(now)
        elif kind == SETTINGS:
            if flags & ACK:
                return _ACK_WITH_SETTINGS if size else frame
            settings = size // 6
            self.effort += settings // _SETTINGS_A_FRAME
            calm = patience.aside(now, 1.0 + settings / _SETTINGS_A_FRAME)
            frame = known_settings(frame)
        elif kind == RST_STREAM:
            if _number(frame) > highest:
                return _NEVER_WAS
            calm = is_open or patience.aside(now)
        elif kind == PUSH_PROMISE:
            return _PUSHED
        elif kind in (PING, PRIORITY):
            calm = (kind == PING and flags & ACK != 0) or patience.aside(now)
        elif kind != GOAWAY:
            calm = patience.aside(now)
            if not self._block:
                frame = b""  # RFC 9113 section 5.5: unknown frames are ignored
        return frame if calm else _TOO_MANY

    def _count_block(self, size: int, flags: int) -> bool:
        """Counts a fragment of a header block; false where the block has become too large.

        Before its end nothing of a block is looked at, so its size is all that can be judged
        (CVE-2024-27316).
        """
        plane = self._plane
        self._block += size + 1
        if flags & END_HEADERS:
            self._block = 0
            self.block_deadline = 0.0
        elif not self.block_deadline:
            self.block_deadline = plane.now + plane.slack + plane.limits.header_timeout
        return self._block <= plane.limits.header_bytes


def _number(frame: bytes) -> int:
    return int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF
