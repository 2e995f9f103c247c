"""Judged bodies: JSON with exactly one reading."""

import pytest
from tests.pace import assert_quick

from passgate.core.header_rules import header_rules
from passgate.core.headers import SortedHeaders, sort_request
from passgate.core.judged_body import MAX_DEPTH, Number, judge_body, plain_decimal
from passgate.core.reasons import Refusal


def headers(content_type: str = "application/json", encoding: str = "") -> SortedHeaders:
    sent = [(b"Host", b"a"), (b"Content-Type", content_type.encode("latin-1"))]
    if encoding:
        sent.append((b"Content-Encoding", encoding.encode()))
    found = sort_request(sent, header_rules())
    assert isinstance(found, SortedHeaders)
    return found


def test_a_body_is_read_with_its_numbers_as_written() -> None:
    body = b' {"a": [1, 2.50, 1e3, -0], "b": "\\u00e9", "c": null} '
    read = judge_body(body, headers())
    assert read == {"a": ["1", "2.50", "1e3", "-0"], "b": "é", "c": None}
    assert all(type(number) is Number for number in read["a"])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json ; charset="UTF-8"',
        "application/json; profile=x; charset=utf-8",
        "application/json;",
        "application/problem+json",
        "application/vnd.api+json; ext=a",
        "model/gltf+json",
    ],
)
def test_types_that_are_json(content_type: str) -> None:
    assert judge_body(b"{}", headers(content_type)) == {}


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("", ""),
        ("text/plain", ""),
        ("text/json", ""),
        ("application/x-www-form-urlencoded", ""),
        ("multipart/form-data; boundary=x", ""),
        ("application/jsonp", ""),
        ("application/json+xml", ""),
        ("application/+json", ""),
        ("application/json, text/plain", ""),
        ("application/json text/plain", ""),
        ("application/json; charset=utf-16", ""),
        ("application/json; charset=", ""),
        ("application/json; charset=utf-8; charset=utf-8", ""),
        ('application/json; charset="utf-7"', ""),
        ('application/json; charset="utf-8', ""),
        ("application/json", "gzip"),
        ("application/json", "identity"),
    ],
)
def test_other_types_and_codings_are_415(content_type: str, encoding: str) -> None:
    found = judge_body(b"{}", headers(content_type, encoding))
    assert isinstance(found, Refusal)
    assert (found.code, found.http_status) == ("request_malformed", 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1, "a": 2}',
        b'{"x": [{"a": 1, "a": 1}]}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 01}',
        b'{"a": +1}',
        b'{"a": .5}',
        b'{"a": "\n"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": /* 1 */ 2}',
        b'{"a": 1}\0',
        b'{"a": 1}\x0b',
        b'{"a": "\\ud83d"}',
        b'{"a": "\\ude00\\ud83d"}',
        b'{"a": "\\uD83D\\u0041"}',
        b'{"a": "\\ud83d\\\\ude00"}',
        b'{"a": "\\ud83d\\ude00\\ude00"}',
        b'{"\\ud800": 1, "\\ud801": 2}',
        b'{"a": [{"b": ["\\udfff"]}]}',
    ],
)
def test_what_is_not_exactly_one_json_text_is_refused(body: bytes) -> None:
    found = judge_body(body, headers())
    assert isinstance(found, Refusal)
    assert (found.code, found.http_status) == ("request_malformed", 400)


def test_what_looks_like_an_escape_is_none() -> None:
    """A backslash that is escaped begins no other escape; all other escapes are whole."""
    body = b'["\\\\ud800", "\\\\\\\\ud800", "\\uD7FF\\ue000", "\\n\\"\\/"]'

    assert judge_body(body, headers()) == ["\\ud800", "\\\\ud800", "\ud7ff\ue000", '\n"/']


def test_whole_pairs_and_long_numbers_are_fine() -> None:
    """An escaped pair is one character; a number is text here, however long, so none is rounded."""
    body = b'{"a": "\\ud83d\\ude00", "n": %b}' % (b"9" * 50_000)

    assert judge_body(body, headers()) == {"a": "\U0001f600", "n": "9" * 50_000}


@pytest.mark.parametrize(
    "hostile", [b'"' + b'\\"' * 500_000, b'"\\' * 300_000, b'"' * 999_999, b"[]" * 500_000]
)
def test_hostile_bodies_take_no_time_by_the_square(hostile: bytes) -> None:
    """A string that is never closed is looked through once, not again from each quote in it."""
    body = b"[" * (MAX_DEPTH + 1) + hostile

    assert isinstance(judge_body(body, headers()), Refusal)
    assert_quick(lambda: judge_body(body, headers()), 50.0)


def test_depth_is_bounded() -> None:
    """A body may nest 64 deep; brackets in texts and side by side do not count."""
    assert isinstance(judge_body(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, headers()), list)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * (MAX_DEPTH + 1) + b"1" + closing * (MAX_DEPTH + 1)
        assert isinstance(judge_body(deep, headers()), Refusal)
    assert isinstance(judge_body(b"[" * 1_000_000, headers()), Refusal)
    wide = b"[" + b",".join([b'{"a":"[[[\\"{{{"}'] * 200) + b"]"
    assert len(judge_body(wide, headers())) == 200


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("0", (0, 0)),
        ("7.42", (742, 2)),
        ("7.420", (7420, 3)),
        ("0.05", (5, 2)),
        ("123456789012345678", (123456789012345678, 0)),
        ("1.23456789012345678", (123456789012345678, 17)),
        ("1234567890123456789", None),
        ("12.34567890123456789", None),
        ("01", None),
        ("00", None),
        ("1.", None),
        (".5", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1_000", None),
        ("1,000", None),
        ("0x10", None),
        (" 1", None),
        ("1\n", None),
        ("\u0661", None),
        ("", None),
    ],
)
def test_plain_decimals_are_exact(text: str, decimal: tuple[int, int] | None) -> None:
    assert plain_decimal(text) == decimal
