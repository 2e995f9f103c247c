"""Strict readers of constraint values: each returns what it promises or raises `ValueError`.

The text of the error completes the sentence "KEY ..." and says what the value must be.
"""

import re
from collections.abc import Mapping

MAX_INTEGER = 2**53 - 1
"""The greatest integer that every JSON reader keeps exact (RFC 8259 section 6)."""

MAX_ENTRIES = 1024
"""The most entries that a list may have."""

MAX_TEXT = 1024
"""The most characters that a text may have."""

_DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 366 * 86400


def count(raw: object) -> int:
    """A whole number from 0 to 2^53 - 1; true and 1.0 are none."""
    # bool is a subclass of int, and `max_total: true` is a mistake and not 1.
    if type(raw) is not int or not 0 <= raw <= MAX_INTEGER:
        raise ValueError(f"must be a whole number from 0 to {MAX_INTEGER}")
    return raw


def flag(raw: object) -> bool:
    """True or false; neither 1 nor a text is one."""
    if not isinstance(raw, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - every bad value is a ValueError
    return raw


def either(left: bool, right: bool) -> bool:
    """Two flags as one: what either asks for is asked for."""
    return left or right


def text(raw: object) -> str:
    """A text of 1 to 1,024 printable characters: no control, format or surrogate characters."""
    if not isinstance(raw, str) or not 1 <= len(raw) <= MAX_TEXT or not raw.isprintable():
        raise ValueError(f"must be a text of 1 to {MAX_TEXT} printable characters")
    return raw


def currency(raw: object) -> str:
    """A currency of ISO 4217: three capital letters."""
    code = text(raw)
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError("must be a currency of ISO 4217: three capital letters, such as EUR")
    return code


def items(raw: object) -> list[object]:
    """A list of at most 1,024 entries; a single value is not taken for a list of one."""
    if not isinstance(raw, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004 - every bad value is a ValueError
    if len(raw) > MAX_ENTRIES:
        raise ValueError(f"must be a list of at most {MAX_ENTRIES} entries")
    return list(raw)


def texts(raw: object) -> list[str]:
    """A list of printable texts."""
    entries = items(raw)
    try:
        return [text(entry) for entry in entries]
    except ValueError:
        raise ValueError(
            f"must be a list of texts of 1 to {MAX_TEXT} printable characters"
        ) from None


def members(raw: object, needed: frozenset[str], optional: frozenset[str]) -> Mapping[str, object]:
    """An object with every needed member and no member that is not named."""
    if not isinstance(raw, Mapping) or not needed <= raw.keys() <= needed | optional:
        extra = f" and may have {', '.join(sorted(optional))}" if optional else ""
        raise ValueError(f"must be an object with {', '.join(sorted(needed))}{extra}")
    return raw


def duration_s(raw: object) -> int:
    """A duration such as `90m`, in seconds: from one second to 366 days."""
    found = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= _LONGEST_S:
        raise ValueError("must be a duration from 1s to 366d, such as 90m")
    return seconds
