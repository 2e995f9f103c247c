"""One request head, read by the grammar and then by llhttp; either may refuse it.

llhttp is fast and well tested, yet lenient in spots; the grammar is strict, and what both accept
has one reading. The connection learns from here how the message is framed, and nothing else.
"""

from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from passgate.core.headers import HeaderBlock
from passgate.proxy.grammar import (
    BREAKS_LINE,
    DIGITS,
    HOST,
    PLAIN_REQUEST_LINE,
    REQUEST_HEAD,
    REQUEST_LINE,
)
from passgate.proxy.header_memo import HeaderMemo

CHUNKED: Final = -1

_NO_BODY_LINES: Final = b"\r\n"
_CHUNKED_LINES: Final = b"Transfer-Encoding: chunked\r\n\r\n"

_FRAMING: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade")
)
# After a 101 to one of these the stream holds requests that nothing judges any more; RFC 9110
# section 7.8 lets a server ignore an Upgrade, so these are.
_UNJUDGED: Final = frozenset((b"h2c", b"h2", b"http", b"tls"))


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no acceptable request: the status to answer and a sentence for its sender."""

    status: int
    detail: str


@dataclass(init=False, slots=True)
class RequestHead:
    """What the connection needs to know of a request.

    `length` is the body's length in bytes, 0 without one, or `CHUNKED`. `framing` are the lines
    that frame it towards the upstream, with the blank line. `upgrade` is the Upgrade value where
    the client asked for one and it may be passed on. `last` is true for a request after which the
    upstream must not look for another on the same connection. `block` holds the same `headers`
    where they were remembered.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    minor: int
    length: int
    framing: bytes
    keepalive: bool
    expects: bool
    upgrade: bytes
    last: bool
    block: HeaderBlock | None

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        minor: int,
        length: int = 0,
        framing: bytes = _NO_BODY_LINES,
        keepalive: bool = True,
        expects: bool = False,
        upgrade: bytes = b"",
        last: bool = False,
        block: HeaderBlock | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.minor = minor
        self.length = length
        self.framing = framing
        self.keepalive = keepalive
        self.expects = expects
        self.upgrade = upgrade
        self.last = last
        self.block = block


# Methods that clients send bodies with. With the others (RFC 9110 section 9.3.1: a body of GET "has
# no generally defined semantics") many servers never look for one, and a server that keeps its
# connection reads such a body as the next request, which nobody has judged.
_WITH_BODY: Final = frozenset(("POST", "PUT", "PATCH"))

# The decoded method of each request that comes; `str` of the same few bytes over and over.
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}


class RequestReader:
    """Reads the request heads of one connection, one whole head at a time."""

    __slots__ = ("_framing", "_header_limit", "_headers", "_memo", "_parser", "_target_limit")

    def __init__(
        self, header_limit: int, target_limit: int, memo: HeaderMemo | None = None
    ) -> None:
        self._header_limit = header_limit
        self._target_limit = target_limit
        self._memo = HeaderMemo() if memo is None else memo
        self._headers: list[tuple[bytes, bytes]] = []
        self._framing: list[tuple[bytes, bytes]] = []
        self._parser: HttpRequestParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp for each header, in order."""
        # llhttp leaves trailing white space (RFC 9112 section 5.1: it is no part of the value).
        if value and value[-1] in b" \t":
            value = value.rstrip(b" \t")
        self._headers.append((name, value))
        low = name.lower()
        if low in _FRAMING:
            self._framing.append((low, value))

    def read(self, head: bytes) -> RequestHead | Fault:
        """The request whose head is exactly `head`, up to and with its blank line.

        Refused with 400: whatever the grammar of RFC 9112 does not have, Content-Length with
        Transfer-Encoding (section 6.1), more than one of either, a length that is not one decimal
        number, a coding that is not exactly `chunked`, a coding in HTTP/1.0, a missing or repeated
        or invalid Host (section 3.2), CONNECT and TRACE. 414, 417, 431, 501 and 505 as RFC 9110
        has them.

        The headers of a plain request (no body, no options of the connection) are remembered by
        their exact bytes: the same bytes after a plain request line have the same reading, which
        neither the method nor the target can change. Line and limits are judged every time.
        """
        line = PLAIN_REQUEST_LINE.match(head)
        block = b""
        if line is not None:
            block = head[line.end() :]
            known = self._memo.find(block)
            if known is not None and len(known.fields) <= self._header_limit:
                name, target = line.groups()
                if len(target) > self._target_limit:
                    return Fault(414, "The target is too long.")
                return RequestHead(_METHODS[name], target, known.fields, 1, block=known)
        match = REQUEST_HEAD.fullmatch(head)
        if match is None:
            # RFC 9112 section 2.2: one empty line before a request is ignored.
            if head.startswith(b"\r\n") and not head.startswith(b"\r\n\r\n"):
                return self.read(head[2:])
            return explain(head)
        name, target, minor = match.groups()
        if len(target) > self._target_limit:
            return Fault(414, "The target is too long.")
        parser = self._parser
        if parser is None:
            parser = self._parser = HttpRequestParser(self)
        headers: list[tuple[bytes, bytes]] = []
        self._headers = headers
        framing: list[tuple[bytes, bytes]] = []
        self._framing = framing
        try:
            parser.feed_data(head)
        except HttpParserUpgrade:
            self._parser = None
        except HttpParserError:
            self._parser = None
            return _refused_by_llhttp(name)
        if len(headers) > self._header_limit:
            return Fault(431, "The request has too many headers.")
        method = _METHODS.get(name)
        if method is None:
            if name in (b"CONNECT", b"TRACE"):
                return Fault(400, "The method is not accepted here.")
            method = name.decode("ascii")
        request = RequestHead(method, target, headers, 1 if minor == b"1" else 0)
        # A plain request has one framing header, Host; everything else is read apart.
        if (
            len(framing) != 1
            or framing[0][0] != b"host"
            or minor != b"1"
            or HOST.fullmatch(framing[0][1]) is None
        ):
            fault = _frame(request, framing)
            if fault is not None or request.length:
                # llhttp now waits for a body that it will not be fed: the next head needs a new
                # one.
                self._parser = None
            if fault is not None:
                return fault
        if block and _is_plain(request):
            request.block = self._memo.keep(block, headers)
        return request


def _is_plain(request: RequestHead) -> bool:
    """Whether nothing in the headers says more of framing and connection than no headers would."""
    return (
        not request.length
        and request.framing is _NO_BODY_LINES
        and request.keepalive
        and not request.upgrade
    )


def _refused_by_llhttp(method: bytes) -> Fault:
    # The grammar has accepted the head, so this is a method unknown to llhttp or its second opinion
    # on framing.
    probe = HttpRequestParser(_Nothing())
    try:
        probe.feed_data(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    except HttpParserUpgrade:
        pass
    except HttpParserError:
        return Fault(501, "The method is not known here.")
    return Fault(400, "The request is malformed.")


class _Nothing:
    """Callbacks for a parser that is only asked whether it accepts its input: none."""


def _frame(request: RequestHead, fields: list[tuple[bytes, bytes]]) -> Fault | None:
    """Fills in framing and connection options, or says what is ambiguous about them."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)

    hosts = values.get(b"host", [])
    if len(hosts) > 1 or (not hosts and request.minor):
        return Fault(400, "The request must have exactly one Host header.")
    if hosts and HOST.fullmatch(hosts[0]) is None:
        return Fault(400, "The Host header is invalid.")

    codings = values.get(b"transfer-encoding")
    lengths = values.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            return Fault(400, "The request has both Content-Length and Transfer-Encoding.")
        if not request.minor:
            return Fault(400, "Transfer-Encoding is not part of HTTP/1.0.")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            return Fault(400, "The Transfer-Encoding header is not exactly chunked.")
        request.length = CHUNKED
        request.framing = _CHUNKED_LINES
    elif lengths is not None:
        if len(lengths) > 1 or DIGITS.fullmatch(lengths[0]) is None:
            return Fault(400, "The Content-Length header is malformed or repeated.")
        request.length = int(lengths[0])
        request.framing = b"Content-Length: %d\r\n\r\n" % request.length

    request.last = request.length != 0 and request.method not in _WITH_BODY

    options: set[bytes] = set()
    for value in values.get(b"connection", ()):
        options.update(option.strip(b" \t").lower() for option in value.split(b","))
    # RFC 9112 section 9.3: HTTP/1.1 persists unless told to close, HTTP/1.0 only when asked to.
    request.keepalive = b"close" not in options and (
        bool(request.minor) or b"keep-alive" in options
    )

    expectations = values.get(b"expect")
    if expectations is not None and request.minor:
        if len(expectations) > 1 or expectations[0].lower() != b"100-continue":
            return Fault(417, "The only known expectation is 100-continue.")
        request.expects = request.length != 0

    upgrades = values.get(b"upgrade")
    if upgrades is not None and request.minor and b"upgrade" in options and not request.length:
        protocols = [p.strip(b" \t") for value in upgrades for p in value.split(b",")]
        if not any(p.split(b"/", 1)[0].strip().lower() in _UNJUDGED for p in protocols):
            request.upgrade = b", ".join(p for p in protocols if p)
    return None


# No method begins with these (RFC 9110 section 5.6.2); a CR may, as the empty line that is ignored.
_NEVER_FIRST: Final = frozenset(
    (*(byte for byte in range(0x21) if byte != 0x0D), *b'"(),/:;<=>?@[\\]{}', *range(0x7F, 0x100))
)


def early_fault(start: bytes, searched: int, header_bytes: int, target_bytes: int) -> Fault | None:
    """Why no more bytes could make `start` an acceptable head, or None.

    So that a client is told at once what is wrong and holds no memory for it. The bytes before
    `searched` have been looked at already. Sizes are limits: of the head, and of the target.
    """
    if start[0] in _NEVER_FIRST:
        return Fault(400, "The request line is malformed.")
    if BREAKS_LINE.search(start, max(searched - 1, 0)) is not None:
        return Fault(400, "The request head holds a bare line ending or a null byte.")
    # A method and a version need less than 64 bytes besides the target.
    if len(start) > target_bytes + 64 and start.find(b"\r\n", 1, target_bytes + 64) < 0:
        return Fault(414, "The request line is too long.")
    if len(start) > header_bytes:
        return Fault(431, "The request head is too large.")
    return None


def explain(head: bytes) -> Fault:
    """Why `head`, which the grammar does not have, is refused."""
    line = REQUEST_LINE.match(head)
    if line is not None and (line[3], line[4]) not in ((b"1", b"1"), (b"1", b"0")):
        return Fault(505, "The gate speaks HTTP/1.1 and HTTP/1.0.")
    if head[0] not in _NEVER_FIRST and BREAKS_LINE.search(head) is not None:
        return Fault(400, "The request head holds a bare line ending or a null byte.")
    if line is None:
        return Fault(400, "The request line is malformed.")
    return Fault(400, "A header line is malformed.")
