"""The client side of the h2 library, within the same limits as the server side of it."""

from collections.abc import Iterable
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from passgate.proxy.http2_framing import BoundedEncoder, HeaderBlocks

ANSWER_WINDOW: Final = 256 * 1024
"""How much of an answer may be on its way before the client has taken any of it."""

LAST_STREAM: Final = (1 << 31) - 3
"""A connection that has come this far carries no other request (RFC 9113 section 5.1.1)."""

_CLOSED_STREAMS: Final = 16  # it carries one at a time

# Different in nearly every request, or not to be guessed by compression (RFC 7541 section 7.1): the
# requests of many agents share one table.
_NEVER_INDEXED: Final = frozenset(
    (
        b"authorization",
        b"cookie",
        b"x-agent-passport",
        b"x-passport-assertion",
        b"x-passport-decision-id",
        b"traceparent",
        b"content-length",
    )
)


class AnswerBlocks(HeaderBlocks):
    """As `HeaderBlocks`, but the library is told of an interim status: it counts the answers."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """The block's fields into `taken`. Raises `HPACKError` as the library expects."""
        super().decode(data, raw)
        for name, value in self.taken[:1]:
            if name == b":status" and value.startswith(b"1"):
                return [HeaderTuple(name, value)]
        return []


class ClientFraming(H2Connection):
    """The client side of one connection, as the library has it; nothing may be pushed.

    `blocks.taken` are the fields of the last HEADERS that gave an event.
    """

    MAX_CLOSED_STREAMS = _CLOSED_STREAMS

    def __init__(self, header_bytes: int, headers: int) -> None:
        super().__init__(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.blocks = AnswerBlocks(2 * header_bytes, headers)
        self.decoder = self.blocks
        self.encoder = BoundedEncoder()
        self.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: ANSWER_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: header_bytes,
            },
        )


def to_encode(fields: Iterable[tuple[bytes, bytes]]) -> list[HeaderTuple | tuple[bytes, bytes]]:
    """Fields of a request, those marked that no table should hold."""
    return [
        NeverIndexedHeaderTuple(*field) if field[0] in _NEVER_INDEXED else field for field in fields
    ]


def reset(stream: int, code: int) -> bytes:
    """An RST_STREAM frame (RFC 9113 section 6.4), for when the library may have gone on already."""
    return b"\x00\x00\x04\x03\x00" + stream.to_bytes(4, "big") + code.to_bytes(4, "big")
