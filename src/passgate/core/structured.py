"""The part of structured fields (RFC 9651) that signatures are written in, read strictly.

A dictionary whose members are inner lists of strings, or byte sequences, with parameters. What the
grammar allows besides (tokens, decimals, dates, display strings) has no place there and is refused.
"""

import re
from binascii import Error, a2b_base64
from typing import Final, TypeAlias

Bare: TypeAlias = str | int | bytes | bool
Parameters: TypeAlias = dict[str, Bare]


class Item:
    """One string of an inner list with its parameters."""

    __slots__ = ("parameters", "value")

    def __init__(self, value: str, parameters: Parameters) -> None:
        self.value = value
        self.parameters = parameters


class Member:
    """A member of a dictionary: an inner list (`items`), or a byte sequence (`octets`).

    `text` is how it was written, which is what a signature is over.
    """

    __slots__ = ("items", "octets", "parameters", "text")

    def __init__(
        self,
        items: list[Item] | None,
        octets: bytes | None,
        parameters: Parameters,
        text: str,
    ) -> None:
        self.items = items
        self.octets = octets
        self.parameters = parameters
        self.text = text


_KEY: Final = re.compile(r"[a-z*][a-z0-9_.*-]{0,63}")
_STRING: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){0,1024})"')
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_OCTETS: Final = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
_ESCAPED: Final = re.compile(r'\\(["\\])')
_BOOLEAN: Final = re.compile(r"\?([01])")
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")

MAX_MEMBERS: Final = 16
_MAX_ITEMS: Final = 64
_MAX_PARAMETERS: Final = 16


def read_dictionary(text: str) -> dict[str, Member]:
    """The members of a dictionary, at most 16. Raises `ValueError` with a sentence.

    A key that stands twice is refused, where the grammar would let the last one count: a signature
    must not depend on which of two a reader takes.
    """
    reader = _Reader(text)
    members: dict[str, Member] = {}
    while True:
        key = reader.take(_KEY, "a key")
        if key in members:
            raise ValueError("a key of the dictionary stands twice")
        if len(members) >= MAX_MEMBERS:
            raise ValueError("the dictionary has too many members")
        reader.expect("=")
        members[key] = reader.member()
        if reader.at_end():
            return members
        reader.take(_COMMA, "a comma")


class _Reader:
    """Where reading has come to in a text."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text.strip(" ")
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._text)

    def take(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"the dictionary lacks {what}")
        self._at = match.end()
        return match[match.lastindex or 0]

    def expect(self, character: str) -> None:
        if not self._next_is(character):
            raise ValueError(f"the dictionary lacks {character!r}")
        self._at += 1

    def member(self) -> Member:
        start = self._at
        items: list[Item] | None = None
        octets: bytes | None = None
        if self._next_is("("):
            items = self._items()
        else:
            octets = self._octets()
        parameters = self._parameters()
        return Member(items, octets, parameters, self._text[start : self._at])

    def _items(self) -> list[Item]:
        self._at += 1
        items: list[Item] = []
        while not self._next_is(")"):
            if items:
                self.expect(" ")
            if len(items) >= _MAX_ITEMS:
                raise ValueError("an inner list has too many items")
            value = self._string()
            items.append(Item(value, self._parameters()))
        self._at += 1
        return items

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._next_is(";"):
            self._at += 1
            key = self.take(_KEY, "a parameter's key")
            if key in found or len(found) >= _MAX_PARAMETERS:
                raise ValueError("a parameter stands twice, or there are too many")
            value: Bare = True
            if self._next_is("="):
                self._at += 1
                value = self._bare()
            found[key] = value
        return found

    def _bare(self) -> Bare:
        if self._next_is('"'):
            return self._string()
        if self._next_is(":"):
            return self._octets()
        if self._next_is("?"):
            return self.take(_BOOLEAN, "a boolean") == "1"
        return int(self.take(_INTEGER, "a whole number"))

    def _string(self) -> str:
        text = self.take(_STRING, "a string")
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text

    def _octets(self) -> bytes:
        text = self.take(_OCTETS, "a byte sequence")
        try:
            return a2b_base64(text.encode("ascii"), strict_mode=True) if text else b""
        except Error:
            raise ValueError("a byte sequence is not base64") from None

    def _next_is(self, character: str) -> bool:
        return self._text[self._at : self._at + 1] == character
