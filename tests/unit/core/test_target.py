"""The request target: one reading or none."""

import json
from pathlib import Path
from typing import Any

import pytest

from passgate.core.hosts import split_authority
from passgate.core.reasons import Refusal
from passgate.core.target import Target, judge_path, plain_path, read_target, without_parameters

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors/targets.json").read_text()
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """Each target of the vectors has the reading they give it, or is refused."""
    read = read_target(
        vector["target"].encode("latin-1"), vector["method"], split_authority(vector["host"])
    )
    expected = vector["expect"]
    if expected == "request_malformed":
        assert isinstance(read, Refusal)
        assert read.code == "request_malformed"
        assert read.http_status == 400
    else:
        assert read == Target(
            expected["path"],
            expected["query"].encode("latin-1"),
            expected["forward"].encode("latin-1"),
        )


def test_vectors_have_names_of_their_own() -> None:
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_absolute_form_without_a_host_is_refused() -> None:
    """An HTTP/1.0 request without Host cannot name one in its target."""
    assert isinstance(read_target(b"http://api.example/", "GET", None), Refusal)


def test_details_repeat_nothing_that_was_sent() -> None:
    refusal = read_target(b"/<script>", "GET", None)
    assert isinstance(refusal, Refusal)
    assert "script" not in refusal.detail


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/a/b", "/a/b"),
        ("/a%40b%3Ac%2C", "/a@b:c,"),
        ("/a%3Bb", "/a;b"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/%253A", "/%253A"),
        ("/a%20b", "/a%20b"),
    ],
)
def test_plain_path_has_no_needless_escape(path: str, plain: str) -> None:
    assert plain_path(path) == plain


def test_parameters_are_cut_from_every_segment() -> None:
    assert without_parameters("/a;x=1/b;y;z/c") == "/a/b/c"
    assert without_parameters("/a/b") == "/a/b"


def test_judging_a_judged_path_changes_nothing() -> None:
    for raw in (b"/caf%c3%a9", b"/%61;b/c", b"/a%40"):
        judged = judge_path(raw)
        assert isinstance(judged, str)
        assert judge_path(judged.encode()) == judged
