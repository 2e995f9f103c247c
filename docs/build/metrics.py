"""Writes docs/reference/metrics.md from the table of metrics; prints it with --stdout."""

import sys
from pathlib import Path

from passgate.admin.metrics import METRICS

PAGE = Path(__file__).parents[1] / "reference" / "metrics.md"


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels) or '–'} "
        f"| {row.says} |"
        for row in METRICS
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            "`GET /metrics` on the admin listener, in the Prometheus text format. Labels are bounded:",
            "`action` is a name from the routes or the catalog, at most a thousand of them, else `other`.",
            "",
            "This page is made from the table in `passgate.admin.metrics`.",
            "",
            "| name | kind | labels | says |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
