"""The h2 library's framing, flow control and header compression, within the gate's own limits.

The library reads and writes frames and knows which are allowed when; what a message means is judged
by `http2_request`, so nothing of a header block is interpreted here. Four of its leniencies are
closed: header tables that grow as the client wishes, size updates without end, thousands of fields
in a block, and a memory of closed streams that is large enough to be an attack.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKDecodingError, OversizedHeaderListError

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PREFACE_HEAD: Final = b"PRI * HTTP/2.0\r\n\r\n"  # as a reader of HTTP/1.1 sees it
HEAD_BYTES: Final = 9
MAX_FRAME: Final = 16 * 1024  # the least that RFC 9113 section 6.5.2 allows, and enough
STREAM_WINDOW: Final = 65_535  # the default, so that no client can be wrong about it
CONNECTION_WINDOW: Final = 1 << 20

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
ACK: Final = 0x1
END_HEADERS: Final = 0x4

_TABLE_BYTES: Final = 4096
_MOST_SIZE_UPDATES: Final = 2  # RFC 7541 section 4.2
# A cookie may come in many fields (RFC 9113 section 8.2.3), and what is a little too much is still
# answered.
_FIELDS_A_HEADER: Final = 4
_CLOSED_STREAMS: Final = 512
_KNOWN_SETTINGS: Final = range(1, 7)

# Different in nearly every answer, or not to be guessed by compression (RFC 7541 section 7.1).
_NEVER_INDEXED: Final = frozenset((b"set-cookie", b"passport-decision-id", b"content-length"))


class HeaderBlocks(Decoder):
    """Decodes header blocks and keeps the last one in `taken`; the library is given an empty one.

    A list larger than `list_bytes` (RFC 9113 section 6.5.2), or of more than four times `headers`
    fields, ends the connection: what was not decoded cannot be skipped. Blocks of up to half of
    these bytes can be answered.
    """

    def __init__(self, list_bytes: int, headers: int) -> None:
        super().__init__(list_bytes)
        self._most_fields = _FIELDS_A_HEADER * headers
        self.taken: Sequence[tuple[bytes, bytes]] = ()

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """The block's fields into `taken`. Raises `HPACKError` as the library expects."""
        updates = 0
        at = 0
        # Each update costs a byte or two to send and a resized table to obey.
        while at < len(data) and data[at] & 0xE0 == 0x20:
            updates += 1
            if updates > _MOST_SIZE_UPDATES:
                raise HPACKDecodingError("too many size updates in one block")
            continued = data[at] & 0x1F == 0x1F
            at += 1
            while continued and at < len(data):
                continued = data[at] & 0x80 != 0
                at += 1
        # A field takes a byte at least, and far longer to decode than to send.
        if len(data) > self._most_fields and _has_more_fields(data, at, self._most_fields):
            raise OversizedHeaderListError("too many fields in one block")
        fields: Any = super().decode(data, raw=True)
        self.taken = fields
        return []


def _has_more_fields(data: bytes, at: int, most: int) -> bool:
    """Whether a header block holds more than `most` fields from `at` on (RFC 7541 section 6).

    Nothing is decoded but lengths; what is malformed is left for the decoder to find.
    """
    size = len(data)
    for _ in range(most):
        if at >= size:
            return False
        first = data[at]
        if first & 0x80:
            _, at = _integer(data, at, 0x7F)
            continue
        index, at = _integer(data, at, 0x3F if first & 0x40 else 0x0F)
        for _ in range(1 if index else 2):
            if at >= size:
                return False
            length, at = _integer(data, at, 0x7F)
            at += length
    return at < size


def _integer(data: bytes, at: int, mask: int) -> tuple[int, int]:
    """The integer in the bits of `mask` and what follows (RFC 7541 section 5.1), and its end."""
    value = data[at] & mask
    at += 1
    if value == mask:
        # More bytes than these are for no length that fits a block; the decoder says so.
        for shift in range(0, 64, 7):
            if at >= len(data):
                break
            byte = data[at]
            at += 1
            value += (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        else:
            at = len(data)
    return value, at


class BoundedEncoder(Encoder):
    """Encodes with a table of at most 4 KiB, however large a one the peer offers."""

    @property
    def header_table_size(self) -> int:
        """The size of the table in bytes."""
        size: int = self.header_table.maxsize
        return size

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        value = min(value, _TABLE_BYTES)
        self.header_table.maxsize = value
        if self.header_table.resized:
            self.table_size_changes.append(value)


class Framing(H2Connection):
    """The server side of one connection, as the library has it, with the gate's limits.

    Limits on streams, header lists and frames are the connection's to enforce; here they are told
    to the client. `blocks.taken` are the fields of the last HEADERS that gave an event.
    """

    MAX_CLOSED_STREAMS = _CLOSED_STREAMS

    def __init__(self, streams: int, header_bytes: int, headers: int) -> None:
        super().__init__(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.blocks = HeaderBlocks(2 * header_bytes, headers)
        self.decoder = self.blocks
        self.encoder = BoundedEncoder()
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: header_bytes,
            },
        )

    @property
    def open_inbound_streams(self) -> int:
        """Nothing, after the streams that ended were forgotten.

        The library would end the whole connection over one stream too many; the connection refuses
        that stream alone (RFC 9113 section 5.1.2).
        """
        self._open_streams(1)
        return 0


def known_settings(frame: bytes) -> bytes:
    """A SETTINGS frame without what nobody has defined (RFC 9113 section 6.5.2: to be ignored).

    The library would keep each of 65,536 of them.
    """
    body = frame[HEAD_BYTES:]
    if len(body) % 6:
        return frame
    kept = b"".join(
        [
            body[at : at + 6]
            for at in range(0, len(body), 6)
            if (body[at] << 8) | body[at + 1] in _KNOWN_SETTINGS
        ]
    )
    return len(kept).to_bytes(3, "big") + frame[3:HEAD_BYTES] + kept


def goaway(last_stream: int, code: int) -> bytes:
    """A GOAWAY frame (RFC 9113 section 6.8).

    Written past the library, which sends nothing after one, though streams that are under way are
    still to be answered.
    """
    return (
        b"\x00\x00\x08\x07\x00\x00\x00\x00\x00"
        + last_stream.to_bytes(4, "big")
        + code.to_bytes(4, "big")
    )


def to_encode(fields: Iterable[tuple[bytes, bytes]]) -> list[HeaderTuple | tuple[bytes, bytes]]:
    """Fields of an answer, those marked that no table should hold."""
    return [
        NeverIndexedHeaderTuple(*field) if field[0] in _NEVER_INDEXED else field for field in fields
    ]
