"""`passgate catalog`: publishes, compares and shows; every problem is named, nothing half done."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app

CONFIG = """\
gate: {id: gate_x}
upstream: {url: "http://127.0.0.1:8000"}
issuers:
  - {id: iss_lab, keys: "file:issuer/jwks.json", revocations: "file:issuer/revocations.jwt"}
actions: {routes: [{match: GET /, action: api:read}]}
catalog: {file: catalog.yaml}
"""
FIRST = """\
permissions:
  - {key: api:read, risk_level: low, constraints: {"core:pricing:per_call_cents": 5}}
  - {key: api:gone}
"""
SECOND = """\
permissions:
  - {key: api:read, risk_level: low, constraints: {"core:pricing:per_call_cents": 7}}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(*arguments: object) -> Any:
    """The JSON of a command that must succeed."""
    result = run("catalog", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an issuer, a configuration and a catalog."""
    monkeypatch.chdir(tmp_path)
    run("issuer", "new", "--id", "iss_lab", "--out", "issuer")
    (tmp_path / "gate.yaml").write_text(CONFIG)
    (tmp_path / "catalog.yaml").write_text(FIRST)
    return tmp_path


def test_publishing_prints_what_pins_need(place: Path) -> None:
    """Number, hash, key and pin; a second time nothing is made, which is said."""
    made = told("publish")
    assert (made["version"], made["made"], made["has_breaking_changes"]) == (1, True, False)
    pin = {"version": 1, "content_hash": made["content_hash"]}
    assert made["pin"] == {"gate_x": pin}
    again = told("publish")
    assert {**again, "made": True} == made
    assert again["made"] is False
    result = run("catalog", "publish")
    assert result.stdout.startswith("Nothing changed since version 1; no version was made.\n")
    assert f"--pin gate_x=1@{made['content_hash']}\n" in result.stdout
    assert [each.name for each in (place / "passgate-data" / "catalog").iterdir()] == ["1.json"]


def test_what_would_change_is_what_is_published(place: Path) -> None:
    """`diff` tells it before, the version has it for ever."""
    result = run("catalog", "diff")
    assert result.stdout.splitlines()[0] == "2 changes (nothing is published)"
    assert told("diff")["version"] == 0
    assert not (place / "passgate-data").exists()
    told("publish")
    assert run("catalog", "diff").stdout == "0 changes (against version 1)\n"
    (place / "catalog.yaml").write_text(SECOND)
    expected = told("diff")
    assert expected["has_breaking_changes"] is True
    assert [change["type"] for change in expected["changes"]] == ["permission_removed", "price_up"]
    result = run("catalog", "publish")
    assert "  breaking price_up            api:read  core:pricing:per_call_cents: 5 -> 7\n" in (
        result.stdout
    )
    shown = told("show")
    assert (shown["version"], shown["changes"]) == (2, expected["changes"])


def test_every_version_can_be_shown(place: Path) -> None:
    """Without a number the one in force; as JSON byte for byte what is served."""
    told("publish")
    (place / "catalog.yaml").write_text(SECOND)
    told("publish")
    result = run("catalog", "show")
    assert result.stdout.startswith("Version 2 of the catalog of gate_x, in force.\n")
    assert "  api:read                         L0  low      7 cents a call\n" in result.stdout
    assert result.stdout.count("sha256:") == 4
    assert "  breaking\n" in result.stdout
    older = run("catalog", "show", 1)
    assert older.stdout.startswith("Version 1 of the catalog of gate_x.\n")
    stored = (place / "passgate-data" / "catalog" / "1.json").read_text()
    assert run("catalog", "show", 1, "--json").stdout == stored
    missing = run("catalog", "show", 3)
    assert (missing.exit_code, missing.stderr) == (
        1,
        "passgate: there is no version 3: there are 1 to 2\n",
    )
    assert run("catalog", "show", 0).exit_code == 1


def test_what_is_not_published_is_shown_as_version_0(place: Path) -> None:
    """With the hash that a pin to it needs."""
    result = run("catalog", "show")
    assert result.stdout.startswith("The catalog of gate_x is not published")
    shown = told("show", 0)
    assert (shown["gate_id"], shown["version"]) == ("gate_x", 0)
    assert f"--pin gate_x=0@{shown['content_hash']}\n" in result.stdout
    assert shown["catalog_snapshot"]["permissions"][1] == {"key": "api:gone"}
    assert run("catalog", "show", 1).stderr == (
        "passgate: there is no version 1: nothing is published\n"
    )


def test_a_catalog_that_is_not_valid_is_not_published(place: Path) -> None:
    """Every problem is named, with its line, and nothing is made: not even a key."""
    (place / "catalog.yaml").write_text(
        "permissions:\n"
        '  - {key: api:read, constraints: {"core:pricing:per_call_cents": -1}}\n'
        '  - {key: api:read, constraints: {"core:pricing:per_call_cents": 0.5}}\n'
        '  - {key: "*", constraints: {"core:x": 1}, risk_level: huge, colour: red}\n'
        "  - 5\n"
    )
    for command in ("publish", "diff", "show"):
        result = run("catalog", command)
        assert (result.exit_code, result.stdout) == (2, "")
        said = [line.partition("catalog.yaml:")[2] for line in result.stderr.splitlines()]
        assert [line[:2] for line in said] == ["2:", "3:", "3:", "4:", "4:", "4:", "4:", "5:"]
        for words in ("there already", "core:x: no such", "`key`", "`risk_level`", "'colour'"):
            assert words in result.stderr
    assert not (place / "passgate-data").exists()


def test_a_configuration_without_a_catalog_publishes_none(place: Path) -> None:
    """Exit 2, and a sentence that says which key is missing."""
    (place / "gate.yaml").write_text(CONFIG.replace("catalog: {file: catalog.yaml}", ""))
    for command in ("publish", "diff", "show"):
        result = run("catalog", command)
        assert result.exit_code == 2
        assert "names no catalog.file" in result.stderr


def test_a_damaged_version_ends_every_command(place: Path) -> None:
    """Nothing is published upon what cannot be believed, and `config check` tells it too."""
    told("publish")
    file = place / "passgate-data" / "catalog" / "1.json"
    file.write_text(file.read_text().replace(":5}", ":4}"))
    (place / "catalog.yaml").write_text(SECOND)
    for command in (("catalog", "publish"), ("catalog", "diff"), ("catalog", "show")):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "1.json is damaged" in result.stderr
    checked = run("config", "check")
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert "1.json is damaged" in checked.stderr
    as_json = json.loads(run("config", "check", "--json").stdout)
    assert as_json["ok"] is False
    assert len(as_json["problems"]) == 1
    assert run("explain", "--target", "/").exit_code == 1


def test_a_data_directory_that_cannot_be_made_is_told(place: Path) -> None:
    """Exit 1, one line."""
    (place / "gate.yaml").write_text(CONFIG.replace("gate_x}", "gate_x, data_dir: catalog.yaml/d}"))
    result = run("catalog", "publish")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be made" in result.stderr


@pytest.mark.parametrize(
    ("config", "catalog", "words"),
    [
        (CONFIG, FIRST, ""),
        (CONFIG, SECOND, "differs from version 1 of the catalog, which is in force"),
        (CONFIG.replace("catalog: {file: catalog.yaml}", ""), FIRST, "catalog.file is not set"),
        (
            CONFIG.replace("catalog.yaml}", "catalog.yaml, min_version: 2}"),
            FIRST,
            "refuses every pinned passport: the newest version is 1",
        ),
    ],
)
def test_a_catalog_on_file_that_is_not_in_force_is_loud(
    place: Path, config: str, catalog: str, words: str
) -> None:
    """`config check` warns of each way in which the file is not what counts."""
    told("publish")
    (place / "gate.yaml").write_text(config)
    (place / "catalog.yaml").write_text(catalog)
    result = run("config", "check")
    assert result.exit_code == 0
    warnings = result.stdout.splitlines()[:-1]
    assert len(warnings) == bool(words)
    assert all(line.startswith("warning: gate.yaml: ") and words in line for line in warnings)


def test_a_least_version_without_any_is_doubted(place: Path) -> None:
    """No pin can be good before something is published."""
    (place / "gate.yaml").write_text(
        CONFIG.replace("catalog.yaml}", "catalog.yaml, min_version: 1}")
    )
    assert "nothing is published" in run("config", "check").stdout


def test_a_passport_keeps_the_version_that_it_is_issued_with(place: Path) -> None:
    """From publishing to the price that is explained, with nothing but what commands print."""
    first = told("publish")["pin"]["gate_x"]
    (place / "catalog.yaml").write_text(SECOND)
    told("publish")
    pin = f"gate_x={first['version']}@{first['content_hash']}"
    issued = run(
        *("issue", "--issuer", "issuer", "--agent", "a", "--permission", "api:*", "--pin", pin)
    )
    explained = run("explain", "--target", "/", "--passport", issued.stdout.strip())
    assert explained.exit_code == 0, explained.stdout
    assert "version 2, by the terms of version 1\n" in explained.stdout


@pytest.mark.parametrize(
    "pin", ["gate_x", "gate_x=1", "=1@h", "gate_x=@h", "gate_x=1@", "gate_x=one@h", "g=-1@h"]
)
def test_a_pin_that_is_none_is_refused(place: Path, pin: str) -> None:
    """Exit 2, and nothing is issued."""
    issued = run(
        *("issue", "--issuer", "issuer", "--agent", "a", "--permission", "*", "--pin", pin)
    )
    assert (issued.exit_code, issued.stdout) == (2, "")
    assert "GATE=VERSION@HASH" in issued.stderr


def test_two_pins_to_one_gate_are_refused(place: Path) -> None:
    """A passport keeps one version."""
    options = [option for number in (1, 2) for option in ("--pin", f"gate_x={number}@h")]
    issued = run(*("issue", "--issuer", "issuer", "--agent", "a", "--permission", "*", *options))
    assert (issued.exit_code, issued.stdout) == (2, "")
