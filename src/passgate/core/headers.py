"""Which headers cross the gate, each way, and which of them the gate reads.

One pass over what arrived gives every header a role. Nothing that names the caller, the passport or
the judged request reaches the upstream except what the gate itself sets.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from passgate.core.presented import READABLE_CARRIERS, Presented, in_authorization
from passgate.core.reasons import Refusal

# Roles. A dropped header goes in silence; from _KEPT on a header is forwarded, also when read.
_DROPPED, _HOST, _PASSPORT, _AUTHORIZATION, _REFERENCE, _CHAIN, _PROOF = range(7)
_CONNECTION, _CONTENT_LENGTH, _TRANSFER_ENCODING, _EXPECT, _UPGRADE, _VIA, _TRACE = range(7, 14)
_FORWARDED_FOR, _FORWARDED, _FORWARDED_PROTO, _FORWARDED_HOST = range(14, 18)
_KEPT: Final = 18
_PASSED, _CONTENT_TYPE, _CONTENT_ENCODING, _ACCEPT, _PREFER = range(_KEPT, _KEPT + 5)

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
_OWN_PREFIXES: Final = (b"x-passport-", b"passport-")
_DROPPED_PREFIXES: Final = (*_OWN_PREFIXES, b"proxy-", *_OVERRIDE_PREFIXES)

_ROLES: Final[Mapping[bytes, int]] = MappingProxyType(
    {
        **dict.fromkeys(_OVERRIDES, _DROPPED),
        # Hop by hop (RFC 9110 section 7.6.1); the `proxy-` family goes by its prefix.
        b"keep-alive": _DROPPED,
        b"te": _DROPPED,
        b"http2-settings": _DROPPED,
        b"connection": _CONNECTION,
        b"upgrade": _UPGRADE,
        b"transfer-encoding": _TRANSFER_ENCODING,
        b"content-length": _CONTENT_LENGTH,
        b"expect": _EXPECT,
        b"host": _HOST,
        b"x-agent-passport": _PASSPORT,
        b"authorization": _AUTHORIZATION,
        b"x-modei-passport-id": _REFERENCE,
        b"x-agent-passport-chain": _CHAIN,
        b"dpop": _PROOF,
        b"via": _VIA,
        b"traceparent": _TRACE,
        b"x-forwarded-for": _FORWARDED_FOR,
        b"forwarded": _FORWARDED,
        b"x-forwarded-proto": _FORWARDED_PROTO,
        b"x-forwarded-host": _FORWARDED_HOST,
        b"content-type": _CONTENT_TYPE,
        b"content-encoding": _CONTENT_ENCODING,
        b"accept": _ACCEPT,
        b"prefer": _PREFER,
    }
)
# What Connection may name without taking from the upstream anything that was judged.
_CONNECTION_OPTIONS: Final = frozenset(
    (b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"proxy-connection")
)

_ALNUM: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN_NAME: Final = _ALNUM + b"-"
_TOKEN: Final = _ALNUM + b"!#$%&'*+-.^_`|~"  # tchar, RFC 9110 section 5.6.2
_FIELD_VALUE: Final = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))  # RFC 9110 section 5.5
_TO_HYPHEN: Final = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)

# W3C Trace Context section 3.2.2.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
# After a 101 to one of these, requests follow on the stream that nothing judges any more.
_UNJUDGED_UPGRADE: Final = re.compile(rb"(?:^|[\s,])(?:h2c?|h3|http|tls)(?=[\s,/]|$)", re.I)


def _malformed(detail: str, status: int = 0) -> Refusal:
    return Refusal("request_malformed", detail, status=status)


_BAD_NAME: Final = _malformed("A header name is not a token.")
_BAD_VALUE: Final = _malformed("A header value holds a control character.")
_BAD_HOST: Final = _malformed("The request must have exactly one Host header.")
_BAD_AUTHORIZATION: Final = _malformed("The request has several different Authorization headers.")
_BAD_CONNECTION: Final = _malformed("The Connection header is malformed.")
_REMOVES_JUDGED: Final = _malformed("The Connection header names a header that the gate judges.")
_BAD_LENGTH: Final = _malformed("The Content-Length header is malformed or repeated.")
_BAD_CODING: Final = _malformed("The Transfer-Encoding header is not exactly chunked.")
_BAD_FRAMING: Final = _malformed("The request has both Content-Length and Transfer-Encoding.")
_BAD_EXPECT: Final = _malformed("The only known expectation is 100-continue.", 417)
_BAD_CONTENT: Final = _malformed("Content-Type or Content-Encoding is repeated.")


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """The configured part of what crosses; made by `header_rules`."""

    carriers: frozenset[str]
    accept_bearer: bool
    keep_passport: bool
    roles: Mapping[bytes, int]


@dataclass(slots=True)
class SortedHeaders:
    """The headers of one request, by what becomes of them.

    `forward` is whole `Name: value` lines, each ending in CRLF, without Host, framing and what the
    gate sets itself. `host` is the raw Host value, None only in HTTP/1.0. Values that are absent
    are empty, `content_length` is then None. `connection` holds the lower-case names in Connection;
    `upgrade` is empty unless Connection asks for it and the gate can answer for what follows.
    `forwarded_for`, `forwarded`, `forwarded_proto` and `forwarded_host` are unchecked claims, see
    `client_address`. `trace_id` is that of a valid traceparent, which is then forwarded.
    """

    host: bytes | None
    presented: tuple[Presented, ...]
    forward: bytes
    content_type: bytes
    content_encoding: bytes
    content_length: int | None
    chunked: bool
    expect_continue: bool
    upgrade: bytes
    connection: frozenset[bytes]
    forwarded_for: Sequence[bytes]
    forwarded: Sequence[bytes]
    forwarded_proto: Sequence[bytes]
    forwarded_host: Sequence[bytes]
    via: bytes
    trace_id: str
    accept: bytes
    prefer: bytes


_NOTHING: Final[frozenset[bytes]] = frozenset()


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
    roles = dict(_ROLES)
    for name in pass_headers:
        lower = name.lower().encode()
        if not lower or lower.translate(None, _TOKEN):
            raise ValueError(f"{name!r} is no header name")
        plain = lower.translate(_TO_HYPHEN)
        if not _is_override(plain) and (plain == lower or _is_taken(plain)):
            raise ValueError(f"{name!r} is no header that the gate drops by choice")
        roles[lower] = _PASSED
    return HeaderRules(read, accept_bearer, keep_passport, roles)


def _is_override(name: bytes) -> bool:
    return name in _OVERRIDES or (name.startswith(_OVERRIDE_PREFIXES) and name not in _ROLES)


def _is_taken(name: bytes) -> bool:
    return name in _ROLES or name.startswith(_DROPPED_PREFIXES)


def _is_disguised(name: bytes) -> bool:
    """Whether a server that turns odd characters into one could take this name for another."""
    return b"_" in name or (
        bool(name.translate(None, _PLAIN_NAME)) and _is_taken(name.translate(_TO_HYPHEN))
    )


def reaches_upstream(name: bytes) -> bool:
    """Whether a header of this lower-case name is always forwarded as it was sent.

    What a rule reads must be what the upstream reads, so only such headers can be sources.
    """
    role = _ROLES.get(name)
    if role is not None:
        return role >= _KEPT
    return not name.startswith(_DROPPED_PREFIXES) and not name.translate(None, _PLAIN_NAME)


def sort_request(
    headers: Sequence[tuple[bytes, bytes]], rules: HeaderRules, http_minor: int = 1
) -> SortedHeaders | Refusal:
    """Gives every header of a request its role, or refuses what is malformed or ambiguous.

    Refuses with `request_malformed`: names that are no tokens, values with control characters, a
    missing (HTTP/1.1) or repeated Host, framing that two parsers could read differently (RFC 9112
    section 6), and a Connection header that would take away what the gate judges.
    """
    # All names and all values are looked at in one go each: what is left over is unusual.
    odd = b"".join([name for name, _ in headers]).translate(None, _PLAIN_NAME)
    if odd and odd.translate(None, _TOKEN):
        return _BAD_NAME
    if b"".join([value for _, value in headers]).translate(None, _FIELD_VALUE):
        return _BAD_VALUE

    role_of = rules.roles.get
    seen: dict[int, list[bytes]] = {}
    lines: list[bytes] = []  # flat, four pieces a line: one join is cheaper than many
    for name, value in headers:
        lower = name.lower()
        role = role_of(lower)
        if role is None:
            if lower.startswith(_DROPPED_PREFIXES) or (odd and _is_disguised(lower)):
                continue
            if not lower:
                return _BAD_NAME
            lines += (name, b": ", value, b"\r\n")
        elif role:
            if role >= _KEPT:
                lines += (name, b": ", value, b"\r\n")
            if role in seen:
                seen[role].append(value)
            else:
                seen[role] = [value]

    hosts = seen.pop(_HOST, None)
    if hosts is None:
        if http_minor:
            return _BAD_HOST
        host = None
    elif len(hosts) > 1:
        return _BAD_HOST
    else:
        host = hosts[0]

    sorted_headers = SortedHeaders(
        host,
        (),
        b"",
        b"",
        b"",
        None,
        False,
        False,
        b"",
        _NOTHING,
        (),
        (),
        (),
        (),
        b"",
        "",
        b"",
        b"",
    )
    if seen:
        refusal = _read(sorted_headers, seen, lines, rules, http_minor)
        if refusal is not None:
            return refusal
    sorted_headers.forward = b"".join(lines)
    return sorted_headers


def _read(
    into: SortedHeaders,
    seen: dict[int, list[bytes]],
    lines: list[bytes],
    rules: HeaderRules,
    http_minor: int,
) -> Refusal | None:
    """Fills in what was seen, and corrects `lines`; iterates over the few that there are."""
    for role, values in seen.items():
        value = values[0].strip(b" \t")
        if role == _ACCEPT:
            into.accept = b", ".join(values)
        elif role in (_CONTENT_TYPE, _CONTENT_ENCODING):
            if len(values) > 1:
                return _BAD_CONTENT
            if role == _CONTENT_TYPE:
                into.content_type = value
            else:
                into.content_encoding = value
        elif role == _PASSPORT:
            kind = "credential" if "x-agent-passport" in rules.carriers else "unread"
            into.presented += tuple(
                [Presented("x-agent-passport", each.strip(b" \t"), kind) for each in values]
            )
            if rules.keep_passport:
                for each in values:
                    lines += (b"X-Agent-Passport", b": ", each, b"\r\n")
        elif role == _AUTHORIZATION:
            refusal = _read_authorization(into, values, lines, rules)
            if refusal is not None:
                return refusal
        elif role == _CONTENT_LENGTH:
            # 18 digits are more than any body, and no list, sign, or other base gets through.
            if len(values) > 1 or not value.isdigit() or len(value) > 18:
                return _BAD_LENGTH
            into.content_length = int(value)
        elif role == _TRANSFER_ENCODING:
            if len(values) > 1 or value.lower() != b"chunked" or not http_minor:
                return _BAD_CODING
            into.chunked = True
        elif role == _CONNECTION:
            refusal = _read_connection(into, values, lines)
            if refusal is not None:
                return refusal
        elif role == _TRACE:
            match = _TRACEPARENT.fullmatch(value)
            if match is not None and len(values) == 1:
                into.trace_id = match[1].decode()
                lines += (b"traceparent", b": ", value, b"\r\n")
        elif role == _EXPECT:
            # RFC 9110 section 10.1.1: an HTTP/1.0 client's expectation is ignored.
            if http_minor:
                if len(values) > 1 or value.lower() != b"100-continue":
                    return _BAD_EXPECT
                into.expect_continue = True
        elif role == _FORWARDED_FOR:
            into.forwarded_for = values
        elif role == _FORWARDED:
            into.forwarded = values
        elif role == _FORWARDED_PROTO:
            into.forwarded_proto = values
        elif role == _FORWARDED_HOST:
            into.forwarded_host = values
        elif role == _VIA:
            into.via = b", ".join(values)
        elif role == _PREFER:
            into.prefer = b", ".join(values)
        elif role in _UNSUPPORTED_KINDS:
            carrier, kind = _UNSUPPORTED_KINDS[role]
            into.presented += tuple([Presented(carrier, each, kind) for each in values])
    if into.chunked and into.content_length is not None:
        return _BAD_FRAMING
    # RFC 9110 section 7.8: Upgrade counts only where Connection names it, and not in HTTP/1.0.
    if _UPGRADE in seen and http_minor and b"upgrade" in into.connection:
        upgrade = b", ".join(seen[_UPGRADE])
        if _UNJUDGED_UPGRADE.search(upgrade) is None:
            into.upgrade = upgrade
    return None


_UNSUPPORTED_KINDS: Final = {
    _REFERENCE: ("x-modei-passport-id", "reference"),
    _CHAIN: ("x-agent-passport-chain", "chain"),
    _PROOF: ("dpop", "proof"),
}


def _read_authorization(
    into: SortedHeaders, values: list[bytes], lines: list[bytes], rules: HeaderRules
) -> Refusal | None:
    """Authorization is one credential (RFC 9110 section 11.6.2): the gate's, or the upstream's."""
    read = "authorization" in rules.carriers
    foreign = 0
    for value in values:
        item = in_authorization(value.strip(b" \t"), accept_bearer=rules.accept_bearer, read=read)
        if item is None:
            foreign += 1
        else:
            into.presented += (item,)
        if item is None or rules.keep_passport:
            lines += (b"Authorization", b": ", value, b"\r\n")
    return _BAD_AUTHORIZATION if foreign and len(values) > 1 else None


def _read_connection(
    into: SortedHeaders, values: list[bytes], lines: list[bytes]
) -> Refusal | None:
    """Removes what Connection names (RFC 9110 section 7.6.1); refuses if that is judged."""
    named = {item.strip(b" \t") for item in b",".join(values).lower().split(b",")}
    named.discard(b"")
    into.connection = frozenset(named)
    named -= _CONNECTION_OPTIONS
    if named:
        for name in named:
            if name.translate(None, _TOKEN):
                return _BAD_CONNECTION
            if _ROLES.get(name, _DROPPED) != _DROPPED:
                return _REMOVES_JUDGED
        kept: list[bytes] = []
        for start in range(0, len(lines), 4):
            if lines[start].lower() not in named:
                kept += lines[start : start + 4]
        lines[:] = kept
    return None


def connection_names(values: Iterable[bytes]) -> frozenset[bytes]:
    """The lower-case names in Connection headers, without the empty ones."""
    return frozenset(
        name for item in b",".join(values).lower().split(b",") if (name := item.strip(b" \t"))
    )


# Content-Length is no longer in any of these: framing is the connection's own business.
_NOT_IN_RESPONSE: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)
_FRAMING_AND_ROUTING: Final = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"content-encoding",
        b"content-type",
        b"trailer",
    )
)


def drop_from_response(name: bytes) -> bool:
    """Whether a header of the upstream's answer, by its lower-case name, stays behind the gate.

    That is what belongs to one hop only, and what only the gate may say. `Content-Length` is not
    among them; headers that the answer's Connection names are, see `connection_names`.
    """
    return name in _NOT_IN_RESPONSE or name.startswith(_OWN_PREFIXES)


def drop_from_trailers(name: bytes) -> bool:
    """Whether a trailer, by its lower-case name, is left out, in either direction.

    A trailer must not frame, route, authenticate or describe content (RFC 9110 section 6.5.1), and
    must not say what only the gate may say.
    """
    return name in _FRAMING_AND_ROUTING or name in _NOT_IN_RESPONSE or not reaches_upstream(name)


_NOT_SAFE: Final = re.compile(
    # What is no visible ASCII, and a percent sign before what would read as an escape of these or
    # of the percent sign: so two different values never come out the same.
    rb"[^\x21-\x7e]|%(?=[01][0-9A-Fa-f]|2[05]|7[Ff]|[89A-Fa-f][0-9A-Fa-f])"
)


def header_value(text: str) -> bytes:
    """`text` as a header value: UTF-8, percent-encoded outside 0x21-0x7e, else unchanged."""
    raw = text.encode("utf-8", "surrogatepass")
    if _NOT_SAFE.search(raw) is None:
        return raw
    return _NOT_SAFE.sub(lambda match: b"%%%02X" % match[0][0], raw)
