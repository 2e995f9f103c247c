"""The page on HTTP counts the cases that there are."""

import re
from pathlib import Path

from tests.support import hygiene
from tests.support.hygiene import answers, connections, framing, request_lines

PAGE = (Path(__file__).parents[2] / "docs/concepts/http.md").read_text()
REQUESTS = {
    "request line, method, version": request_lines.LINES,
    "target": connections.TARGETS,
    "`Host`": request_lines.HOSTS,
    "header lines": request_lines.GRAMMAR,
    "length": framing.LENGTHS,
    "coding": framing.CODINGS,
    "chunks and trailers": framing.CHUNKS + framing.JUDGED,
    "connection": connections.PERSISTENCE,
    "order": connections.PIPELINES,
    "expectation": connections.EXPECTATIONS,
}
ANSWERS = {
    "passed on": answers.ANSWERS,
    "broken off": answers.BROKEN + answers.BROKEN_10,
    "refused": answers.UNUSABLE,
}


def test_each_group_is_counted() -> None:
    """Each row's last cell is the number of its cases, and no case is in no row."""
    rows = dict(re.findall(r"(?m)^\| ([^|]+?) \|.*\| (\d+) \|$", PAGE))
    counts = {name: str(len(cases)) for name, cases in (REQUESTS | ANSWERS).items()}
    assert rows == counts
    assert sum(map(len, REQUESTS.values())) == len(hygiene.REQUEST_CASES)
    assert sum(map(len, ANSWERS.values())) == len(hygiene.ANSWER_CASES)


def test_the_whole_is_counted() -> None:
    """The page says how many cases there are together."""
    whole = len(hygiene.REQUEST_CASES) + len(hygiene.ANSWER_CASES)
    assert f"The {whole} cases above" in PAGE
