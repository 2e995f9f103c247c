"""The specification of the format: each rule has its vectors, and no vector is without a rule."""

import json
import re
from pathlib import Path

import pytest

from passgate.core.reasons import REASONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/spec/passport.md").read_text()
FILES = {"P": "passport-jwt.json", "D": "decisions.json"}
TITLES = {
    letter: {v["title"] for v in json.loads((ROOT / "tests/vectors" / name).read_text())["vectors"]}
    for letter, name in FILES.items()
}
RULES = re.findall(r"^\*\*(\d+\.\d+)\*\* (.*?)\nVectors: (.*?)$", TEXT, re.M | re.S)
# What of the format's vectors is about a format, or a feature, that has a page of its own.
ELSEWHERE = {"envelope format", "self-issued"}
# Vectors of the other files' business: the request, the anonymous tier, what a limit counts.
OF_PASSPORTS = ("Below another passport", "Refused below another passport", "A proof", "A thief")


def named(vectors: str) -> dict[str, set[str]]:
    """The titles that a rule names, by the file's letter."""
    found: dict[str, set[str]] = {"P": set(), "D": set()}
    for letter, titles in re.findall(r"(?:^|; )([PD]) ((?:`[^`]+`(?:, )?)+)", vectors):
        found[letter] |= set(re.findall(r"`([^`]+)`", titles))
    return found


def test_every_rule_is_numbered_in_order_and_has_vectors() -> None:
    """A rule that nothing holds is none."""
    numbers = [tuple(map(int, number.split("."))) for number, _, _ in RULES]

    assert len(RULES) == TEXT.count("\n**") >= 30
    assert numbers == sorted(set(numbers))
    assert all(named(vectors)["P"] | named(vectors)["D"] for _, _, vectors in RULES)


@pytest.mark.parametrize(("number", "_rule", "vectors"), RULES, ids=[rule[0] for rule in RULES])
def test_the_vectors_that_a_rule_names_exist(number: str, _rule: str, vectors: str) -> None:
    """By their titles, each in the file that is said."""
    for letter, titles in named(vectors).items():
        assert titles <= TITLES[letter], number


def test_no_vector_of_the_format_is_without_a_rule() -> None:
    """All of the passports' own, and those of decisions that are about passports."""
    all_named = [named(vectors) for _, _, vectors in RULES]
    held = {letter: set().union(*(each[letter] for each in all_named)) for letter in FILES}
    about = {title for title in TITLES["D"] if title.startswith(OF_PASSPORTS)}

    assert TITLES["P"] - held["P"] <= ELSEWHERE
    assert about - held["D"] == set()


def test_the_codes_are_reason_codes() -> None:
    """Those that a rule names, and those that its vectors expect."""
    for _, rule, vectors in RULES:
        codes = {word for word in re.findall(r"`([a-z]+_[a-z_]+)`", rule) if word in REASONS}
        assert all(REASONS[code].check <= 14 for code in codes)
        assert vectors
