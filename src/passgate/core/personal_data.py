"""Personal data in what a request says: found by what its numbers prove, not by their shape alone.

Card numbers (Luhn), social security numbers of the United States, IBANs, and e-mail addresses where
there are many. What is spelt out, encoded or split over members is not found: this catches
accidents and the careless, and proves nothing about who hides it on purpose.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from json import dumps
from typing import Any, Final

from stdnum import iban, luhn, numdb
from stdnum.us import ssn

from passgate.core.judged_body import Number

FEW_ADDRESSES: Final = 5
"""E-mail addresses that one request may hold without being an export of them."""

HIDDEN: Final = "[redacted]"

CARD: Final = "card"
SSN: Final = "ssn"
IBAN: Final = "iban"
EMAIL: Final = "email"

_GROUPS: Final = re.compile(r"[0-9]+(?:[ \u00a0\u2011\u2013-][0-9]+)*")
_SEPARATORS: Final = re.compile(r"[ \u00a0\u2011\u2013-]")
_FRACTION: Final = re.compile(r"[0-9]\.")
_GROUP: Final = re.compile(r"[0-9]+")
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_MOST_GROUPS: Final = 7
# ISO/IEC 7812: 3 to 6 are the industries that issue cards, and 2221 to 2720 is a later range.
_CARD_RANGE: Final = re.compile(r"[3-6]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720")
_SSN: Final = re.compile(r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])")
_BARE_SSN: Final = re.compile(r"[0-9]{9}|[0-9]{3} [0-9]{2} [0-9]{4}")
_NAMES_SSN: Final = re.compile(r"ssn|social.?security", re.IGNORECASE)
_IBAN_HEAD: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
_IBAN_SKIPS: Final = re.compile(r"[ -]")
_COUNTRIES: Final = numdb.get("iban")
_LENGTHS: Final = re.compile(r"([0-9]+)!")
_LOCAL: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~.-"
)
_LONGEST_LOCAL: Final = 64
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


@dataclass(frozen=True, slots=True)
class Personal:
    """What a document and other texts hold: counts by kind, in a fixed order, none of them 0.

    The same thing counts once, however it is capitalised and parted.
    """

    found: tuple[tuple[str, int], ...]

    @property
    def exports(self) -> bool:
        """Whether this is more than a request may hold."""
        return any(kind != EMAIL or count > FEW_ADDRESSES for kind, count in self.found)


def examine(document: Any, texts: tuple[str, ...] = ()) -> Personal:
    """What a judged body (see `judge_body`) holds in its members' names and values, and `texts`."""
    distinct: dict[str, set[str]] = {CARD: set(), SSN: set(), IBAN: set(), EMAIL: set()}
    for text, named in _leaves(document, texts):
        for start, end, kind in _spans(text, named):
            shown = text[start:end]
            if kind != EMAIL:
                shown = _SEPARATORS.sub("", shown)
            distinct[kind].add(shown.casefold())
    return Personal(tuple([(kind, len(each)) for kind, each in distinct.items() if each]))


def redacted(document: Any, personal: Personal) -> bytes:
    """The document as JSON without what `examine` found in it: numbers stay exactly as written.

    Addresses are hidden where there are more than a few. A member whose name is hidden keeps a name
    of its own.
    """
    addresses = dict(personal.found).get(EMAIL, 0) > FEW_ADDRESSES
    return "".join(_written(document, "", addresses)).encode()


def _leaves(document: Any, texts: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Every text and number, and whether it stands under a name that says what it is."""
    for text in texts:
        yield text, False
    waiting: list[tuple[Any, bool]] = [(document, False)]
    while waiting:
        value, named = waiting.pop()
        if isinstance(value, dict):
            for name, member in value.items():
                yield name, False
                waiting.append((member, _NAMES_SSN.search(name) is not None))
        elif isinstance(value, list):
            waiting.extend([(item, named) for item in value])
        elif isinstance(value, str):
            yield value, named


def _written(value: Any, name: str, addresses: bool) -> Iterator[str]:
    if isinstance(value, dict):
        used: set[str] = set()
        separator = "{"
        for key, member in value.items():
            shown = _hidden(key, False, addresses)
            # Two hidden names must not become one, nor a name that was there.
            number = 1
            fresh = shown
            while fresh in used or (fresh != key and fresh in value):
                number += 1
                fresh = f"{shown} {number}"
            used.add(fresh)
            yield f"{separator}{dumps(fresh, ensure_ascii=False)}:"
            yield from _written(member, key, addresses)
            separator = ","
        yield "}" if used else "{}"
    elif isinstance(value, list):
        yield "["
        for place, item in enumerate(value):
            if place:
                yield ","
            yield from _written(item, name, addresses)
        yield "]"
    elif isinstance(value, str):
        shown = _hidden(value, _NAMES_SSN.search(name) is not None, addresses)
        if isinstance(value, Number) and shown == value:
            yield value
        else:
            yield dumps(shown, ensure_ascii=False)
    else:
        yield dumps(value)


def _hidden(text: str, named: bool, addresses: bool) -> str:
    while True:
        shown: list[str] = []
        at = 0
        for start, end, kind in _spans(text, named):
            if kind != EMAIL or addresses:
                shown += (text[at:start], HIDDEN)
                at = end
        if not shown:
            return text
        # What stood against it may be found now that it is gone.
        text = "".join((*shown, text[at:]))


def _spans(text: str, named: bool) -> list[tuple[int, int, str]]:
    """Where personal data is: in order, and never one inside another."""
    if named and _BARE_SSN.fullmatch(text) is not None and ssn.is_valid(text.replace(" ", "-")):
        return [(0, len(text), SSN)]
    if isinstance(text, Number) and not text.isdigit():
        return []  # its digits are no one's, and every long fraction has many
    found = [
        *_ibans(text),
        *_cards(text),
        *((m.start(), m.end(), SSN) for m in _SSN.finditer(text) if ssn.is_valid(m[0])),
        *_addresses(text),
    ]
    if len(found) < 2:
        return found
    found.sort()
    apart = [found[0]]
    for span in found[1:]:
        if span[0] >= apart[-1][1]:
            apart.append(span)
        elif span[1] > apart[-1][1]:
            apart[-1] = (apart[-1][0], span[1], apart[-1][2])
    return apart


def _cards(text: str) -> Iterator[tuple[int, int, str]]:
    """Runs of whole groups of digits that have a card's length, range and check digit."""
    for run in _GROUPS.finditer(text):
        if run.end() - run.start() < _SHORTEST_CARD or _FRACTION.match(
            text, max(0, run.start() - 2), run.start()
        ):
            continue
        groups = [(run.start() + m.start(), m[0]) for m in _GROUP.finditer(run[0])]
        after = 0
        for first, (start, digits) in enumerate(groups):
            if start < after or digits[0] not in "23456":
                continue
            number = ""
            for at, more in groups[first : first + _MOST_GROUPS]:
                number += more
                if len(number) > _LONGEST_CARD:
                    break
                if len(number) >= _SHORTEST_CARD and _is_card(number):
                    after = at + len(more)
                    yield start, after, CARD
                    break


def _is_card(number: str) -> bool:
    return _CARD_RANGE.match(number) is not None and luhn.is_valid(number)


def _ibans(text: str) -> Iterator[tuple[int, int, str]]:
    after = 0
    for head in _IBAN_HEAD.finditer(text):
        length = _iban_length(head[0][:2].upper())
        if not length or head.start() < after:
            continue
        whole = _iban_of(length).match(text, head.start())
        if whole is None:
            continue
        number = _IBAN_SKIPS.sub("", whole[0])
        # ISO 13616, which most of what only looks like one fails: the library takes long to say no.
        if int("".join([str(int(sign, 36)) for sign in number[4:] + number[:4]])) % 97 != 1:
            continue
        if iban.is_valid(number, check_country=False):
            after = whole.end()
            yield head.start(), after, IBAN


@lru_cache(maxsize=1024)
def _iban_length(country: str) -> int:
    """How long an IBAN of a country is; 0 where there are none."""
    structure = _COUNTRIES.info(country)[0][1].get("bban", "")
    return sum(int(part) for part in _LENGTHS.findall(structure)) + 4 if structure else 0


@lru_cache(maxsize=64)
def _iban_of(length: int) -> re.Pattern[str]:
    """So many letters and digits, parted by single spaces or hyphens or not at all."""
    return re.compile(rf"[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){{{length - 1}}}")


def _addresses(text: str) -> Iterator[tuple[int, int, str]]:
    at = text.find("@")
    after = 0
    while at >= 0:
        start = at
        while start > after and at - start < _LONGEST_LOCAL and text[start - 1] in _LOCAL:
            start -= 1
        domain = _DOMAIN.match(text, at + 1) if start < at else None
        if domain is not None:
            after = domain.end()
            yield start, after, EMAIL
        at = text.find("@", max(at + 1, after))
