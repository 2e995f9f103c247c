"""A request of HTTP/2, written as the HTTP/1.1 head that it stands for and read by the same reader.

So both versions have one grammar, one set of limits and one canonical form, and what is judged of
an HTTP/2 request is what an HTTP/1.1 upstream will be sent. Here is only what HTTP/2 has of its
own: pseudo-headers, lower-case names, and what a field line could smuggle into such a head.
"""

import re
from collections.abc import Sequence
from typing import Final

from passgate.core.headers import drop_from_trailers
from passgate.proxy.grammar import HOST
from passgate.proxy.request_head import Fault, RequestHead, RequestReader

Fields = Sequence[tuple[bytes, bytes]]

# RFC 9113 section 8.2.1, and the grammar of RFC 9110 section 5.1 where that is stricter.
FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
FIELD_VALUE: Final = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_PATH: Final = re.compile(rb"/[\x21-\x7e]*+")

_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path"))
# RFC 9113 section 8.2.2; HTTP2-Settings belongs to the upgrade that RFC 9113 has dropped.
CONNECTION_FIELDS: Final = frozenset(
    (
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
_FIELD_OVERHEAD: Final = 32  # RFC 9113 section 6.5.2


def _malformed(detail: str) -> Fault:
    return Fault(400, detail)


_BAD_NAME: Final = _malformed("A header name is not a token in lower case.")
_BAD_VALUE: Final = _malformed("A header value holds a control character or outer white space.")
_BAD_PSEUDO: Final = _malformed("The pseudo-headers are unknown, repeated or out of place.")
_MISSING_PSEUDO: Final = _malformed("A pseudo-header is missing.")
_BAD_SCHEME: Final = _malformed("The scheme is not that of the connection.")
_BAD_AUTHORITY: Final = _malformed("The authority is missing, invalid, or not that of Host.")
_BAD_PATH: Final = _malformed("The path is not in origin form.")
_BAD_METHOD: Final = _malformed("The method is not accepted here.")
_HOP_BY_HOP: Final = _malformed("A header belongs to a connection, which HTTP/2 does not have.")
_BAD_TE: Final = _malformed("The TE header is not exactly trailers.")
_UNFINISHED: Final = _malformed("The request ended before its Content-Length.")
_BAD_TRAILER: Final = _malformed("A trailer is not allowed.")
_TOO_LARGE: Final = Fault(431, "The request head is too large.")


def read_request(
    fields: Fields, reader: RequestReader, header_bytes: int, *, ended: bool, tls: bool
) -> RequestHead | Fault:
    """The request of one header block; `ended` where it ends the stream, so that no body follows.

    The result is that of `RequestReader.read`: `length` is `CHUNKED` where a body of unknown length
    follows, and 0 without a body, or where Content-Length says so (the stream need not have ended).

    Refused with 400 (RFC 9113 sections 8.2 and 8.3): names that are no lower-case tokens, values
    with control characters or white space around them, pseudo-headers that are unknown, repeated,
    missing or behind other fields, headers of a connection, TE but `trailers`, an authority that is
    missing, malformed or not Host's, a scheme other than the connection's (clear text may stand
    behind somebody else's TLS, so there both do), a path not in origin form or `*`, CONNECT in
    either form. 431 beyond `header_bytes`, counted as RFC 9113 section 6.5.2 has it; whatever
    HTTP/1.1 is refused for is refused with the same words.
    """
    pseudo: dict[bytes, bytes] = {}
    hosts: list[bytes] = []
    cookies: list[bytes] = []
    lines: list[bytes] = []
    cookie_at = -1
    declared = False
    count = 0
    size = 0
    for name, value in fields:
        size += len(name) + len(value) + _FIELD_OVERHEAD
        if FIELD_VALUE.fullmatch(value) is None:
            return _BAD_VALUE
        if name[:1] == b":":
            if name not in _PSEUDO:
                return _BAD_METHOD if name == b":protocol" else _BAD_PSEUDO
            if name in pseudo or count:
                return _BAD_PSEUDO
            pseudo[name] = value
            continue
        count += 1
        if FIELD_NAME.fullmatch(name) is None:
            return _BAD_NAME
        if name in CONNECTION_FIELDS:
            return _HOP_BY_HOP
        if name == b"cookie":
            # RFC 9113 section 8.2.3: what was split for compression is one header again.
            if cookie_at < 0:
                cookie_at = len(lines) + 2
                lines += (b"cookie", b": ", b"", b"\r\n")
            cookies.append(value)
            continue
        if name == b"host":
            hosts.append(value)
            continue
        if name == b"te" and value.lower() != b"trailers":
            return _BAD_TE
        if name == b"content-length":
            declared = True
        lines += (name, b": ", value, b"\r\n")
    if size > header_bytes:
        return _TOO_LARGE
    if cookies:
        lines[cookie_at] = b"; ".join(cookies)

    method = pseudo.get(b":method")
    path = pseudo.get(b":path")
    scheme = pseudo.get(b":scheme")
    if method is not None and (method == b"CONNECT" or _METHOD.fullmatch(method) is None):
        return _BAD_METHOD
    if method is None or path is None or scheme is None:
        return _MISSING_PSEUDO
    if scheme != b"https" and (tls or scheme != b"http"):
        return _BAD_SCHEME
    if _PATH.fullmatch(path) is None and not (path == b"*" and method == b"OPTIONS"):
        return _BAD_PATH
    # RFC 9113 section 8.3.1: an authority that is not in the pseudo-header is in Host.
    authority = pseudo.get(b":authority")
    if authority is None:
        authority = hosts[0] if hosts else b""
    if len(hosts) > 1 or (hosts and hosts[0].lower() != authority.lower()):
        return _BAD_AUTHORITY
    if HOST.fullmatch(authority) is None:
        return _BAD_AUTHORITY

    head = [method, b" ", path, b" HTTP/1.1\r\nhost: ", authority, b"\r\n", *lines]
    if not ended and not declared:
        head.append(b"transfer-encoding: chunked\r\n")
    head.append(b"\r\n")
    request = reader.read(b"".join(head))
    if type(request) is RequestHead and ended and request.length:
        return _UNFINISHED
    return request


def trailer_fault(fields: Fields) -> Fault | None:
    """Why a request's trailers are unacceptable, or None; acceptable ones are left out, as over
    HTTP/1.1 (RFC 9110 section 6.5.1, RFC 9113 section 8.1)."""
    for name, value in fields:
        if FIELD_NAME.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
            return _BAD_TRAILER
        if name in CONNECTION_FIELDS or drop_from_trailers(name):
            return _BAD_TRAILER
    return None


def answer_fields(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Whole header lines, each ending in CRLF, as fields of HTTP/2: names in lower case."""
    fields = []
    for line in lines.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name.lower(), value.strip(b" \t")))
    return fields
