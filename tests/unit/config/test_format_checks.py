"""Formats that could never pass are told when the file is read."""

from typing import Any

import pytest

BOTH = {"passport": {"formats": ["jwt", "csp"]}}


def warned(load: Any, issuer: dict[str, Any], entry: dict[str, Any], **sections: Any) -> list[str]:
    loaded = load({"issuers": [issuer | entry], **sections})
    return [warning.partition(": ")[2] for warning in loaded.warnings]


@pytest.mark.parametrize(
    ("entry", "sections", "sentence"),
    [
        ({"formats": ["csp"]}, {}, "issuers[0].formats has csp, which passport.formats has not"),
        (
            {"formats": ["jwt", "csp"], "assurance": {"ial": 2}},
            BOTH,
            "issuers[0].assurance refuses all its jwt passports: they have no levels",
        ),
        (
            {"catch_all": True},
            {},
            "issuers[0].catch_all is about csp passports, which it may not issue",
        ),
        (
            {"formats": ["csp"]},
            {"passport": {"formats": ["jwt", "csp"], "proof": "required"}},
            (
                "passport.formats has csp, whose passports prove no possession:"
                " passport.proof refuses them all"
            ),
        ),
    ],
)
def test_what_could_never_pass_is_warned_of(
    load: Any,
    issuer: dict[str, Any],
    entry: dict[str, Any],
    sections: dict[str, Any],
    sentence: str,
) -> None:
    """Each by the key that one would change."""
    assert warned(load, issuer, entry, **sections) == [sentence]


@pytest.mark.parametrize(
    ("entry", "sections"),
    [
        ({}, {}),
        ({}, BOTH),
        ({"formats": ["csp"], "assurance": {"ial": 2}, "catch_all": True}, BOTH),
        ({"formats": ["jwt", "csp"]}, BOTH),
    ],
)
def test_what_can_pass_is_not(
    load: Any, issuer: dict[str, Any], entry: dict[str, Any], sections: dict[str, Any]
) -> None:
    """A format that is read and no issuer has yet is nothing to be warned of."""
    assert warned(load, issuer, entry, **sections) == []


def test_formats_that_cannot_be_read_are_reported_once(problems_of: Any, issuer: Any) -> None:
    """As what they are, not as what follows."""
    found = problems_of({"passport": {"formats": ["paper"]}, "issuers": [issuer]})
    assert len(found) == 1
    found = problems_of({"issuers": [issuer | {"formats": 7, "assurance": 7}]})
    assert len(found) == 2
