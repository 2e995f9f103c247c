"""The vectors of decisions: a whole gate's configuration, and attacks on it."""

import json
from typing import Any

import pytest
from tests.support.lab import Lab
from tests.vectors.make_decisions import FILE, text

from passgate.core.reasons import REASONS
from passgate.ledger.memory import MemoryLedger

DOCUMENT = json.loads(FILE.read_text())
VECTORS = DOCUMENT["vectors"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(DOCUMENT, tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["title"])
def test_vector(lab: Lab, vector: dict[str, Any]) -> None:
    """Each request of the vector is decided as the vector says."""
    ledger = MemoryLedger()

    for number, asked in enumerate(vector["requests"], start=1):
        assert lab.judge(asked, ledger) == asked["expect"], f"request {number}"


def test_the_committed_vectors_are_those_of_their_maker() -> None:
    """A changed maker and an edited file are both seen."""
    assert FILE.read_text() == text()


def test_titles_are_sentences_and_expectations_are_codes() -> None:
    """A title says what does not work; no two vectors say the same."""
    titles = [vector["title"] for vector in VECTORS]

    assert len(set(titles)) == len(titles)
    assert all(title[0].isupper() and title.count(" ") > 4 for title in titles)
    for vector in VECTORS:
        for asked in vector["requests"]:
            assert asked["expect"].get("code", "rate_limited") in REASONS


def test_every_refusal_of_a_decision_is_expected_somewhere() -> None:
    """But for those that other vectors hold, or that need a gate with its I/O."""
    expected = {asked["expect"].get("code") for vector in VECTORS for asked in vector["requests"]}

    decided = {code for code, row in REASONS.items() if 1 <= row.check <= 15}
    assert decided - expected == {
        "passport_too_large",
        "issuer_untrusted",
        "approval_denied",
        "concurrency_limited",
    }
