"""The role of every header that means something to the gate; all others are the upstream's own.

The table says which headers stay behind, which are read, and which are both read and forwarded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from passgate.core.presented import READABLE_CARRIERS

# Roles. A dropped header goes in silence; from PASSED on a header is forwarded, after it also read.
INVALID: Final = -1
DROPPED, HOST, PASSPORT, AUTHORIZATION, REFERENCE, CHAIN, PROOF = range(7)
CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE, VIA, TRACE = range(7, 14)
FORWARDED_FOR, FORWARDED, FORWARDED_PROTO, FORWARDED_HOST = range(14, 18)
PASSED, CONTENT_TYPE, CONTENT_ENCODING, ACCEPT, PREFER, IDEMPOTENCY_KEY = range(18, 24)
SIGNATURE, SIGNATURE_INPUT, CONTENT_DIGEST = range(24, 27)

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
        b"x-client-dn",
        b"x-arr-clientcert",
    )
)
# Those after the first two say whose certificate a proxy has verified (X-Forwarded-Client-Cert is
# one as well): the gate verifies itself, and passes no such word on.
_OVERRIDE_PREFIXES: Final = (
    *(b"x-original-", b"x-forwarded-"),
    *(b"x-ssl-", b"ssl-client-", b"x-client-cert", b"x-amzn-mtls-"),
)
OWN_PREFIXES: Final = (b"x-passport-", b"passport-")
_DROPPED_PREFIXES: Final = (*OWN_PREFIXES, b"proxy-", *_OVERRIDE_PREFIXES)

ROLES: Final[Mapping[bytes, int]] = MappingProxyType(
    {
        **dict.fromkeys(_OVERRIDES, DROPPED),
        # Hop by hop (RFC 9110 section 7.6.1); the `proxy-` family goes by its prefix.
        b"keep-alive": DROPPED,
        b"te": DROPPED,
        b"http2-settings": DROPPED,
        # Trailers themselves are not passed on, so nothing may announce them.
        b"trailer": DROPPED,
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
        b"signature": SIGNATURE,
        b"signature-input": SIGNATURE_INPUT,
        b"content-digest": CONTENT_DIGEST,
        b"idempotency-key": IDEMPOTENCY_KEY,
    }
)

_ALNUM: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN_NAME: Final = _ALNUM + b"-"
TOKEN: Final = _ALNUM + b"!#$%&'*+-.^_`|~"  # tchar, RFC 9110 section 5.6.2
_MAX_KEPT_NAMES: Final = 2048
_MAX_KEPT_NAME: Final = 64
_TO_HYPHEN: Final = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)


class Roles(dict[bytes, int]):
    """Roles by name as it was sent, worked out when a name is first seen.

    Clients send the same few names, so nearly every look-up is one of a dict. Bounded, because
    anyone may send any name.
    """

    def __init__(self, passed: frozenset[bytes]) -> None:
        super().__init__()
        self._passed = passed

    def __missing__(self, name: bytes) -> int:
        role = self._role(name)
        if len(name) <= _MAX_KEPT_NAME:
            if len(self) >= _MAX_KEPT_NAMES:
                self.clear()
            self[name] = role
        return role

    def _role(self, name: bytes) -> int:
        if not name or name.translate(None, TOKEN):
            return INVALID
        lower = name.lower()
        if lower in self._passed:
            return PASSED
        role = ROLES.get(lower)
        if role is not None:
            return role
        if lower.startswith(_DROPPED_PREFIXES) or _is_disguised(lower):
            return DROPPED
        return PASSED


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """The configured part of what crosses; made by `header_rules`."""

    carriers: frozenset[str]
    accept_bearer: bool
    keep_passport: bool
    roles: Roles


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
    passed = set()
    for name in pass_headers:
        lower = name.lower().encode()
        if not lower or lower.translate(None, TOKEN):
            raise ValueError(f"{name!r} is no header name")
        plain = lower.translate(_TO_HYPHEN)
        if not _is_override(plain) and (plain == lower or _is_taken(plain)):
            raise ValueError(f"{name!r} is no header that the gate drops by choice")
        passed.add(lower)
    return HeaderRules(read, accept_bearer, keep_passport, Roles(frozenset(passed)))


def _is_override(name: bytes) -> bool:
    return name in _OVERRIDES or (name.startswith(_OVERRIDE_PREFIXES) and name not in ROLES)


def _is_taken(name: bytes) -> bool:
    return name in ROLES or name.startswith(_DROPPED_PREFIXES)


def _is_disguised(name: bytes) -> bool:
    """Whether a server that turns odd characters into one could take this name for another."""
    return b"_" in name or (
        bool(name.translate(None, _PLAIN_NAME)) and _is_taken(name.translate(_TO_HYPHEN))
    )


def reaches_upstream(name: bytes) -> bool:
    """Whether a header of this lower-case name is always forwarded as it was sent.

    What a rule reads must be what the upstream reads, so only such headers can be sources.
    """
    role = ROLES.get(name)
    if role is not None:
        return role >= PASSED
    return not name.startswith(_DROPPED_PREFIXES) and not name.translate(None, _PLAIN_NAME)
