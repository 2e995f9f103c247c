"""Hosts have one spelling here: what two readers could take for different hosts is refused."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from passgate.core.reasons import Refusal

_AUTHORITY: Final = re.compile(
    r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9_])?)\.?)(?::([0-9]{1,5}))?"
)
# The WHATWG URL standard, section 3.5, "ends in a number": such a host is read as an IPv4 address,
# also from forms like `0x7f.1` and `2130706433`.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#\\@\s]+)(?:[/?#][\x21-\x5b\x5d-\x7e]*)?")

_MAX_HEADER: Final = 512  # a name of 253 characters and a port, with white space around them

_NOT_A_HOST: Final = Refusal(
    "request_malformed", "The declared domain is neither a host nor a URL with exactly one reading."
)


def split_authority(text: str) -> tuple[str, int | None] | None:
    """Host and port of `host[:port]`, or None where that is not what `text` is.

    The host comes in lower case, without brackets and final dot, an IPv6 address in its shortest
    form and an IPv4-mapped one as IPv4. Refused: user information, percent-encoding, empty labels,
    numbers that only some readers take for an address, and anything but ASCII.
    """
    match = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    literal, name, digits = match.groups()
    if literal is not None:
        try:
            address = IPv6Address(literal)
        except AddressValueError:
            return None
        host = str(address.ipv4_mapped or address)
    else:
        if ".." in name:
            return None
        if _NUMBER.fullmatch(name) is not None:
            try:
                IPv4Address(name)
            except AddressValueError:
                return None
        host = name
    if digits is None:
        return host, None
    port = int(digits)
    return (host, port) if 0 < port < 65536 else None


def host_of_header(value: bytes) -> tuple[str, int | None] | None:
    """`split_authority` of a Host header's value (RFC 9110 section 7.2)."""
    # What is no host at any rate must not be remembered: a thousand of them could fill the memory.
    return _host_of_header(value) if len(value) <= _MAX_HEADER else None


# Requests name few hosts; a flood of invented ones only costs itself the cache.
@lru_cache(maxsize=1024)
def _host_of_header(value: bytes) -> tuple[str, int | None] | None:
    return split_authority(value.strip(b" \t").decode("latin-1"))


def domain_of(declared: str) -> str | Refusal:
    """The host that a declared domain names: that of a URL with a scheme, or of `host[:port]`.

    Refuses whatever URL readers are known to disagree on: user information, backslashes, white
    space, control characters, a missing authority, a name that is not ASCII.
    """
    match = _URL.fullmatch(declared) if declared.isascii() else None
    found = split_authority(match[1] if match is not None else declared)
    return _NOT_A_HOST if found is None else found[0]
