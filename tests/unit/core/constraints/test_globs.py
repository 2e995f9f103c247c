"""Path globs: one meaning, and linear time whatever the path is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pace import assert_quick

from passgate.core.constraints.globs import forbidden_globs, path_globs

globs = st.text("ab/*", max_size=7).map("/".__add__).filter(lambda glob: "//" not in glob)
paths = st.text("ab/", max_size=9).map("/".__add__)


def as_regular_expression(glob: str) -> re.Pattern[str]:
    """The plain, backtracking meaning of a glob, to compare with."""
    pieces = re.split(r"(\*+)", glob)
    pieces[1::2] = ["[^/]*" if stars == "*" else ".*" for stars in pieces[1::2]]
    pieces[0::2] = [re.escape(literal) for literal in pieces[0::2]]
    return re.compile("".join(pieces))


@given(st.lists(globs, max_size=4), paths)
def test_globs_mean_what_the_plain_expression_means(written: list[str], path: str) -> None:
    """A list matches a path exactly when one of its globs does."""
    expected = any(as_regular_expression(glob).fullmatch(path) for glob in written)

    assert path_globs(written).match(path) == expected


@given(st.lists(globs, max_size=3), st.lists(globs, max_size=3), paths)
def test_the_union_matches_what_either_matches(
    left: list[str], right: list[str], path: str
) -> None:
    """Joining two lists that forbid forgets no glob of either."""
    first, second = forbidden_globs(left), forbidden_globs(right)

    assert (first | second).forbid(path) == (first.forbid(path) or second.forbid(path))
    assert (first | second).match(path) == (first.match(path) or second.match(path))


@given(st.lists(globs, max_size=3), paths)
def test_a_list_that_forbids_matches_no_less_than_one_that_allows(
    written: list[str], path: str
) -> None:
    """Leniency only ever adds to what a list forbids."""
    if path_globs(written).match(path):
        assert forbidden_globs(written).forbid(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("/" + "*a" * 60 + "b", "/" + "a" * 8000),
        ("/" + "**a" * 60 + "b", "/" + "a/" * 4000),
        ("/**a*a**a*a**b", "/" + "a" * 8000),
        ("**/" * 30 + "x", "/a" * 4000),
    ],
)
def test_no_path_makes_a_glob_take_long(glob: str, path: str) -> None:
    """A path of 8 KiB against the worst of globs takes milliseconds and not for ever."""
    listed = forbidden_globs([glob])
    assert not listed.forbid(path)
    assert_quick(lambda: listed.forbid(path), 50.0)


def test_equal_lists_are_equal() -> None:
    """The order of globs and their automata make no difference; what a list is for does."""
    assert path_globs(["/a/*", "/b"]) == path_globs(["/b", "/a/*"])
    assert hash(path_globs(["/a/*", "/b"])) == hash(path_globs(["/b", "/a/*"]))
    assert path_globs(["/a"]) != forbidden_globs(["/a"])
    assert path_globs(["/a"]) != "/a"
