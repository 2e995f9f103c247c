"""The claim `status`: a place in a list, or a refusal."""

from typing import Any

import pytest

from passgate.core.formats.status import read_status
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.status_list import StatusReference

URI = "https://issuer.example/statuses/1"


def test_a_place_in_a_list() -> None:
    """Its index and the list's address; all passports of one list share the text."""
    first = read_status({"status_list": {"idx": 0, "uri": URI}})
    second = read_status(
        {"status_list": {"idx": 2**53 - 1, "uri": str(bytes(URI, "ascii"), "ascii")}}
    )
    assert first == StatusReference(URI, 0)
    assert second.uri is first.uri


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {},
        {"status_list": None},
        {"status_list": {"idx": 0}},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": -1, "uri": URI}},
        {"status_list": {"idx": 2**53, "uri": URI}},
        {"status_list": {"idx": True, "uri": URI}},
        {"status_list": {"idx": "0", "uri": URI}},
        {"status_list": {"idx": 0, "uri": ""}},
        {"status_list": {"idx": 0, "uri": "a\nb"}},
        {"status_list": {"idx": 0, "uri": "a" * 2049}},
        {"status_list": {"idx": 0, "uri": 7}},
    ],
)
def test_what_names_no_place_is_malformed(value: Any) -> None:
    """Both members, each of its type and within bounds."""
    with pytest.raises(MalformedError):
        read_status(value)


@pytest.mark.parametrize(
    "value",
    [
        {"assertion": {}},
        {"status_list": {"idx": 0, "uri": URI}, "assertion": {}},
        {"status_list": {"idx": 0, "uri": URI, "more": 1}},
    ],
)
def test_other_mechanisms_are_not_read_over(value: Any) -> None:
    """A second way to revoke, beside a list, is one that the issuer counts on."""
    with pytest.raises(UnsupportedError):
        read_status(value)
