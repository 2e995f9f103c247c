"""A list's JSON, read piece by piece: the same as in one piece, wherever it is cut."""

import json
import tracemalloc
from typing import Any

import pytest

from passgate.core.list_text import LONGEST_VALUE, read_members


def read(raw: bytes, piece: int = 7) -> tuple[dict[str, Any], list[Any]]:
    """The members, and the entries of `list`, of `raw` in pieces of this many bytes."""
    taken: list[Any] = []
    pieces = (raw[at : at + piece] for at in range(0, len(raw), piece))
    return read_members(pieces, "list", taken.append), taken


DOCUMENT = {
    "a": "\u00fc\u20ac\U0001f600",
    "list": [{"k": "}],"}, "x", 12, [1]],
    "n": 345,
    "z": [{}],
}
TEXT = json.dumps(DOCUMENT, ensure_ascii=False, indent=1).encode()


@pytest.mark.parametrize("piece", range(1, len(TEXT) + 1))
def test_where_it_is_cut_makes_no_difference(piece: int) -> None:
    members, taken = read(TEXT, piece)
    assert members == DOCUMENT | {"list": 4}
    assert taken == DOCUMENT["list"]


@pytest.mark.parametrize(
    ("raw", "members", "taken"),
    [
        ("{}", {}, []),
        (" { } ", {}, []),
        ('{"list":[]}', {"list": 0}, []),
        ('{"list" : [ ] }', {"list": 0}, []),
        ('{"list":["\\ud83d\\ude00"]}', {"list": 1}, ["\U0001f600"]),
    ],
)
def test_what_is_an_object(raw: str, members: dict[str, Any], taken: list[Any]) -> None:
    assert read(raw.encode()) == (members, taken)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"[]",
        b'"list"',
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1,}',
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b"{1:2}",
        b'{"a":1}}',
        b'{"a":1}x',
        b'{"list":[1',
        b'{"list":[1,',
        b'{"list":[1,]}',
        b'{"list":[1 2]}',
        b'{"list":[1]',
        b'{"list":[},]}',
        b'{"a":1,"a":1}',
        b'{"list":[1],"list":[2]}',
        b'{"list":[{"k":1,"k":1}]}',
        b'{"a":{"k":1,"k":1}}',
        b'{"a":"\\ud800"}',
        b'{"list":["\\ud800"]}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b'{"a":"\xff"}',
        b'{"a":1}\xc3',
        b"\xef\xbb\xbf{}",
        b'{"a":' + b"[" * 60_000,
        b'{"list":[' + b'{"a":' * 12_000,
    ],
)
def test_what_has_another_reading_or_none_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not unambiguous JSON"):
        read(raw, 4096)


def test_a_list_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a list `list`"):
        read(b'{"list":{}}')


@pytest.mark.parametrize("piece", [1000, 3 * LONGEST_VALUE])
def test_an_entry_has_a_longest_form(piece: int) -> None:
    """It depends on nothing but the entry."""
    longest = "x" * (LONGEST_VALUE - 3)
    assert read(json.dumps({"list": [longest, 1]}).encode(), piece)[1] == [longest, 1]
    with pytest.raises(ValueError, match="has 65536 characters"):
        read(json.dumps({"list": [longest + "x", 1]}).encode(), 3 * LONGEST_VALUE)
    with pytest.raises(ValueError, match="revocation list"):
        read(json.dumps({"list": [longest + "x" * 9000, 1]}).encode(), piece)


def test_what_refuses_an_entry_refuses_the_list() -> None:
    def take(entry: object) -> None:
        raise ValueError(f"not {entry}")

    with pytest.raises(ValueError, match="not 1"):
        read_members([b'{"list":[1,2]}'], "list", take)


def test_no_more_is_in_memory_than_pieces_of_it() -> None:
    """However long it is: here 660 kB, of which 64 kB are looked at as one."""
    ids = ",".join(f'"pass_{number:026d}"' for number in range(20_000)).encode()
    raw = b'{"list":[' + ids + b"]}"
    pieces = (raw[at : at + 4096] for at in range(0, len(raw), 4096))
    tracemalloc.start()
    try:
        assert read_members(pieces, "list", lambda entry: None) == {"list": 20_000}
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
