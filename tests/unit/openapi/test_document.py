"""Reading a document: JSON or YAML, one reading of each, references within it alone."""

import pytest

from passgate.openapi import Document, read_document


def text(body: str) -> bytes:
    return ('openapi: "3.0.3"\n' + body).encode()


def test_json_and_yaml_are_read_alike() -> None:
    """The same document gives the same tree, with or without a byte order mark."""
    expected = {"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "x"}}}}
    as_json = b'{"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "x"}}}}'
    as_yaml = b"openapi: 3.1.0\npaths:\n  /a:\n    get:\n      operationId: x\n"
    for raw in (as_json, as_yaml, b"\xef\xbb\xbf" + as_json, b"\xef\xbb\xbf" + as_yaml):
        document = read_document(raw)
        assert document.tree == expected
        assert document.notes == []


def test_yaml_scalars_are_texts() -> None:
    """Whatever YAML 1.1 would make of `no`, a date, or a number."""
    tree = read_document(text("info: {a: no, b: 1.0, c: 2020-01-01, d: ~}\n? 5\n: x\n")).tree
    assert tree["info"] == {"a": "no", "b": "1.0", "c": "2020-01-01", "d": "~"}
    assert tree["5"] == "x"


def test_yaml_anchors_and_merges_hide_nothing() -> None:
    """What is merged in is there; what stands beside it counts first."""
    tree = read_document(
        text("a: &a {x: '1', y: '1'}\nb: &b {z: '3'}\nc: {<<: *a, x: '2'}\nd: {<<: [*a, *b]}\n")
    ).tree
    assert tree["c"] == {"x": "2", "y": "1"}
    assert tree["d"] == {"x": "1", "y": "1", "z": "3"}
    assert read_document(text("e: {<<: nothing, x: '1'}\n")).tree["e"] == {"x": "1"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"openapi": "3.0.0", "paths": {"/a": {"get": {}}, "/a": {"post": {}}}}',
        b"openapi: 3.0.0\npaths:\n  /a: {get: {}}\n  /a: {post: {}}\n",
    ],
)
def test_a_member_that_stands_twice_is_told(raw: bytes) -> None:
    """The first counts; other readers take the last, so nobody may miss it."""
    document = read_document(raw)
    assert document.tree["paths"] == {"/a": {"get": {}}}
    (note,) = document.notes
    assert (note.kind, note.where) == ("unread", "/a")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "no OpenAPI document"),
        (b"[]", "no OpenAPI document"),
        (b"{}", "no member `openapi`"),
        (b'{"openapi": 3.0}', "it is OpenAPI 3.0; what is read is 3.0 and 3.1"),
        (b'{"openapi": "3.2.0"}', "it is OpenAPI 3.2.0"),
        (b'{"openapi": "31.0"}', "it is OpenAPI 31.0"),
        (b'swagger: "2.0"', "it is OpenAPI 2.0"),
        (b"{", "neither JSON nor YAML"),
        (b"a: [", "neither JSON nor YAML"),
        (b"a: b: c", "neither JSON nor YAML"),
        (b"a: &a [*a]", "neither JSON nor YAML"),
        (b"a: *b", "neither JSON nor YAML"),
        (b"? [x]\n: y\nopenapi: 4", "it is OpenAPI 4"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b" " * ((128 << 20) + 1), "larger than 128 MiB"),
    ],
    ids=range(16),
)
def test_what_is_no_such_document_is_refused(raw: bytes, sentence: str) -> None:
    """With a sentence that says what it is instead."""
    with pytest.raises(ValueError, match=sentence):
        read_document(raw)


DOCUMENT = Document(
    {
        "paths": {"/a b": {"get": {"$ref": "#/components/x"}}, "/c": {"$ref": "#/paths/~1a%20b"}},
        "components": {"x": {"id": "1"}, "list": ["zero", {"id": "2"}]},
        "round": {"$ref": "#/trip"},
        "trip": {"$ref": "#/round"},
    }
)


def test_references_are_followed_and_what_stands_beside_them_stays() -> None:
    """Escapes of pointer and fragment are undone; a reference may lead to another."""
    assert DOCUMENT.resolve({"$ref": "#/components/x"}) == {"id": "1"}
    assert DOCUMENT.resolve({"$ref": "#/components/x", "id": "9", "y": "2"}) == {
        "id": "9",
        "y": "2",
    }
    assert DOCUMENT.resolve({"$ref": "#/components/list/1"}) == {"id": "2"}
    assert DOCUMENT.resolve({"$ref": "#/components/list/0", "y": "2"}) == "zero"
    assert DOCUMENT.resolve(DOCUMENT.tree["paths"]["/c"]) == DOCUMENT.tree["paths"]["/a b"]
    assert DOCUMENT.resolve("plain") == "plain"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("other.yaml#/a", "another document"),
        ("https://example.com/a", "another document"),
        (5, "another document"),
        ("#/components/none", "not there"),
        ("#/components/list/2", "not there"),
        ("#/components/list/x", "not there"),
        ("#/components/x/id/deeper", "not there"),
        ("#/round", "in a circle"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(reference: object, sentence: str) -> None:
    """Nothing is fetched, and nothing goes on for ever."""
    with pytest.raises(ValueError, match=sentence):
        DOCUMENT.resolve({"$ref": reference})
