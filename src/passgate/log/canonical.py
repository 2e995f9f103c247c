"""RFC 8785 bytes for whatever the log must hold; what has no such form is given one, never dropped.

This is the slow, general way. `lines` renders the common cases faster and to the same bytes.
"""

from typing import Any, Final

import rfc8785

# RFC 8785 takes numbers as IEEE 754 doubles: beyond this, integers are not exact (RFC 7493 2.2).
GREATEST_INT: Final = 2**53 - 1
_DEEPEST: Final = 64


def canonical(value: Any) -> bytes:
    """The canonical bytes of `value`, after making it storable.

    Every number in the result is an integer that a double holds exactly; any other number becomes
    the string of its digits. Code points that are not Unicode text become `\\udcXX`, spelt out.
    Containers deeper than 64 levels become their Python text.
    """
    return rfc8785.dumps(_storable(value, 0))


def _storable(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if kind is int:
        return value if -GREATEST_INT <= value <= GREATEST_INT else str(value)
    if value is None or kind is bool:
        return value
    if depth < _DEEPEST:
        if isinstance(value, dict):
            return {
                _storable(str(key), depth): _storable(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [_storable(item, depth + 1) for item in value]
    return _storable(str(value), depth)
