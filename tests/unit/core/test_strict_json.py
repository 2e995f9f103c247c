"""Strict JSON: one text, one reading."""

import contextlib
from decimal import Decimal

import pytest
from tests.pace import assert_quick

from passgate.core.strict_json import MAX_DEPTH, MAX_INTEGER, loads, without_fractions


def test_plain_values_are_read_as_they_are() -> None:
    """Objects, lists, texts, integers, booleans and null come out as Python's own."""
    raw = b' {"a": [1, -2, true, false, null, "\xc3\xa9"], "b": {"c": {}}} '

    assert loads(raw) == {"a": [1, -2, True, False, None, "é"], "b": {"c": {}}}


def test_fractions_and_exponents_are_exact() -> None:
    """A fraction never goes through a binary float, and an exponent is no integer."""
    assert loads(b"[0.1, 7.420, 1e3]") == [Decimal("0.1"), Decimal("7.420"), Decimal("1E+3")]
    assert all(type(number) is Decimal for number in loads(b"[0.1, 7.420, 1e3]"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a":1,"a":1}', id="duplicate member"),
        pytest.param(b'{"x":[{"a":1,"b":2,"a":3}]}', id="duplicate member deep inside"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="duplicate member, once escaped"),
        pytest.param(b"[NaN]", id="NaN"),
        pytest.param(b"[Infinity]", id="Infinity"),
        pytest.param(b"[-Infinity]", id="-Infinity"),
        pytest.param(b"[9007199254740992]", id="2^53"),
        pytest.param(b"[-9007199254740992]", id="-2^53"),
        pytest.param(b"[" + b"9" * 5000 + b"]", id="5000 digits"),
        pytest.param(b"[0." + b"1" * 31 + b"]", id="33 characters of fraction"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="a surrogate in UTF-8"),
        pytest.param(b'"\xc0\xaf"', id="overlong UTF-8"),
        pytest.param(b'"\\ud800"', id="lone high surrogate"),
        pytest.param(b'{"\\udc00":1}', id="lone low surrogate in a name"),
        pytest.param(b'[{"a":["x","\\ud800"]}]', id="lone surrogate deep inside"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"{}\x00", id="trailing NUL"),
        pytest.param(b'"\x01"', id="bare control character"),
        pytest.param(b"01", id="leading zero"),
        pytest.param(b"[1,]", id="trailing comma"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 70_000, id="70,000 open brackets"),
        pytest.param(b"[" * 30_000 + b"]" * 30_000, id="30,000 deep"),
        pytest.param(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, id="5,000 objects deep"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), id="one too deep"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(raw: bytes) -> None:
    """Each of these is a ValueError, and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        loads(raw)


def test_the_greatest_exact_integers_are_read() -> None:
    """The edges of I-JSON's range are inside."""
    assert loads(b"[9007199254740991,-9007199254740991]") == [MAX_INTEGER, -MAX_INTEGER]


def test_the_greatest_depth_is_read() -> None:
    """As many levels as the limit says are fine."""
    raw = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert str(loads(raw)) == raw.decode()


def test_brackets_in_texts_and_side_by_side_are_no_depth() -> None:
    """Only nesting counts: neither brackets within texts nor many small lists do."""
    raw = b'["[[[[\\"[[[[",' + b",".join([b"[]"] * 500) + b',"{{{{"]'

    assert len(loads(raw)) == 502


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'["' + b'[\\"' * 21_000, id="a string full of quotes that never ends"),
        pytest.param(b"[" * 30_000 + b'"' * 30_000, id="brackets, then quotes"),
        pytest.param(b'["' + b"\\" * 60_000, id="backslashes"),
        pytest.param((b"[" * 32 + b"]" * 32) * 1000, id="side by side, as deep as may be"),
        pytest.param(b"[" + b"[]," * 20_000 + b"[]]", id="flat"),
    ],
)
def test_hostile_texts_take_no_time_by_the_square(raw: bytes) -> None:
    """64 KiB are judged in milliseconds; a reader with backtracking needs many seconds."""

    def read() -> None:
        with contextlib.suppress(ValueError):
            loads(raw)

    assert_quick(read, 50.0)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    """Escapes that make a character are no fault, in whatever value they stand."""
    assert loads(b'[{"a":"\\ud83d\\ude00","b":[1]}]') == [{"a": "\U0001f600", "b": [1]}]


def test_records_get_fractions_as_text() -> None:
    """What holds integers only shows a fraction as it was written."""
    value = {"a": [Decimal("0.10"), 1, {"b": Decimal("2.5")}], "c": "x"}

    assert without_fractions(value) == {"a": ["0.10", 1, {"b": "2.5"}], "c": "x"}
