"""The vectors of csp tokens: allowed, refused for one fault, and for the earlier of two."""

import json
from typing import Any

import pytest
from tests.support.lab import Lab
from tests.vectors.make_csp import FILE, text

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
    for number, asked in enumerate(vector["requests"], start=1):
        assert lab.judge(asked, MemoryLedger()) == asked["expect"], f"request {number}"


def test_the_committed_vectors_are_those_of_their_maker() -> None:
    """A changed maker and an edited file are both seen."""
    assert FILE.read_text() == text()


def test_titles_differ_and_every_code_is_one() -> None:
    """No two vectors say the same."""
    titles = [vector["title"] for vector in VECTORS]

    assert len(set(titles)) == len(titles)
    for vector in VECTORS:
        for asked in vector["requests"]:
            assert asked["expect"].get("code", "rate_limited") in REASONS
