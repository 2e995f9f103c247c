"""What the gate tells the upstream about the hops before it; nothing of it is a client's word."""

from typing import Final

from passgate.core.client_address import UNIX
from passgate.core.request import Request

PSEUDONYM: Final = b"passgate"
"""The gate's name in Via (RFC 9110 section 7.6.3)."""


def forwarding_lines(request: Request) -> bytes:
    """`X-Forwarded-For`, `-Proto` and `-Host`, `Forwarded` (RFC 7239) and `Via`, as header lines.

    The addresses are the client and the trusted proxies after it. A client on a Unix socket is
    `unknown` in Forwarded and absent from X-Forwarded-For; an absent Host is left out.
    """
    scheme = request.scheme
    authority = request.authority
    addresses = (request.client, *request.hops)
    listed = ", ".join([address for address in addresses if address != UNIX])
    elements = [_element(address) for address in addresses]
    elements[0] += f";proto={scheme}"
    lines = f"X-Forwarded-Proto: {scheme}\r\n"
    if listed:
        lines += f"X-Forwarded-For: {listed}\r\n"
    if authority:
        elements[0] += f';host="{authority}"'
        lines += f"X-Forwarded-Host: {authority}\r\n"
    via = request.sorted.via
    return (
        f"{lines}Forwarded: {', '.join(elements)}\r\n".encode("ascii")
        + (b"Via: " + via + b", 1.1 " if via else b"Via: 1.1 ")
        + PSEUDONYM
        + b"\r\n"
    )


def _element(address: str) -> str:
    if address == UNIX:
        return "for=unknown"
    return f'for="[{address}]"' if ":" in address else f"for={address}"
