"""A judged body has one reading: plain UTF-8 JSON, no member named twice, numbers exact."""

import re
from itertools import accumulate
from json import JSONDecoder
from typing import Any, Final, NoReturn

from passgate.core.headers import SortedHeaders
from passgate.core.reasons import Refusal

MAX_DEPTH: Final = 64
"""Objects and arrays inside one another in a judged body."""

_TCHAR: Final = r"[!#$%&'*+.^_`|~0-9a-z-]"
_TYPE: Final = re.compile(
    rf"(?:application/json|{_TCHAR}+/{_TCHAR}+\+json)"
    rf'((?:[ \t]*;[ \t]*{_TCHAR}+=(?:{_TCHAR}+|"[^"\\]*"))*)[ \t;]*'.encode(),
    re.IGNORECASE,
)
_CHARSET: Final = re.compile(rb'[; \t]charset="?([^"; \t]*)', re.IGNORECASE)
# To the end where a string is not closed: looked through again from each quote in it, it would take
# time by the square.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_WHOLE_ESCAPE: Final = re.compile(
    rb"\\(?:[^u]|u(?![dD][89a-fA-F])|u[dD][89abAB]..\\u[dD][c-fC-F])", re.DOTALL
)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_BRACKET: Final = bytes.maketrans(b"{}", b"[]")
_STEPS: Final = {ord("["): 1, ord("]"): -1}
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,17}))?")
_MAX_DIGITS: Final = 18

_NOT_JSON_TYPE: Final = Refusal(
    "request_malformed",
    "A rule judges this body: it must be JSON in UTF-8, without a content coding.",
    status=415,
)
_NOT_JSON: Final = Refusal(
    "request_malformed", "A rule judges this body: it must be JSON with exactly one reading."
)
_TOO_DEEP: Final = Refusal("request_malformed", "The body is nested too deeply to be judged.")


class Number(str):
    """A JSON number as it was written; read it with `plain_decimal`, never as a float."""

    __slots__ = ()


def judge_body(body: bytes, headers: SortedHeaders) -> Any | Refusal:
    """The value that a body holds, its numbers as `Number`.

    Refuses with 415 a content coding, another type than `application/json` or `+json`, and another
    charset than UTF-8; with 400 what is not JSON (RFC 8259), names a member twice anywhere, holds
    half of a surrogate pair, or is nested deeper than 64.
    """
    declared = _TYPE.fullmatch(headers.content_type)
    if declared is None or headers.content_encoding:
        return _NOT_JSON_TYPE
    charsets = _CHARSET.findall(declared[1])
    if charsets and [name.lower() for name in charsets] != [b"utf-8"]:
        return _NOT_JSON_TYPE
    # Nesting cannot be deeper than the brackets are many, and most bodies hold few.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _too_deep(body):
        return _TOO_DEEP
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except ValueError:  # also UnicodeDecodeError and JSONDecodeError
        return _NOT_JSON
    # RFC 8259 section 8.2 leaves open what a reader makes of half a pair: where all of them become
    # one character, two names may become one. Halves come only by escapes, and those are sound.
    if b"\\u" in body and b"\\" in _WHOLE_ESCAPE.sub(b"", body):
        return _NOT_JSON
    return value


def plain_decimal(text: str) -> tuple[int, int] | None:
    """(digits, scale) of a plain decimal: 7.42 is (742, 2); None for anything else.

    No sign, exponent, leading zero or white space, and at most 18 digits.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups("")
    if len(whole) + len(fraction) > _MAX_DIGITS:
        return None
    return int(whole + fraction), len(fraction)


def _too_deep(body: bytes) -> bool:
    """Whether more than `MAX_DEPTH` brackets are open at once somewhere, outside of strings."""
    brackets = _STRING.sub(b"", body).translate(_ONE_BRACKET, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_DECODER: Final = JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
)
