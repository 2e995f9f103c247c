"""Personal data in what a request says: found by what its numbers prove, not by their shape alone.

Card numbers (Luhn), social security numbers of the United States, IBANs, and e-mail addresses where
there are many. What is spelt out, encoded or split over members is not found: this catches
accidents and the careless, and proves nothing about who hides it on purpose.
"""

from dataclasses import dataclass
from json import dumps
from json.encoder import encode_basestring
from typing import Any, Final

from passgate.core.judged_body import Number
from passgate.core.personal_spans import (
    CARD,
    EMAIL,
    IBAN,
    MOST_LOOKED_AT,
    NAMES_SSN,
    SEPARATORS,
    SSN,
    Patience,
    spans,
)

FEW_ADDRESSES: Final = 5
"""E-mail addresses that one request may hold without being an export of them."""

HIDDEN: Final = "[redacted]"

UNEXAMINED: Final = "unexamined"
"""What is found where more looks like personal data than is looked at: nobody knows the rest."""

_MOST_PASSES: Final = 8


@dataclass(frozen=True, slots=True)
class Personal:
    """What a document and other texts hold: counts by kind, in a fixed order, none of them 0.

    The same thing counts once, however it is capitalised and parted. `unexamined` is among them
    where there was too much to look at.
    """

    found: tuple[tuple[str, int], ...]

    @property
    def exports(self) -> bool:
        """Whether this is more than a request may hold."""
        return any(kind != EMAIL or count > FEW_ADDRESSES for kind, count in self.found)


def examine(document: Any, texts: tuple[str, ...] = ()) -> Personal:
    """What a judged body (see `judge_body`) holds in its members' names and values, and `texts`."""
    distinct: dict[str, set[str]] = {CARD: set(), SSN: set(), IBAN: set(), EMAIL: set()}
    patience = Patience()

    def look(text: str, named: bool) -> None:
        for start, end, kind in _spans(text, named, patience):
            shown = text[start:end]
            if kind != EMAIL:
                shown = SEPARATORS.sub("", shown)
            distinct[kind].add(shown.casefold())

    for text in texts:
        look(text, False)
    waiting: list[tuple[Any, bool]] = [(document, False)]
    while waiting and not patience.gone:
        value, named = waiting.pop()
        if isinstance(value, dict):
            for name, member in value.items():
                look(name, False)
                waiting.append((member, NAMES_SSN.search(name) is not None))
        elif isinstance(value, list):
            waiting.extend([(item, named) for item in value])
        elif isinstance(value, str):
            look(value, named)
    found = [(kind, len(each)) for kind, each in distinct.items() if each]
    if patience.gone:
        found.append((UNEXAMINED, 1))
    return Personal(tuple(found))


def redacted(document: Any, personal: Personal) -> bytes | None:
    """The document as JSON without what `examine` found in it: numbers stay exactly as written.

    Addresses are hidden where there are more than a few. A member whose name is hidden keeps a name
    of its own. None where not all was looked at, or where more appears each time that something is
    hidden, as in a row of account numbers with nothing between them.
    """
    found = dict(personal.found)
    if UNEXAMINED in found:
        return None
    writing = _Writing(found.get(EMAIL, 0) > FEW_ADDRESSES)
    writing.write(document, "")
    return None if writing.patience.gone else "".join(writing.parts).encode()


class _Writing:
    """A document as it is written anew, in `parts`; they are all of it unless `patience` is gone.

    `addresses`: e-mail addresses are hidden too.
    """

    __slots__ = ("addresses", "parts", "patience")

    def __init__(self, addresses: bool) -> None:
        self.addresses = addresses
        self.parts: list[str] = []
        self.patience = Patience(MOST_LOOKED_AT * 2)

    def write(self, value: Any, name: str) -> None:
        """Writes a value that stands under `name`."""
        parts = self.parts
        if isinstance(value, dict):
            self._write_members(value)
        elif isinstance(value, list):
            separator = "["
            for item in value:
                parts.append(separator)
                self.write(item, name)
                separator = ","
            parts.append("]" if value else "[]")
        elif isinstance(value, str):
            shown = self._hidden(value, NAMES_SSN.search(name) is not None)
            if isinstance(value, Number) and shown == value:
                parts.append(value)
            else:
                parts.append(encode_basestring(shown))
        else:
            parts.append(dumps(value))

    def _write_members(self, members: dict[str, Any]) -> None:
        used: set[str] = set()
        numbers: dict[str, int] = {}
        separator = "{"
        for name, member in members.items():
            shown = fresh = self._hidden(name, False)
            # Two hidden names must not become one, nor a name that was there.
            number = numbers.get(shown, 1)
            while fresh in used or (fresh != name and fresh in members):
                number += 1
                fresh = f"{shown} {number}"
            numbers[shown] = number
            used.add(fresh)
            self.parts += (separator, encode_basestring(fresh), ":")
            self.write(member, name)
            separator = ","
        self.parts.append("}" if used else "{}")

    def _hidden(self, text: str, named: bool) -> str:
        for _ in range(_MOST_PASSES):
            shown: list[str] = []
            at = 0
            for start, end, kind in _spans(text, named, self.patience):
                if kind != EMAIL or self.addresses:
                    shown += (text[at:start], HIDDEN)
                    at = end
            if not shown:
                return text
            # What stood against it may be found now that it is gone.
            text = "".join((*shown, text[at:]))
        self.patience.gone = True
        return text


def _spans(text: str, named: bool, patience: Patience) -> list[tuple[int, int, str]]:
    # The digits of a fraction, and of what has an exponent, are no one's, and many.
    if isinstance(text, Number) and not text.isdigit():
        return []
    return spans(text, named, patience)
