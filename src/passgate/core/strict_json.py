"""JSON that has exactly one reading; whatever two parsers could read differently is refused.

Refused: duplicate members at any depth (RFC 8259 section 4 leaves them open), invalid UTF-8 and
lone surrogates, `NaN` and `Infinity`, integers outside I-JSON's exact range (RFC 7493 section 2.2),
numbers of more than 32 characters, and nesting deeper than 32.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from json import JSONDecoder
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Objects and arrays inside one another; more is refused, so that no reader runs out of stack."""

MAX_INTEGER = 2**53 - 1
"""The greatest integer that every JSON reader holds exactly (RFC 7493 section 2.2)."""

_MAX_NUMBER_LENGTH = 32
# From a quote to its partner, or to the end where it has none: a string that is not closed must
# not be looked through again from each quote in it, which would take time by the square.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")


def loads(raw: bytes) -> Any:
    """The value that `raw` holds, with fractions and exponents as exact `Decimal`.

    Raises `ValueError` with a sentence for anything that is not one unambiguous JSON text.
    """
    # Nesting cannot be deeper than the brackets are many, and most texts hold few.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _too_deep(raw):
        raise ValueError(f"JSON is nested deeper than {MAX_DEPTH}, or its brackets do not match")
    text = raw.decode("utf-8")  # UnicodeDecodeError is a ValueError
    value = _DECODER.decode(text)
    if "\\u" in text and has_lone_surrogate(value):
        raise ValueError("JSON holds half of a surrogate pair")
    return value


def _too_deep(raw: bytes) -> bool:
    """Whether brackets are left after cutting the innermost pairs `MAX_DEPTH` times."""
    brackets = _STRINGS.sub(b"", raw).translate(_ONE_BRACKET, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        length = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == length:
            break
    return bool(brackets)


def has_lone_surrogate(value: Any) -> bool:
    """Whether a text in `value`, as read, holds half of a pair; only `\\u` can bring one in."""
    if type(value) is str:
        return _SURROGATE.search(value) is not None
    if type(value) is dict:
        return any(has_lone_surrogate(part) for pair in value.items() for part in pair)
    if type(value) is list:
        return any(has_lone_surrogate(part) for part in value)
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("JSON names one member twice")
    return members


def _integer(text: str) -> int:
    # The length is looked at first: int() of a long text is slow on purpose of the sender.
    if len(text) > _MAX_NUMBER_LENGTH or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise ValueError("JSON holds an integer beyond 2^53 - 1")
    return number


def _fraction(text: str) -> Decimal:
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError(f"JSON holds a number of more than {_MAX_NUMBER_LENGTH} characters")
    return Decimal(text)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_DECODER = JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)

scan: Callable[[str, int], tuple[Any, int]] = _DECODER.raw_decode
"""`scan(text, at)` gives the value at `at`, without white space before it, and where it ends.

It is as strict as `loads` but for lone surrogates, and raises `ValueError` or `RecursionError`; for
texts that are too large for `loads`.
"""


def without_fractions(value: Any) -> Any:
    """`value` as `loads` gave it, each `Decimal` as its text: records hold integers only."""
    if type(value) is dict:
        return {name: without_fractions(part) for name, part in value.items()}
    if type(value) is list:
        return [without_fractions(part) for part in value]
    return str(value) if type(value) is Decimal else value
