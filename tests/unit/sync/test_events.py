"""Server-sent events: the same whatever way the bytes are cut, and never more than the limit."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.sync.events import MAX_EVENT_BYTES, Event, EventReader

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b"event: delta\r\nid: 7\r\ndata: one\r\n\r\n"
    b"data:two\rdata:  three\r\r"
    b"\n: no line of an event\n\nretry: 5\nevent: x\n\n"
    b"event\ndata\n\ndata: end\nevent: \xff\n\n"
    b"data: never ended\n"
)
EVENTS = [
    Event("delta", b"one"),
    Event("message", b"two\n three"),
    Event("message", b""),
    Event("�", b"end"),
]


def test_a_stream_is_read_as_the_standard_says() -> None:
    """Ends of lines of all kinds, a mark at the beginning, comments, events without data."""
    assert EventReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """A piece may end anywhere, also between CR and LF or within the mark."""
    reader, found = EventReader(), []
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


@given(st.lists(st.binary(max_size=64), max_size=16))
def test_any_bytes_are_events_or_none(pieces: list[bytes]) -> None:
    """And as many, whatever the pieces are."""
    reader = EventReader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    assert found == EventReader().feed(b"".join(pieces))


@pytest.mark.parametrize(
    "piece", [b"x" * 65_536, b"data: " + b"x" * 65_536 + b"\n", b"data:\n" * 9000]
)
def test_what_never_ends_is_cut_at_the_limit(piece: bytes) -> None:
    """One line, or ever more lines."""
    reader = EventReader()
    enough = MAX_EVENT_BYTES // len(piece)
    for _ in range(enough):
        assert reader.feed(piece) == []
    with pytest.raises(ValueError, match=f"larger than {MAX_EVENT_BYTES} bytes"):
        reader.feed(piece)


def test_comments_without_end_take_no_room() -> None:
    """They are lines, and nothing of them is kept."""
    reader = EventReader()
    for _ in range(100):
        assert reader.feed(b": " + b"x" * 65_536 + b"\n") == []
    assert reader.feed(b"data: y\n\n") == [Event("message", b"y")]
