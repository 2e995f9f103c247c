"""What the gate vouches for in the head of the upstream's request: who calls, and from where."""

from functools import lru_cache
from typing import Final

from passgate.core.client_address import UNIX
from passgate.core.generations import Generations
from passgate.core.headers import header_value
from passgate.core.newcomers import Newcomers
from passgate.core.passport import Passport
from passgate.core.request import Request

_MAX_IDENTITIES: Final = 6000
_MAX_HOP_LINES: Final = 4096
_MAX_KEPT_BYTES: Final = 1024

_identities: Final[Generations[tuple[str, str, str], bytes]] = Generations(_MAX_IDENTITIES)
_newcomers: Final = Newcomers()


def identity_lines(passport: Passport, tier: str, action: str) -> bytes:
    """The `X-Passport-*` lines of a verified passport, kept for those that talk lately."""
    key = (passport.digest, action, tier)
    lines = _identities.find(key)
    if lines is None:
        lines = (
            b"X-Passport-Id: %b\r\nX-Passport-Agent: %b\r\nX-Passport-Issuer: %b\r\n"
            b"X-Passport-Tier: %b\r\nX-Passport-Action: %b\r\nX-Passport-Access: passport\r\n"
        ) % tuple(
            header_value(text)
            for text in (passport.id, passport.agent, passport.issuer, tier, action)
        )
        principal = passport.principal
        if principal is not None:
            lines += b"X-Passport-Principal: %b\r\n" % header_value(principal.subject)
            if principal.levels:
                lines += b"X-Passport-Assurance: %b\r\n" % header_value(principal.levels)
        if len(lines) <= _MAX_KEPT_BYTES and _newcomers.came(key):
            _identities.keep(key, lines)
    return lines


@lru_cache(maxsize=1024)
def anonymous_lines(action: str) -> bytes:
    """The `X-Passport-*` lines of a request that came without any credential."""
    return b"X-Passport-Action: %b\r\nX-Passport-Access: anonymous\r\n" % header_value(action)


def hop_lines(request: Request) -> bytes:
    """`X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via`, kept for as many clients as talk at once.

    They name only what the gate saw itself and what trusted proxies vouched for. A client on a Unix
    socket is `unknown` in Forwarded and absent from X-Forwarded-For; an absent Host is left out.
    """
    key = (request.client, request.hops, request.authority, request.scheme, request.sorted.via)
    lines = _hop_lines.get(key)
    if lines is None:
        lines = _make_hop_lines(*key)
        # Of what clients write only short lines are kept: Via may be as long as a whole head.
        if len(lines) <= _MAX_KEPT_BYTES:
            if len(_hop_lines) >= _MAX_HOP_LINES:
                _hop_lines.clear()
            _hop_lines[key] = lines
    return lines


_hop_lines: Final[dict[tuple[str, tuple[str, ...], str, str, bytes], bytes]] = {}


def _make_hop_lines(
    client: str, hops: tuple[str, ...], authority: str, scheme: str, via: bytes
) -> bytes:
    addresses = (client, *hops)
    elements = [_element(address) for address in addresses]
    elements[0] += f";proto={scheme}"
    lines = f"X-Forwarded-Proto: {scheme}\r\n"
    listed = ", ".join([address for address in addresses if address != UNIX])
    if listed:
        lines += f"X-Forwarded-For: {listed}\r\n"
    if authority:
        elements[0] += f';host="{authority}"'
        lines += f"X-Forwarded-Host: {authority}\r\n"
    lines += f"Forwarded: {', '.join(elements)}\r\n"
    return lines.encode("ascii") + b"Via: %b1.1 passgate\r\n" % (via + b", " if via else b"")


def _element(address: str) -> str:
    if address == UNIX:
        return "for=unknown"
    return f'for="[{address}]"' if ":" in address else f"for={address}"
