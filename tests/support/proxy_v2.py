"""PROXY protocol v2 headers, built byte by byte from the specification, wrong ones too."""

import ipaddress
import struct

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UDP6, UNIX, UNIX_DGRAM = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32


def header(command: int, family: int, addresses: bytes = b"", tlvs: bytes = b"") -> bytes:
    """A header with whatever it is told to hold, of the right length."""
    rest = addresses + tlvs
    return SIGNATURE + bytes((command, family)) + struct.pack(">H", len(rest)) + rest


def addresses(source: str, destination: str) -> bytes:
    """The address block of two IP addresses of one version."""
    packed = [ipaddress.ip_address(text).packed for text in (source, destination)]
    return b"".join(packed) + struct.pack(">HH", 4711, 443)


def from_client(source: str, tlvs: bytes = b"") -> bytes:
    """What a load balancer sends for a client at `source`."""
    if ":" in source:
        return header(PROXY, TCP6, addresses(source, "2001:db8::1"), tlvs)
    return header(PROXY, TCP4, addresses(source, "192.0.2.1"), tlvs)


def tlv(kind: int, value: bytes) -> bytes:
    """One type-length-value."""
    return struct.pack(">BH", kind, len(value)) + value


def checked(source: str, before: bytes = b"", after: bytes = b"", flip: int = 0) -> bytes:
    """A header with its CRC32C between other values; `flip` makes it wrong."""
    blank = from_client(source, before + tlv(3, bytes(4)) + after)
    at = len(blank) - len(after) - 4
    crc = _crc32c(blank) ^ flip
    return blank[:at] + struct.pack(">I", crc) + blank[at + 4 :]


def _crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 9260 appendix A defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
