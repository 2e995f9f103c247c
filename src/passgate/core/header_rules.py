"""The role of every header that means something to the gate; all others are the upstream's own.

The table says which headers stay behind, which are read, and which are both read and forwarded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from passgate.core.presented import READABLE_CARRIERS

# Roles. A dropped header goes in silence; from KEPT on a header is forwarded, also when read.
DROPPED, HOST, PASSPORT, AUTHORIZATION, REFERENCE, CHAIN, PROOF = range(7)
CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE, VIA, TRACE = range(7, 14)
FORWARDED_FOR, FORWARDED, FORWARDED_PROTO, FORWARDED_HOST = range(14, 18)
KEPT: Final = 18
PASSED, CONTENT_TYPE, CONTENT_ENCODING, ACCEPT, PREFER = range(KEPT, KEPT + 5)

# Headers by which some upstreams replace what was judged, or learn who calls. The gate drops them
# by choice: `upstream.pass_headers` can let them through.
_OVERRIDES: Final = frozenset(
    (
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-rewrite-url",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"client-cert",
        b"client-cert-chain",
    )
)
_OVERRIDE_PREFIXES: Final = (b"x-original-", b"x-forwarded-")
OWN_PREFIXES: Final = (b"x-passport-", b"passport-")
DROPPED_PREFIXES: Final = (*OWN_PREFIXES, b"proxy-", *_OVERRIDE_PREFIXES)

ROLES: Final[Mapping[bytes, int]] = MappingProxyType(
    {
        **dict.fromkeys(_OVERRIDES, DROPPED),
        # Hop by hop (RFC 9110 section 7.6.1); the `proxy-` family goes by its prefix.
        b"keep-alive": DROPPED,
        b"te": DROPPED,
        b"http2-settings": DROPPED,
        b"connection": CONNECTION,
        b"upgrade": UPGRADE,
        b"transfer-encoding": TRANSFER_ENCODING,
        b"content-length": CONTENT_LENGTH,
        b"expect": EXPECT,
        b"host": HOST,
        b"x-agent-passport": PASSPORT,
        b"authorization": AUTHORIZATION,
        b"x-modei-passport-id": REFERENCE,
        b"x-agent-passport-chain": CHAIN,
        b"dpop": PROOF,
        b"via": VIA,
        b"traceparent": TRACE,
        b"x-forwarded-for": FORWARDED_FOR,
        b"forwarded": FORWARDED,
        b"x-forwarded-proto": FORWARDED_PROTO,
        b"x-forwarded-host": FORWARDED_HOST,
        b"content-type": CONTENT_TYPE,
        b"content-encoding": CONTENT_ENCODING,
        b"accept": ACCEPT,
        b"prefer": PREFER,
    }
)
_ALNUM: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PLAIN_NAME: Final = _ALNUM + b"-"
TOKEN: Final = _ALNUM + b"!#$%&'*+-.^_`|~"  # tchar, RFC 9110 section 5.6.2
_TO_HYPHEN: Final = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """The configured part of what crosses; made by `header_rules`."""

    carriers: frozenset[str]
    accept_bearer: bool
    keep_passport: bool
    roles: Mapping[bytes, int]


def header_rules(
    *,
    carriers: Iterable[str] = READABLE_CARRIERS,
    accept_bearer: bool = False,
    keep_passport: bool = False,
    pass_headers: Iterable[str] = (),
) -> HeaderRules:
    """Compiles what `passport` and `upstream` say about headers.

    Raises `ValueError` for a carrier that this version does not read, and for a header to pass that
    is not one of those the gate drops by choice: overrides, and names with underscores.
    """
    read = frozenset(carrier.lower() for carrier in carriers)
    for carrier in read:
        if carrier not in READABLE_CARRIERS:
            raise ValueError(
                f"passports are read from {', '.join(READABLE_CARRIERS)} only, not {carrier!r}"
            )
    roles = dict(ROLES)
    for name in pass_headers:
        lower = name.lower().encode()
        if not lower or lower.translate(None, TOKEN):
            raise ValueError(f"{name!r} is no header name")
        plain = lower.translate(_TO_HYPHEN)
        if not _is_override(plain) and (plain == lower or _is_taken(plain)):
            raise ValueError(f"{name!r} is no header that the gate drops by choice")
        roles[lower] = PASSED
    return HeaderRules(read, accept_bearer, keep_passport, roles)


def _is_override(name: bytes) -> bool:
    return name in _OVERRIDES or (name.startswith(_OVERRIDE_PREFIXES) and name not in ROLES)


def _is_taken(name: bytes) -> bool:
    return name in ROLES or name.startswith(DROPPED_PREFIXES)


def is_disguised(name: bytes) -> bool:
    """Whether a server that turns odd characters into one could take this name for another."""
    return b"_" in name or (
        bool(name.translate(None, PLAIN_NAME)) and _is_taken(name.translate(_TO_HYPHEN))
    )


def reaches_upstream(name: bytes) -> bool:
    """Whether a header of this lower-case name is always forwarded as it was sent.

    What a rule reads must be what the upstream reads, so only such headers can be sources.
    """
    role = ROLES.get(name)
    if role is not None:
        return role >= KEPT
    return not name.startswith(DROPPED_PREFIXES) and not name.translate(None, PLAIN_NAME)
