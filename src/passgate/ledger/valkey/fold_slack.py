"""The log read a little late: its clock may be behind the server's, by which budgets begin."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from passgate.ledger.protocol import ReadLines

SLACK_S: Final = 5.0
"""How far this machine's clock may be from the server's."""


def with_slack(read_lines: ReadLines) -> ReadLines:
    """The same lines, those that take something as if they had been written `SLACK_S` later.

    What was taken just after the server's midnight, while it was still yesterday here, would else
    be counted for yesterday, and given back for today though it was spent today.
    """

    def later(start: int | None) -> Iterator[Mapping[str, Any]]:
        for line in read_lines(start):
            if line.get("charges"):
                moment = datetime.fromisoformat(line["time"]) + timedelta(seconds=SLACK_S)
                yield {**line, "time": moment.isoformat(timespec="milliseconds")}
            else:
                yield line

    return later
