"""What is written is what is read back, whatever texts a document holds."""

import re
from pathlib import Path

import pytest

from passgate.config import load_config
from passgate.openapi import Document, catalog_text, routes_text, translate
from passgate.openapi.notes import KINDS

GATE = """\
upstream: {url: "http://127.0.0.1:8000"}
anonymous: {enabled: true, allowed_actions: ["*"]}
catalog: {file: catalog.yaml}
"""
TEXTS = [
    "no", "0o14", "1:30", "~", "", "- a", "a: b", "# c", '"', "\\", "'", "{x}", "${HOME}", "\t",
    "é", "\U0001f600", "\x7f", "\x85", "\u2028", "\ufeff", "\ud800", "\x00", "*a", "&a",
    "!!str", "%a", "@a",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_any_text_is_only_a_text(tmp_path: Path, text: str) -> None:
    """In a name, a description, a path or a tag; the configuration checks and means the same."""
    made = translate(
        Document(
            {
                "paths": {
                    f"/a/{text}": {"get": {"summary": text, "description": text, "tags": [text]}},
                    f"/b/{{{text}}}/c": {"get": {"operationId": text}},
                    "/x": {"get": {"operationId": "x"}},
                }
            }
        )
    )
    (tmp_path / "catalog.yaml").write_text(catalog_text(made), encoding="utf-8")
    (tmp_path / "gate.yaml").write_text(GATE + routes_text(made), encoding="utf-8")
    loaded = load_config(tmp_path / "gate.yaml", {"HOME": "elsewhere"})
    assert loaded.warnings == ()
    assert [route.match for route in loaded.config.actions.routes] == [
        each.match for each in made.operations
    ]
    catalog = loaded.config.catalog.compiled
    assert catalog is not None
    for each in made.operations:
        shown = catalog.entries[each.action].authored["display_name"]
        assert shown == each.display_name.replace("\ud800", "\ufffd")


def test_what_is_not_routed_stands_above_the_routes() -> None:
    """Whoever reads the file later sees what it lacks."""
    made = translate(
        Document({"paths": {"/a": {"get": {}, "trace": {}}, "/a?x\n": {"get": {}}, "/b": 5}})
    )
    assert routes_text(made) == (
        "# Tried from the top: the first that matches counts.\n"
        "# not routed: the gate answers 404:\n"
        "#   TRACE /a: the gate refuses every TRACE request, so no route can match one\n"
        "#   /b: it is no object\n"
        "# not routed: its requests are judged as another action:\n"
        "#   GET /a?x\\n: GET /a matches it too, so it is judged as a:get_a\n"
        "actions:\n"
        "  routes:\n"
        '    - {match: "GET /a", action: "a:get_a"}\n'
    )
    assert catalog_text(made).splitlines()[1:] == [
        "permissions:",
        '  - key: "a:get_a"',
        '    display_name: "GET /a"',
        "    risk_level: low",
    ]


def test_the_guide_explains_every_note() -> None:
    """Who is told something can look up what it means."""
    page = Path(__file__).parents[3] / "docs" / "how-to" / "start-from-openapi.md"
    explained = re.findall(r"^\| `(\w+)` \|", page.read_text(), re.M)
    assert [kind for kind in explained if kind in KINDS] == list(KINDS)
