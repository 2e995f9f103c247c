"""The PROXY protocol header of version 2, by raw bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.proxy_v2 import (
    LOCAL,
    PROXY,
    SIGNATURE,
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX,
    UNIX_DGRAM,
    UNSPEC,
    addresses,
    checked,
    from_client,
    header,
    tlv,
)

from passgate.proxy.proxy_header import MAX_BYTES, HeaderReader, ProxyHeaderError, crc32c

# As the specification's section 2.2 lays them out, written down rather than computed.
TCP4_BYTES = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c cb007109 c0000201 1267 01bb")
TCP6_BYTES = bytes.fromhex(
    "0d0a0d0a000d0a515549540a 21 21 0024"
    "20010db8000000000000000000000009 20010db8000000000000000000000001 1267 01bb"
)

ACCEPTED = {
    "TCP over IPv4": (TCP4_BYTES, "203.0.113.9"),
    "TCP over IPv6": (TCP6_BYTES, "2001:db8::9"),
    "IPv4 in IPv6": (from_client("::ffff:203.0.113.9"), "203.0.113.9"),
    "LOCAL": (header(LOCAL, UNSPEC), ""),
    "LOCAL with what is to be discarded": (header(LOCAL, 0xFF, b"\xff" * 50), ""),
    "LOCAL with addresses": (header(LOCAL, TCP4, addresses("203.0.113.9", "192.0.2.1")), ""),
    "no family": (header(PROXY, UNSPEC), ""),
    "no family, extended": (header(PROXY, UNSPEC, tlvs=tlv(4, b"\0" * 9)), ""),
    "a Unix socket": (header(PROXY, UNIX, b"/run/a".ljust(108, b"\0") + bytes(108)), ""),
    "extended": (from_client("203.0.113.9", tlv(1, b"h2") + tlv(2, b"a.example")), "203.0.113.9"),
    "an empty value": (from_client("203.0.113.9", tlv(0xE0, b"")), "203.0.113.9"),
    "a checksum": (checked("203.0.113.9"), "203.0.113.9"),
    "a checksum among others": (
        checked("2001:db8::9", tlv(2, b"a.example"), tlv(0xEA, b"\1vpce-08d2bf15fac5001c9")),
        "2001:db8::9",
    ),
    "as long as may be": (from_client("203.0.113.9", tlv(4, bytes(536 - 28 - 3))), "203.0.113.9"),
}
REFUSED = {
    "version 1": b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n",
    "no header": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a handshake": bytes.fromhex("160301020001000000000000000000000000"),
    "another signature": SIGNATURE[:-1] + b"\r" + TCP4_BYTES[12:],
    "version 1 in the byte": header(0x11, TCP4, addresses("203.0.113.9", "192.0.2.1")),
    "version 3": header(0x31, TCP4, addresses("203.0.113.9", "192.0.2.1")),
    "a command of later": header(0x22, TCP4, addresses("203.0.113.9", "192.0.2.1")),
    "datagrams over IPv4": header(PROXY, UDP4, addresses("203.0.113.9", "192.0.2.1")),
    "datagrams over IPv6": header(PROXY, UDP6, addresses("2001:db8::9", "2001:db8::1")),
    "datagrams of a Unix socket": header(PROXY, UNIX_DGRAM, bytes(216)),
    "a family of later": header(PROXY, 0x41, bytes(100)),
    "a transport of later": header(PROXY, 0x13, addresses("203.0.113.9", "192.0.2.1")),
    "a family without a transport": header(PROXY, 0x10, bytes(12)),
    "IPv4 addresses cut short": header(PROXY, TCP4, bytes(11)),
    "IPv6 addresses cut short": header(PROXY, TCP6, addresses("203.0.113.9", "192.0.2.1")),
    "Unix addresses cut short": header(PROXY, UNIX, bytes(215)),
    "an extension without a length": from_client("203.0.113.9", b"\1\0"),
    "an extension of one byte": from_client("203.0.113.9", tlv(1, b"h2") + b"\1"),
    "an extension beyond the end": from_client("203.0.113.9", b"\1\0\2h"),
    "no family, a bad extension": header(PROXY, UNSPEC, b"\1\xff\xff"),
    "a wrong checksum": checked("203.0.113.9", flip=1),
    "a checksum of two bytes": from_client("203.0.113.9", tlv(3, bytes(2))),
    "a checksum of nothing": from_client("203.0.113.9", tlv(3, b"")),
    "two checksums": checked("203.0.113.9", before=tlv(3, bytes(4))),
    "too long": from_client("203.0.113.9", tlv(4, bytes(536 - 28 - 2))),
    "as long as it can be written": header(PROXY, TCP4, bytes(65535)),
    "LOCAL and too long": header(LOCAL, UNSPEC, bytes(521)),
}


def read(data: bytes, step: int) -> tuple[str | None, int]:
    """The client as a socket's reader learns it, and how many bytes it has taken for that."""
    reader = HeaderReader()
    taken = 0
    while taken < len(data):
        piece = data[taken : taken + min(step, reader.wanted)]
        taken += len(piece)
        client = reader.take(piece)
        if client is not None:
            return client, taken
    return None, taken


@pytest.mark.parametrize("step", [1, 7, 16, 1000])
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_header_is_read_to_its_end_and_no_further(name: str, step: int) -> None:
    """However it is cut; what follows is left for the handshake or the request."""
    data, client = ACCEPTED[name]
    assert read(data + b"GET / HTTP/1.1\r\n", step) == (client, len(data))
    assert read(data[:-1], step) == (None, len(data) - 1)


@pytest.mark.parametrize("step", [1, 7, 16, 1000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_header_is_refused(name: str, step: int) -> None:
    """By the last byte of what would be one at the latest."""
    with pytest.raises(ProxyHeaderError):
        read(REFUSED[name], step)


@pytest.mark.parametrize("at", range(12))
def test_a_wrong_signature_is_refused_at_its_first_wrong_byte(at: int) -> None:
    """Whoever speaks another protocol is not waited for."""
    reader = HeaderReader()
    for byte in SIGNATURE[:at]:
        assert reader.take(bytes((byte,))) is None
    with pytest.raises(ProxyHeaderError):
        reader.take(bytes((SIGNATURE[at] ^ 1,)))


def test_a_length_that_is_too_large_is_refused_before_what_it_announces() -> None:
    """Nobody makes the gate wait for, or hold, more than a header may have."""
    reader = HeaderReader()
    with pytest.raises(ProxyHeaderError):
        reader.take(SIGNATURE + bytes((PROXY, TCP4)) + (MAX_BYTES - 15).to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_is_that_of_the_standard(data: bytes, value: int) -> None:
    """RFC 3720 appendix B.4 has these."""
    assert crc32c(data) == value


@given(st.binary(max_size=600), st.integers(1, 40))
def test_any_bytes_are_a_header_or_are_refused(rest: bytes, step: int) -> None:
    """Nothing else is raised, and never more is taken than a header may have."""
    for data in (rest, SIGNATURE + rest, SIGNATURE + bytes((PROXY, TCP4)) + rest):
        try:
            client, taken = read(data, step)
        except ProxyHeaderError:
            continue
        assert taken <= MAX_BYTES
        assert client is not None or taken == len(data)


@given(st.integers(16, 27), st.integers(1, 255))
def test_no_flipped_bit_gets_past_a_checksum(at: int, flip: int) -> None:
    """An address that was changed on the way is nobody's."""
    data = bytearray(checked("203.0.113.9"))
    data[at] ^= flip
    with pytest.raises(ProxyHeaderError):
        read(bytes(data), 1000)
