"""`passgate catalog from-openapi`: from a description to a configuration that checks."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app

SPEC = """\
openapi: 3.1.0
servers: [{url: "https://api.example/v1"}]
security: [{key: []}]
paths:
  /pets:
    get: {tags: [pets], operationId: listPets, summary: All pets, security: []}
    post: {tags: [pets], operationId: addPet, description: Adds one.}
  /pets/{id}.json:
    get: {tags: [pets], operationId: getPet}
  /pets/{id}:
    get: {tags: [pets], operationId: getPetToo}
  /pets//{id}:
    delete: {tags: [pets], operationId: endPet}
"""
GATE = """\
upstream: {url: "http://127.0.0.1:8000"}
anonymous: {enabled: true, allowed_actions: ["pets:list_pets"]}
catalog: {file: catalog.yaml}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def translated(*arguments: object) -> Result:
    return run("catalog", "from-openapi", *arguments)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "api.yaml").write_text(SPEC)
    return tmp_path


def test_what_is_written_passes_config_check(place: Path) -> None:
    """The routes are a section of gate.yaml, the catalog a file that it names."""
    result = translated("api.yaml", "--out", "made")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == [
        (
            "widened: GET /pets/{id}.json: '{id}.json' is matched as a whole segment, "
            "whatever it holds"
        ),
        "left_out: DELETE /pets//{id}: it has an empty segment, which no judged path has",
        (
            "conflict: GET /pets/{id}.json: GET /v1/pets/{id} matches it too, so it is judged as "
            "pets:get_pet_too"
        ),
    ]
    assert "5 operations: 3 routes, 2 not routed, 1 widened\n" in result.stdout
    assert "1 need no credentials by the document" in result.stdout
    routes = (place / "made" / "routes.yaml").read_text()
    (place / "made" / "gate.yaml").write_text(GATE + routes)
    checked = run("config", "check", "--config", "made/gate.yaml")
    assert (checked.exit_code, checked.stdout) == (0, "made/gate.yaml: ok\n")
    published = run("catalog", "publish", "--config", "made/gate.yaml", "--json")
    assert len(json.loads(published.stdout)["changes"]) == 3


def test_it_speaks_json(place: Path) -> None:
    """With counts, notes, and the actions that need no credentials."""
    result = translated("api.yaml", "--catalog", "c.yaml", "--routes", "r.yaml", "--json")
    told: Any = json.loads(result.stdout)
    assert told["base_path"] == "/v1"
    assert told["public_actions"] == ["pets:list_pets"]
    assert told["files"] == {"catalog": "c.yaml", "routes": "r.yaml"}
    counts = told["counts"]
    assert (counts["operations"], counts["routes"], counts["left_out"]) == (5, 3, 1)
    assert {note["kind"] for note in told["notes"]} == {"widened", "left_out", "conflict"}
    assert (place / "c.yaml").exists()
    assert (place / "r.yaml").exists()


def test_a_base_path_can_be_given(place: Path) -> None:
    """For a gate that stands elsewhere than the document's server."""
    assert translated("api.yaml", "--out", ".", "--base-path", "/api").exit_code == 0
    assert '"GET /api/pets"' in (place / "routes.yaml").read_text()


def test_nothing_is_written_over(place: Path) -> None:
    """Somebody may have put prices in; both files stay, unless --force says otherwise."""
    (place / "catalog.yaml").write_text("mine")
    refused = translated("api.yaml", "--out", ".")
    assert refused.exit_code == 1
    assert "catalog.yaml exists" in refused.stderr
    assert (place / "catalog.yaml").read_text() == "mine"
    assert not (place / "routes.yaml").exists()
    assert translated("api.yaml", "--out", ".", "--force").exit_code == 0
    assert (place / "catalog.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--out DIR, or both"),
        (("--catalog", "c"), "--out DIR, or both"),
        (("--routes", "r"), "--out DIR, or both"),
        (("--out", ".", "--routes", "r"), "--out DIR, or both"),
        (("--out", ".", "--catalog", "c", "--routes", "r"), "--out DIR, or both"),
        (("--out", ".", "--base-path", "v1"), "begins with a slash"),
    ],
)
def test_wrong_use_is_told(place: Path, options: tuple[str, ...], words: str) -> None:
    """Exit 2, and nothing is written."""
    result = translated("api.yaml", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert [each.name for each in place.iterdir()] == ["api.yaml"]


def test_what_cannot_be_read_or_written_is_told(place: Path) -> None:
    """In one line each."""
    assert translated("none.yaml", "--out", ".").exit_code == 2
    (place / "old.json").write_text('{"swagger": "2.0"}')
    old = translated("old.json", "--out", ".")
    assert old.exit_code == 1
    assert "it is OpenAPI 2.0" in old.stderr
    blocked = translated("api.yaml", "--out", "api.yaml")
    assert blocked.exit_code == 1
    assert "cannot be written" in blocked.stderr


def test_more_than_a_gate_reads_is_warned_of(place: Path) -> None:
    """It is written all the same; the gate would refuse the file."""
    paths = {f"/{'x' * 5000}{number}": {"get": {}} for number in range(210)}
    (place / "large.json").write_text(json.dumps({"openapi": "3.0.0", "paths": paths}))
    result = translated("large.json", "--out", ".", "--json")
    assert result.exit_code == 0
    assert "1024 KiB, which these routes exceed" in result.stderr
