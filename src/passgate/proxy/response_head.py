"""One response head of the upstream, read as strictly as a request, and what of it goes on.

An answer that two readers could frame differently is no answer: it is reported as unusable and
never passed on (RFC 9112 section 6.3).
"""

from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from passgate.core.headers import connection_names, drop_from_response
from passgate.proxy.grammar import DIGITS, RESPONSE_HEAD
from passgate.proxy.stated_cost import COST, also_stated

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

_PASS: Final = 0
_DROP: Final = 1
_LENGTH: Final = 2
_CODING: Final = 3
_CONNECTION: Final = 4
_UPGRADE: Final = 5
_DATE: Final = 6
_TRAILER: Final = 7
_COST: Final = 8
_KINDS: Final = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
    b"date": _DATE,
    b"trailer": _TRAILER,
    COST: _COST,
}
# What becomes of a header, by its name as it is spelt: upstreams use few names, so lowering and
# comparing is done once for each. Bounded, since an upstream chooses them.
_KNOWN: dict[bytes, int] = {}
_KNOWN_LIMIT: Final = 2048


def _kind_of(name: bytes) -> int:
    low = name.lower()
    kind = _KINDS.get(low)
    if kind is None:
        kind = _DROP if drop_from_response(low.replace(b"_", b"-")) else _PASS
    if len(_KNOWN) < _KNOWN_LIMIT:
        _KNOWN[name] = kind
    return kind


@dataclass(slots=True)
class ResponseHead:
    """What the gate passes on of an answer's head.

    `lines` are the status line and the end-to-end headers, without framing. `length` is the
    declared length in bytes, `CHUNKED` or `UNTIL_CLOSE`. `dated` says whether a Date is among the
    lines. `keepalive` is about the upstream's connection. `cost` is what the answer says of its
    cost, b"" where it says nothing.
    """

    status: int
    lines: bytes
    length: int
    keepalive: bool
    dated: bool
    upgrade: bytes
    trailer: bytes
    cost: bytes


class ResponseReader:
    """Reads the response heads of one upstream connection."""

    __slots__ = ("_last", "_last_bytes", "_limit", "_odd", "_passed", "_seen")

    def __init__(self, header_limit: int) -> None:
        self._limit = header_limit
        self._passed: list[bytes] = []
        self._odd: list[tuple[int, bytes]] = []
        self._seen = 0
        self._last_bytes = b""
        self._last: ResponseHead | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp for each header, in order."""
        kind = _KNOWN.get(name)
        if kind is None:
            kind = _kind_of(name)
        self._seen += 1
        if kind == _PASS:
            self._passed += (name, b": ", value, b"\r\n")
        elif kind == _DATE:
            self._passed += (name, b": ", value, b"\r\n")
            self._odd.append((kind, value))
        elif kind != _DROP:
            self._odd.append((kind, value))

    def read(self, head: bytes) -> ResponseHead | None:
        """The answer whose head is exactly `head`, or None where it must not be passed on.

        None for: what the grammar or llhttp refuse, too many headers, several Content-Length even
        if equal, Content-Length with Transfer-Encoding, a coding that is not exactly `chunked`, a
        coding in HTTP/1.0.
        """
        # Under load many answers of one second have the same head, byte for byte: comparing it with
        # the last one costs a fortieth of reading it.
        if head != self._last_bytes:
            self._last = self._read(head)
            self._last_bytes = head
        return self._last

    def _read(self, head: bytes) -> ResponseHead | None:
        match = RESPONSE_HEAD.fullmatch(head)
        if match is None:
            return None
        minor, digits, reason = match.groups()
        self._passed = passed = [b"HTTP/1.1 ", digits, b" ", reason or b"", b"\r\n"]
        odd: list[tuple[int, bytes]] = []
        self._odd = odd
        self._seen = 0
        # llhttp is fed heads alone and would wait for the body, so each head gets a new one.
        try:
            HttpResponseParser(self).feed_data(head)
        except HttpParserUpgrade:
            pass
        except HttpParserError:
            return None
        if self._seen > self._limit:
            return None

        length = UNTIL_CLOSE
        coded = False
        dated = False
        upgrade = b""
        trailer = b""
        cost = b""
        connection: list[bytes] = []
        for kind, value in odd:
            if kind == _DATE:
                dated = True
            elif kind == _LENGTH:
                value = value.strip(b" \t")
                if length != UNTIL_CLOSE or DIGITS.fullmatch(value) is None:
                    return None
                length = int(value)
            elif kind == _CODING:
                if coded or minor == b"0" or value.strip(b" \t").lower() != b"chunked":
                    return None
                coded = True
            elif kind == _CONNECTION:
                connection.append(value)
            elif kind == _UPGRADE:
                upgrade = upgrade + b", " + value if upgrade else value
            elif kind == _COST:
                cost = also_stated(cost, value.strip(b" \t"))
            else:
                trailer = trailer + b", " + value if trailer else value
        if coded:
            if length != UNTIL_CLOSE:
                return None
            length = CHUNKED
        keepalive = minor == b"1"
        if connection and not (keepalive and connection == _KEEPS):
            names = connection_names(connection)
            keepalive = b"close" not in names and (keepalive or b"keep-alive" in names)
            named = names - _CONNECTION_OPTIONS
            if named:
                _drop_named(passed, named)
        return ResponseHead(
            int(digits),
            b"".join(passed),
            length,
            keepalive,
            dated,
            upgrade.strip(b" \t"),
            trailer.strip(b" \t"),
            cost,
        )


_KEEPS: Final = [b"keep-alive"]  # to HTTP/1.1 this says nothing new
_CONNECTION_OPTIONS: Final = frozenset((b"close", b"keep-alive", b"upgrade"))


def _drop_named(passed: list[bytes], named: frozenset[bytes]) -> None:
    """Removes the headers that Connection names (RFC 9110 section 7.6.1)."""
    kept = passed[:5]
    for at in range(5, len(passed), 4):
        if passed[at].lower() not in named:
            kept += passed[at : at + 4]
    passed[:] = kept
