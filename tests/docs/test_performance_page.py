"""What the documents say about speed is what the last run measured."""

import json
from pathlib import Path

import pytest
from tests.bench.doc import with_results
from tests.bench.plot import PLOTS
from tests.bench.report import page
from tests.bench.targets import TARGETS, judged

BENCH = Path(__file__).parents[1] / "bench"
DOCS = Path(__file__).parents[2] / "docs"
MEASURED = BENCH / "results.json"
RESULTS = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}

pytestmark = pytest.mark.skipif(not RESULTS, reason="make bench has not kept any results yet")


def test_page_document_and_pictures_are_made_from_the_results() -> None:
    """Nobody edits a figure: after a change, `python -m tests.bench --redraw`."""
    document = DOCS / "performance.md"

    assert (BENCH / "results.md").read_text() == page(RESULTS)
    assert document.read_text() == with_results(document.read_text(), RESULTS)
    for name, plot in PLOTS.items():
        assert (DOCS / "performance" / f"{name}.svg").read_text() == plot(RESULTS["modes"])


def test_every_target_has_been_measured() -> None:
    """From P1 to P10, none is left out of the table."""
    assert [target.id for target in TARGETS] == [f"P{number}" for number in range(1, 11)]
    assert all(parts for _, parts in judged(RESULTS["modes"]))


def test_ten_constraints_have_a_bound_of_their_own() -> None:
    """One and a half times the cost of one; what is looked up in tables is held to less."""
    (target,) = [target for target in TARGETS if target.id == "P7"]
    rows = [{"name": name, "ratio": 1.4} for name in ("constraints", "routes")]
    gates = [{"cpu_us": {"median": 30.0}}] * 2

    parts = {part.label: part.met for part in target.judge({"rows": rows, "gates": gates})}

    assert parts == {"constraints": True, "routes": False, "whole gate, CPU": True}
