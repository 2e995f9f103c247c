"""The process's own journal: what happened to the gate itself, as JSON lines for an operator.

Decisions are not here; they are on signed record, see `passgate.log`.
"""

import sys
from typing import TextIO

import structlog


def configure_journal(stream: TextIO = sys.stderr) -> None:
    """Sends the journal to `stream`, one JSON object a line; every value is escaped by JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
