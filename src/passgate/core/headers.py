"""Which headers cross the gate, each way, and which of them the gate reads.

One pass over what arrived gives every header a role. Nothing that names the caller, the passport or
the judged request reaches the upstream except what the gate itself sets.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from passgate.core.header_rules import (
    ACCEPT,
    AUTHORIZATION,
    CHAIN,
    CONNECTION,
    CONTENT_DIGEST,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DROPPED,
    EXPECT,
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HOST,
    IDEMPOTENCY_KEY,
    INVALID,
    OWN_PREFIXES,
    PASSED,
    PASSPORT,
    PREFER,
    PROOF,
    REFERENCE,
    ROLES,
    SIGNATURE,
    SIGNATURE_INPUT,
    TOKEN,
    TRACE,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
    HeaderRules,
    reaches_upstream,
)
from passgate.core.hosts import host_of_header
from passgate.core.presented import Credential, Presented, choose_credential, in_authorization
from passgate.core.reasons import Refusal

# What Connection may name without taking from the upstream anything that was judged.
_CONNECTION_OPTIONS: Final = frozenset(
    (b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"proxy-connection")
)

_FIELD_VALUE: Final = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))  # RFC 9110 section 5.5
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


@dataclass(slots=True)
class SortedHeaders:
    """The headers of one request, by what becomes of them.

    `forward` is whole `Name: value` lines, each ending in CRLF, without Host, framing and what the
    gate sets itself. `host` is the raw Host value, None only in HTTP/1.0. Values that are absent
    are empty, `content_length` is then None. `connection` holds the lower-case names in Connection;
    `upgrade` is empty unless Connection asks for it and the gate can answer for what follows.
    `forwarded_for`, `forwarded`, `forwarded_proto` and `forwarded_host` are unchecked claims, see
    `client_address`. `idempotency_keys` are the values of that header. `trace_id` is that of a
    valid traceparent, which is then forwarded.

    What follows from these alone is worked out with them: `authority` is what Host names, None
    where that is malformed or absent, and `authority_text` its spelling, "" then; `credential` is
    the answer of `choose_credential`; `proving` says that a proof, or a scheme that needs one, was
    presented too. Never changed once made: equal requests may share one.
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
    idempotency_keys: tuple[bytes, ...] = ()
    authority: tuple[str, int | None] | None = None
    authority_text: str = ""
    credential: Credential | Refusal | None = None
    proving: bool = False
    signature: bytes = b""
    signature_input: bytes = b""
    content_digest: bytes = b""


_NOTHING: Final[frozenset[bytes]] = frozenset()


def sort_request(
    headers: Sequence[tuple[bytes, bytes]], rules: HeaderRules, http_minor: int = 1
) -> SortedHeaders | Refusal:
    """Gives every header of a request its role, or refuses what is malformed or ambiguous.

    Refuses with `request_malformed`: names that are no tokens, values with control characters, a
    missing (HTTP/1.1) or repeated Host, framing that two parsers could read differently (RFC 9112
    section 6), and a Connection header that would take away what the gate judges.
    """
    # All values are looked at in one go: nothing may be left over.
    if b"".join([value for _, value in headers]).translate(None, _FIELD_VALUE):
        return _BAD_VALUE

    roles = rules.roles
    seen: dict[int, list[bytes]] = {}
    lines: list[bytes] = []  # flat, four pieces a line: one join is cheaper than many
    for name, value in headers:
        role = roles[name]
        if role >= PASSED:
            lines += (name, b": ", value, b"\r\n")
            if role == PASSED:
                continue
        elif role <= DROPPED:
            if role == INVALID:
                return _BAD_NAME
            continue
        if role in seen:
            seen[role].append(value)
        else:
            seen[role] = [value]

    hosts = seen.pop(HOST, None)
    if hosts is None:
        if http_minor:
            return _BAD_HOST
        host = None
    elif len(hosts) > 1:
        return _BAD_HOST
    else:
        host = hosts[0]

    # fmt: off
    sorted_headers = SortedHeaders(
        host, (), b"", b"", b"", None, False, False, b"", _NOTHING, (), (), (), (), b"", "", b"",
        b"",
    )
    # fmt: on
    if seen:
        refusal = _read(sorted_headers, seen, lines, rules, http_minor)
        if refusal is not None:
            return refusal
        presented = sorted_headers.presented
        sorted_headers.credential = choose_credential(presented)
        sorted_headers.proving = bool(sorted_headers.signature_input) or any(
            item.kind in ("proof", "dpop") for item in presented
        )
    sorted_headers.forward = b"".join(lines)
    if host is not None:
        sorted_headers.authority = authority = host_of_header(host)
        if authority is not None:
            sorted_headers.authority_text = host.strip(b" \t").decode("ascii")
    return sorted_headers


@dataclass(slots=True)
class HeaderBlock:
    """The headers of an HTTP/1.1 request that may come again, byte for byte, as agents' do.

    What `sort_request` makes of them is kept with them, for the rules it was made under: the same
    headers and the same rules have one outcome, so the second request takes over the first one's.
    Nobody changes `fields` once they are here.
    """

    fields: list[tuple[bytes, bytes]]
    _rules: HeaderRules | None = field(default=None, init=False, repr=False, compare=False)
    _sorted: SortedHeaders | Refusal | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def sorted_under(self, rules: HeaderRules) -> SortedHeaders | Refusal:
        """`sort_request` of these headers under `rules`; after a reload they are others."""
        found = self._sorted
        if found is None or self._rules is not rules:
            self._sorted = found = sort_request(self.fields, rules)
            self._rules = rules
        return found


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
        if role == ACCEPT:
            into.accept = value if len(values) == 1 else b", ".join(values)
        elif role in (CONTENT_TYPE, CONTENT_ENCODING):
            if len(values) > 1:
                return _BAD_CONTENT
            if role == CONTENT_TYPE:
                into.content_type = value
            else:
                into.content_encoding = value
        elif role == PASSPORT:
            kind = "credential" if "x-agent-passport" in rules.carriers else "unread"
            for each in values:
                into.presented += (Presented("x-agent-passport", each.strip(b" \t"), kind),)
            if rules.keep_passport:
                for each in values:
                    lines += (b"X-Agent-Passport", b": ", each, b"\r\n")
        elif role == AUTHORIZATION:
            refusal = _read_authorization(into, values, lines, rules)
            if refusal is not None:
                return refusal
        elif role == CONTENT_LENGTH:
            # 18 digits are more than any body, and no list, sign, or other base gets through.
            if len(values) > 1 or not value.isdigit() or len(value) > 18:
                return _BAD_LENGTH
            into.content_length = int(value)
        elif role == TRANSFER_ENCODING:
            if len(values) > 1 or value.lower() != b"chunked" or not http_minor:
                return _BAD_CODING
            into.chunked = True
        elif role == CONNECTION:
            refusal = _read_connection(into, values, lines)
            if refusal is not None:
                return refusal
        elif role == TRACE:
            match = _TRACEPARENT.fullmatch(value)
            if match is not None and len(values) == 1:
                into.trace_id = match[1].decode()
                lines += (b"traceparent", b": ", value, b"\r\n")
        elif role == EXPECT:
            # RFC 9110 section 10.1.1: an HTTP/1.0 client's expectation is ignored.
            if http_minor:
                if len(values) > 1 or value.lower() != b"100-continue":
                    return _BAD_EXPECT
                into.expect_continue = True
        elif role == FORWARDED_FOR:
            into.forwarded_for = values
        elif role == FORWARDED:
            into.forwarded = values
        elif role == FORWARDED_PROTO:
            into.forwarded_proto = values
        elif role == FORWARDED_HOST:
            into.forwarded_host = values
        elif role == VIA:
            into.via = b", ".join(values)
        elif role == PREFER:
            into.prefer = b", ".join(values)
        elif role == SIGNATURE:
            into.signature = b", ".join(values)
        elif role == SIGNATURE_INPUT:
            into.signature_input = b", ".join(values)
        elif role == CONTENT_DIGEST:
            into.content_digest = b", ".join(values)
        elif role == IDEMPOTENCY_KEY:
            into.idempotency_keys = tuple([each.strip(b" \t") for each in values])
        elif role in _UNSUPPORTED_KINDS:
            carrier, kind = _UNSUPPORTED_KINDS[role]
            into.presented += tuple([Presented(carrier, each, kind) for each in values])
    if into.chunked and into.content_length is not None:
        return _BAD_FRAMING
    # RFC 9110 section 7.8: Upgrade counts only where Connection names it, and not in HTTP/1.0.
    if UPGRADE in seen and http_minor and b"upgrade" in into.connection:
        upgrade = b", ".join(seen[UPGRADE])
        if _UNJUDGED_UPGRADE.search(upgrade) is None:
            into.upgrade = upgrade
    return None


_UNSUPPORTED_KINDS: Final = {
    REFERENCE: ("x-modei-passport-id", "reference"),
    CHAIN: ("x-agent-passport-chain", "chain"),
    PROOF: ("dpop", "proof"),
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
    into.connection = connection_names(values)
    named = into.connection - _CONNECTION_OPTIONS
    if named:
        for name in named:
            if name.translate(None, TOKEN):
                return _BAD_CONNECTION
            if ROLES.get(name, DROPPED) != DROPPED:
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
    return name in _NOT_IN_RESPONSE or name.startswith(OWN_PREFIXES)


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
