"""The PROXY protocol, version 2: who the client is, by the word of the load balancer before TLS.

The header is read to its last byte and not one further, so that whatever follows it (a handshake,
a request) is left where it is. Source: the PROXY protocol specification of HAProxy, versions 1 & 2,
section 2.2.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from passgate.core.client_address import normal_address

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_PREFIX: Final = 16
MAX_BYTES: Final = 536
"""The longest header that is read: one segment of the smallest TCP, as senders have to keep to."""

_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_CRC32C: Final = 0x03
# Bytes of the addresses by family and transport; datagrams cannot have come by a stream.
_UNSPECIFIED: Final = 0x00
_TCP4: Final = 0x11
_TCP6: Final = 0x21
_UNIX: Final = 0x31
_ADDRESS_BYTES: Final = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class ProxyHeaderError(ValueError):
    """What came is no header that this gate takes; the connection has to be closed."""


class HeaderReader:
    """Reads one header from as many pieces as it comes in.

    Never read more than `wanted` bytes at a time: then nothing after the header is consumed.
    """

    __slots__ = ("_data", "_total")

    def __init__(self) -> None:
        self._data = b""
        self._total = _PREFIX

    @property
    def wanted(self) -> int:
        """How many bytes may be read next."""
        return self._total - len(self._data)

    def take(self, piece: bytes) -> str | None:
        """The client's address once the header is whole, else None.

        "" says that the header names none (LOCAL, an unspecified family, a Unix socket): the
        connection is then the load balancer's own. Raises `ProxyHeaderError` as soon as it is clear
        that no acceptable header comes.
        """
        data = self._data = self._data + piece
        if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
            raise ProxyHeaderError("no signature")
        if len(data) < _PREFIX:
            return None
        if len(data) == _PREFIX:
            self._total = _PREFIX + int.from_bytes(data[14:16], "big")
            if self._total > MAX_BYTES:
                raise ProxyHeaderError("too long")
        return client_of(data) if len(data) == self._total else None


def client_of(header: bytes) -> str:
    """The address that a whole header names, "" for none. Raises `ProxyHeaderError`."""
    command, family = header[12], header[13]
    if command == _LOCAL:
        return ""  # all that follows is to be discarded, the family too
    if command != _PROXY:
        raise ProxyHeaderError("not a command of version 2")
    length = _ADDRESS_BYTES.get(family)
    if length is None:
        raise ProxyHeaderError("not a stream of a known family")
    end = _PREFIX + length
    if len(header) < end:
        raise ProxyHeaderError("the addresses are cut short")
    _read_extensions(header, end)
    if family == _TCP4:
        return str(IPv4Address(header[16:20]))
    if family == _TCP6:
        return normal_address(str(IPv6Address(header[16:32]))) or ""
    return ""


def _read_extensions(header: bytes, at: int) -> None:
    """Walks over the type-length-values; a checksum among them has to be right."""
    checked = False
    while at < len(header):
        if at + 3 > len(header):
            raise ProxyHeaderError("an extension is cut short")
        kind, length = struct.unpack_from(">BH", header, at)
        at += 3
        if at + length > len(header):
            raise ProxyHeaderError("an extension is cut short")
        if kind == _CRC32C:
            if length != 4 or checked:
                raise ProxyHeaderError("a checksum is malformed or repeated")
            checked = True
            zeroed = header[:at] + bytes(4) + header[at + 4 :]
            if crc32c(zeroed) != int.from_bytes(header[at : at + 4], "big"):
                raise ProxyHeaderError("the checksum is wrong")
        at += length


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE: Final = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, RFC 9260 appendix A."""
    table = _CRC_TABLE
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
