"""The JSON of a list of any length, read piece by piece: no more of it is in memory than a piece.

Not compiled: reading a million entries must let requests through in between, which the interpreter
does after each entry and compiled code does not.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from typing import Any, Final

from passgate.core import strict_json

LONGEST_VALUE: Final = 64 * 1024
"""Characters of one entry, or of a member that is not the list itself."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def read_members(
    pieces: Iterable[bytes], listed: str, take: Callable[[Any], None]
) -> dict[str, Any]:
    """The members of the JSON object whose bytes `pieces` are, as `strict_json.loads` reads them.

    The member `listed` is an array; each of its entries goes to `take` as soon as it was read, and
    what the result has of it is how many there were. Raises `ValueError` with a sentence for what
    is not one unambiguous object, for a `listed` that is no array, and whatever `take` raises.
    """
    text = _Text(pieces)
    members: dict[str, Any] = {}
    text.expect("{")
    if text.peek() == "}":
        text.expect("}")
    else:
        more = True
        while more:
            name = text.value()
            if type(name) is not str or name in members:
                raise _ambiguous()
            text.expect(":")
            if name != listed:
                members[name] = text.value()
            elif text.peek() == "[":
                members[name] = text.entries(take)
            else:
                raise ValueError(f"the revocation list needs a list `{listed}`")
            more = text.expect(",}") == ","
    if text.peek():
        raise _ambiguous()
    return members


class _Text:
    """What is left of the text: `_text` from `_at` on, and then `_pieces`."""

    __slots__ = ("_at", "_decode", "_ended", "_escaped", "_pieces", "_text")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decode = getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._ended = False
        self._escaped = False

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read_on()

    def expect(self, among: str) -> str:
        """The next character, read, which must be one of `among`."""
        found = self.peek()
        if found == "" or found not in among:
            raise _ambiguous()
        self._at += 1
        return found

    def value(self) -> Any:
        """The next value, read."""
        self.peek()
        while not self._ended and len(self._text) - self._at < LONGEST_VALUE:
            self._read_on()
        try:
            value, end = strict_json.scan(self._text, self._at)
        except (ValueError, RecursionError):
            raise _ambiguous() from None
        if end - self._at >= LONGEST_VALUE:
            raise ValueError(f"a value in the revocation list has {LONGEST_VALUE} characters")
        if self._escaped and strict_json.has_lone_surrogate(value):
            raise _ambiguous()
        self._at = end
        return value

    def entries(self, take: Callable[[Any], None]) -> int:
        """Hands each entry of the array that comes next to `take`; returns how many there were."""
        self.expect("[")
        if self.peek() == "]":
            self.expect("]")
            return 0
        count = 0
        while True:
            take(self.value())
            count += 1
            if self.expect(",]") == "]":
                return count

    def _read_on(self) -> None:
        piece = next(self._pieces, b"")
        self._ended = not piece
        try:
            new = self._decode(piece, self._ended)
        except UnicodeDecodeError:
            raise _ambiguous() from None
        self._text = self._text[self._at :] + new
        self._at = 0
        self._escaped = "\\u" in self._text


def _ambiguous() -> ValueError:
    return ValueError("the revocation list is not unambiguous JSON")
