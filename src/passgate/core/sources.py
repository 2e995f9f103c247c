"""Where the facts that rules judge are found; each source occurs exactly once in a request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

from passgate.core.header_rules import reaches_upstream
from passgate.core.judged_body import judge_body
from passgate.core.reasons import Refusal
from passgate.core.request import Request

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])+)+")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Source:
    """One place in a request: `kind` is `header`, `query`, `path` or `body`.

    `name` is the header's lower-case name, the query's or the path's parameter, or the JSON pointer
    as written; `pointer` are its decoded tokens.
    """

    kind: str
    name: str
    pointer: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


Value: TypeAlias = str | Refusal | None
"""What a source held: text, a `Number` from a body, nothing, or why there are two readings."""


def _malformed(detail: str) -> Refusal:
    return Refusal("request_malformed", detail)


_TWICE: Final = _malformed("A header that a rule judges occurs more than once.")
_NOT_TEXT: Final = _malformed("A header that a rule judges is not plain ASCII.")
_QUERY_TWICE: Final = _malformed("A query parameter that a rule judges has more than one reading.")
_QUERY_BROKEN: Final = _malformed("The query, which a rule judges, is not well-formed UTF-8.")
_MEMBER_TWICE: Final = _malformed("A member that a rule judges has more than one reading.")
_NOT_SCALAR: Final = _malformed("A member that a rule judges is neither a text nor a number.")


def parse_source(text: str) -> Source:
    """Reads `header:NAME`, `query:NAME`, `path:NAME` or `body:JSON-POINTER` (RFC 6901).

    Raises `ValueError` for anything else, and for a header that the gate keeps from the upstream:
    what is judged must be what the upstream sees.
    """
    kind, colon, name = text.partition(":")
    if colon and kind == "header" and _HEADER_NAME.fullmatch(name):
        lower = name.lower()
        if not reaches_upstream(lower.encode()):
            raise ValueError(
                f"the header {name} never reaches the upstream, so it cannot be judged"
            )
        return Source("header", lower)
    if colon and kind in ("query", "path") and _NAME.fullmatch(name):
        return Source(kind, name)
    if colon and kind == "body" and _POINTER.fullmatch(name):
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in name[1:].split("/")]
        return Source("body", name, tuple(tokens))
    raise ValueError(
        f"{text!r} is no source: write header:NAME, query:NAME, path:NAME or body:/JSON/POINTER"
    )


class Reader:
    """Reads sources of one request; its body is parsed at most once.

    `params` are the path's parameters as the route found them.
    """

    __slots__ = ("_document", "_params", "_request")

    def __init__(self, request: Request, params: Mapping[str, str]) -> None:
        self._request = request
        self._params = params
        self._document: tuple[Any] | None = None

    def read(self, source: Source) -> Value:
        """What a source holds; None where it is absent. Names are compared after one decoding."""
        if source.kind == "header":
            return self._header(source.name.encode())
        if source.kind == "query":
            return _from_query(self._request.query, source.name)
        if source.kind == "path":
            # The judged path is well-formed UTF-8, and its route matched, so it is there once.
            return unquote_to_bytes(self._params[source.name]).decode()
        return self._body(source.pointer)

    def _header(self, name: bytes) -> Value:
        if name in self._request.sorted.connection:
            return None  # it stays behind, so for the upstream it is absent
        values = [value for sent, value in self._request.headers if sent.lower() == name]
        if not values:
            return None
        if len(values) > 1:
            return _TWICE
        value = values[0].strip(b" \t")
        return value.decode("ascii") if value.isascii() else _NOT_TEXT

    def _body(self, pointer: tuple[str, ...]) -> Value:
        body = self._request.body
        if body is None:
            raise ValueError("a body must be read whole before its sources are")
        if not body:
            return None
        if self._document is None:
            self._document = (judge_body(body, self._request.sorted),)
        document = self._document[0]
        return document if isinstance(document, Refusal) else _at(document, pointer)


def _from_query(query: bytes, name: str) -> Value:
    found: str | None = None
    folded = name.casefold()
    for part in query.split(b"&"):
        # Some servers also split at `;`, some ignore case, white space or `[…]` in names: a request
        # in which any of these would find another value than this gate does has two readings.
        pieces = part.split(b";")
        for piece in pieces:
            raw_name, _, raw_value = piece.partition(b"=")
            sent = _form_text(raw_name)
            if sent is None:
                return _QUERY_BROKEN
            if sent.partition("[")[0].strip().casefold() != folded:
                continue
            if sent != name or found is not None or len(pieces) > 1:
                return _QUERY_TWICE
            found = _form_text(raw_value)
            if found is None:
                return _QUERY_BROKEN
    return found


def _form_text(raw: bytes) -> str | None:
    """Decodes one name or value, `+` as a space; None if it is broken or not printable."""
    if _BROKEN_ESCAPE.search(raw) is not None:
        return None
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _at(document: Any, pointer: tuple[str, ...]) -> Value:
    value = document
    for token in pointer:
        if isinstance(value, dict):
            # Some readers match names without regard to case (Go's encoding/json).
            folded = token.casefold()
            if any(name.casefold() == folded and name != token for name in value):
                return _MEMBER_TWICE
            if token not in value:
                return None
            value = value[token]
        elif isinstance(value, list):
            if _INDEX.fullmatch(token) is None or int(token) >= len(value):
                return None
            value = value[int(token)]
        else:
            return None
    return value if isinstance(value, str) else _NOT_SCALAR
