"""What a profile asks of the rest of gate.yaml, and what it settles where nothing is said."""

from math import inf
from typing import Any

import pytest

from passgate.config import build_issuers, build_policy
from passgate.core.proof.base import REQUIRED

L3 = {"gate": {"profile": "L3"}}


def test_l3_settles_what_is_left_out(load: Any, issuer: dict[str, Any]) -> None:
    """A proof is required of all, sources are read every 20 s, and a list of a minute is old."""
    config = load(L3 | {"issuers": [issuer]}).config
    assert build_policy(config).proof.demand == REQUIRED
    assert config.issuers[0].refresh_s == 20.0
    assert build_issuers(config)[0].list_max_stale_s == 60.0
    assert config.effective["passport"]["proof"] == "required"
    assert config.effective["issuers"][0]["refresh"] == "20s"


@pytest.mark.parametrize("profile", ["L1", "L2"])
def test_the_others_leave_it_to_the_file(load: Any, issuer: dict[str, Any], profile: str) -> None:
    """Only key-bound passports prove, and the list's age is bounded by `max_stale` alone."""
    config = load({"gate": {"profile": profile}, "issuers": [issuer]}).config
    assert config.passport.proof == "bound"
    assert config.issuers[0].refresh_s == 60.0
    assert build_issuers(config)[0].list_max_stale_s == inf


def test_l3_takes_a_shorter_refresh(load: Any, issuer: dict[str, Any]) -> None:
    """What is written and strict enough stays."""
    written = L3 | {"issuers": [issuer | {"refresh": "5s"}], "passport": {"proof": "required"}}
    assert load(written).config.issuers[0].refresh_s == 5.0


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"passport": {"proof": "bound"}}, "passport.proof must be required in profile L3"),
        ({"issuers": [{"refresh": "21s"}]}, "issuers[0].refresh must be at most 20s in profile L3"),
        (
            {"issuers": [{"revocations": None}]},
            "issuers[0].revocations is compulsory in profile L3",
        ),
    ],
)
def test_l3_refuses_what_is_laxer(
    problems_of: Any, issuer: dict[str, Any], over: dict[str, Any], sentence: str
) -> None:
    """What the profile promises is never taken back by another key."""
    entry = issuer | over.get("issuers", [{}])[0]
    (problem,) = problems_of(L3 | over | {"issuers": [entry]})
    assert sentence in problem


@pytest.mark.parametrize("broken", [{"gate": []}, {"passport": []}, {"issuers": {}}])
def test_a_broken_section_settles_nothing(problems_of: Any, broken: dict[str, Any]) -> None:
    """Beside a profile, sections of the wrong type are problems and no crash."""
    assert problems_of(L3 | broken)
