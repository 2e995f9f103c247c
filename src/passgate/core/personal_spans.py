"""Where personal data stands in one text: found by what its numbers prove, not by shape alone.

What a text costs is bounded by its length, and what looks like personal data and is none by a
`Patience` that all texts of a request share.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from string import ascii_uppercase
from typing import Final

from passgate.core.numbering import iban_structure, is_iban, is_luhn, is_ssn

CARD: Final = "card"
SSN: Final = "ssn"
IBAN: Final = "iban"
EMAIL: Final = "email"

MOST_LOOKED_AT: Final = 10_000
"""Places that look like personal data, until a closer look, which one request may hold."""

SEPARATORS: Final = re.compile(r"[ \u00a0\u2011\u2013-]")
NAMES_SSN: Final = re.compile(r"ssn|social.?security", re.IGNORECASE)
"""What a member's name says where nine bare digits are a social security number."""

_SHORTEST: Final = 5  # a@b.c
# Whatever a text holds, it holds one of these: most hold none, and are done with.
_ANY: Final = re.compile(r"@|[A-Za-z]{2}[0-9]{2}|[0-9](?:[ \u00a0\u2011\u2013-]?[0-9]){8}")
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
# Where a group of digits begins that may be a card's first, and at most seven groups from there on,
# parted by single separators; the digits after a decimal point are no one's.
_CARD_HEAD: Final = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?=[2-6](?:[ \u00a0\u2011\u2013-]?[0-9]){12})"
    r"[0-9]+(?:[ \u00a0\u2011\u2013-][0-9]+){0,6}"
)
_GROUP: Final = re.compile(r"[0-9]+")
# ISO/IEC 7812: 3 to 6 are the industries that issue cards, and 2221 to 2720 is a later range.
_CARD_RANGE: Final = re.compile(r"[3-6]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720")
_SSN: Final = re.compile(r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])")
_BARE_SSN: Final = re.compile(r"[0-9]{9}|[0-9]{3} [0-9]{2} [0-9]{4}")
_IBAN_SKIPS: Final = re.compile(r"[ -]")
_LENGTHS: Final = re.compile(r"([0-9]+)!")
_LOCAL: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~.-"
_LONGEST_LOCAL: Final = 64
_AT: Final = re.compile(r"@(?=[A-Za-z0-9-]{1,63}\.[A-Za-z0-9-])")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


class Patience:
    """How many more places are looked at; `gone` once there was one too many."""

    __slots__ = ("_left", "gone")

    def __init__(self, left: int = MOST_LOOKED_AT) -> None:
        self._left = left
        self.gone = False

    def lasts(self) -> bool:
        """Whether one more place is looked at."""
        if self._left <= 0:
            self.gone = True
            return False
        self._left -= 1
        return True


def spans(text: str, named: bool, patience: Patience) -> list[tuple[int, int, str]]:
    """Where personal data is, of which kind: in order, and never one inside another.

    `named`: it stands under a name that says so of bare digits. Once `patience` is gone no more is
    found.
    """
    if len(text) < _SHORTEST or _ANY.search(text) is None:
        return []
    if named and _BARE_SSN.fullmatch(text) is not None and is_ssn(text.replace(" ", "-")):
        return [(0, len(text), SSN)]
    found = [
        *_ibans(text, patience),
        *_cards(text, patience),
        *_numbers(text, patience),
        *_addresses(text, patience),
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


def _cards(text: str, patience: Patience) -> Iterator[tuple[int, int, str]]:
    """Whole groups of digits that together have a card's length, range and check digit."""
    head = _CARD_HEAD.search(text)
    while head is not None and patience.lasts():
        start = head.start()
        number = ""
        after = 0
        for group in _GROUP.finditer(text, start, head.end()):
            number += group[0]
            after = after or group.end()
            if len(number) > _LONGEST_CARD:
                break
            if len(number) >= _SHORTEST_CARD and _is_card(number):
                after = group.end()
                yield start, after, CARD
                break
        head = _CARD_HEAD.search(text, after)


def _is_card(number: str) -> bool:
    return _CARD_RANGE.match(number) is not None and is_luhn(number)


def _numbers(text: str, patience: Patience) -> Iterator[tuple[int, int, str]]:
    for match in _SSN.finditer(text):
        if not patience.lasts():
            return
        if is_ssn(match[0]):
            yield match.start(), match.end(), SSN


def _ibans(text: str, patience: Patience) -> Iterator[tuple[int, int, str]]:
    after = 0
    for match in _iban_shape().finditer(text):
        if match.start() < after:
            continue
        if not patience.lasts():
            return
        number = _IBAN_SKIPS.sub("", match[1])
        # ISO 13616, which most of what only looks like one fails: the library takes long to say no.
        if int("".join([str(int(sign, 36)) for sign in number[4:] + number[:4]])) % 97 != 1:
            continue
        if is_iban(number):
            after = match.end(1)
            yield match.start(), after, IBAN


@lru_cache(maxsize=1)
def _iban_shape() -> re.Pattern[str]:
    """A country, two digits, and as many letters and digits as its IBANs have after them, parted by
    single spaces or hyphens or not at all. It takes no text, so that one may begin inside another.
    """
    countries: dict[int, list[str]] = {}
    for pair in product(ascii_uppercase, repeat=2):
        country = "".join(pair)
        structure = iban_structure(country)
        if structure:
            length = sum(int(part) for part in _LENGTHS.findall(structure))
            countries.setdefault(length, []).append(country)
    shapes = [
        rf"(?:{'|'.join(names)})[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{length}}}"
        for length, names in countries.items()
    ]
    return re.compile(
        rf"(?<![A-Z0-9])(?=[A-Z]{{2}}[0-9]{{2}})(?=({'|'.join(shapes)}))",
        re.IGNORECASE | re.ASCII,
    )


def _addresses(text: str, patience: Patience) -> Iterator[tuple[int, int, str]]:
    after = 0
    for sign in _AT.finditer(text):
        if not patience.lasts():
            return
        at = sign.start()
        before = text[max(after, at - _LONGEST_LOCAL) : at]
        local = len(before) - len(before.rstrip(_LOCAL))
        domain = _DOMAIN.match(text, at + 1) if local else None
        if domain is not None:
            after = domain.end()
            yield at - local, after, EMAIL
