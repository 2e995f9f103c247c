"""The part of docs/performance.md that is made from the results, between two marks."""

from collections.abc import Mapping
from typing import Any

from tests.bench.report import targets_table

BEGIN = "<!-- made from the results: begin -->"
END = "<!-- made from the results: end -->"


def with_results(text: str, results: Mapping[str, Any]) -> str:
    """The page `text` with what the results say between the marks; `ValueError` without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{_section(results)}\n{END}{after}"


def _section(results: Mapping[str, Any]) -> str:
    modes, machine = results["modes"], results["machine"]
    runs = sorted(
        {f"{mode['run']['at']}, commit {mode['run']['commit']}" for mode in modes.values()}
    )
    return (
        f"{machine['machine']}, Python {machine['Python']}; {'; '.join(runs)}.\n\n"
        f"{targets_table(modes)}\n"
        "![Requests per second and CPU per request](performance/rates.svg)\n\n"
        "![Latency by percentile](performance/latencies.svg)\n"
    )
