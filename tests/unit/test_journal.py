"""The process's own journal: one JSON object a line, whatever is in it."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from passgate.journal import configure_journal


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the journal writes to; afterwards it is as it was before."""
    before = structlog.get_config()
    written = io.StringIO()
    configure_journal(written)
    yield written
    structlog.configure(**before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_an_entry_is_one_line_of_json(stream: io.StringIO) -> None:
    """With its level, its time in UTC, and what was said."""
    structlog.get_logger("test").warning("reload_refused", problems=("gate.yaml:1: no",))

    (entry,) = lines(stream)
    assert entry["event"] == "reload_refused"
    assert entry["level"] == "warning"
    assert entry["problems"] == ["gate.yaml:1: no"]
    assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\nb", "\x1b[31mred\x1b[0m", "\x00", "\x7f", "\u2028", "\x85", "é", "\ud800"],
)
def test_no_text_can_make_a_line_or_colour_a_terminal(stream: io.StringIO, text: str) -> None:
    """Whoever chooses a name that is logged chooses no entries."""
    structlog.get_logger("test").error(text, value=text, **{"key" + text: 1})

    (entry,) = lines(stream)
    assert entry["event"] == entry["value"] == text
    assert entry["key" + text] == 1
    raw = stream.getvalue()
    assert raw.isascii()
    assert all(character.isprintable() for character in raw[:-1])


def test_an_exception_is_in_its_entry(stream: io.StringIO) -> None:
    """On the same line as the rest."""

    def broken() -> None:
        raise ValueError("line one\nline two")

    try:
        broken()
    except ValueError:
        structlog.get_logger("test").exception("internal_error", decision_id="att_1")

    (entry,) = lines(stream)
    assert entry["decision_id"] == "att_1"
    assert "Traceback" in entry["exception"]
    assert "line one" in entry["exception"]
