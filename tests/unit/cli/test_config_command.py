"""`passgate config`: results on standard output, problems beside it, exit 2 for a bad file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from passgate.cli.config import config_app

GOOD = "upstream: {url: 'http://h'}\nanonymous: {enabled: true, allowed_actions: ['*']}\n"
WARNED = "upstream: {url: 'http://h'}\nanonymous: {enabled: true}\n"
BAD = "upstream: {url: 'http://h/v1'}\ngatee: {}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """gate.yaml in the working directory, where it is looked for."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gate.yaml"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(config_app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_check_says_ok_with_its_warnings(file: Path) -> None:
    """Exit 0; each warning is one line."""
    file.write_text(GOOD.replace("['*']", "['a']") + "actions: {default: method_path}\n")
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "warning: gate.yaml:2: anonymous.allowed_actions[0] a is the action of no route",
        "gate.yaml: ok",
    ]


def test_check_tells_every_problem_on_standard_error(file: Path) -> None:
    """Exit 2; one line each, file:line: sentence; nothing on standard output."""
    file.write_text(BAD)
    code, out, err = run("check", "--config", "gate.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        (
            "gate.yaml:1: issuers must have an entry, or anonymous.enabled be true: "
            "nobody could do anything"
        ),
        (
            "gate.yaml:1: upstream.url must not hold a path or query: "
            "requests are forwarded as they are"
        ),
        "gate.yaml:2: gatee is not a key: did you mean gate?",
    ]


def test_check_speaks_json(file: Path) -> None:
    """The same for programs, on standard output."""
    file.write_text(WARNED)
    code, out, _ = run("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["problems"], len(found["warnings"])) == (0, True, [], 1)
    file.write_text(BAD)
    code, out, err = run("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"], len(found["problems"]), err) == (2, False, 3, "")


def test_show_prints_what_counts_without_secrets(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key with its value, as YAML or JSON; a secret is where it is read."""
    monkeypatch.setenv("TOKEN", "a s3cret of some length")
    file.write_text(GOOD + "admin: {token: env:TOKEN}\n")
    code, out, _ = run("show")
    assert code == 0
    assert "  token: env:TOKEN\n" in out
    assert "  max_connections: 256\n" in out
    json_code, json_out, _ = run("show", "--json")
    assert json_code == 0
    assert json.loads(json_out)["limits"]["header_bytes"] == "128KiB"
    assert "s3cret" not in out + json_out


def test_show_refuses_what_check_refuses(file: Path) -> None:
    """There is no effective configuration of a bad file."""
    file.write_text(BAD)
    code, out, err = run("show")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 3


def test_a_missing_file_is_one_line(file: Path) -> None:
    """No traceback, exit 2."""
    assert run("check", "-c", "none.yaml") == (
        2,
        "",
        "none.yaml:1: this file cannot be read: No such file or directory\n",
    )


def test_schema_prints_json_schema() -> None:
    """Nothing but the schema on standard output."""
    code, out, err = run("schema")
    assert (code, err) == (0, "")
    assert json.loads(out)["additionalProperties"] is False


@pytest.mark.parametrize("command", ["check", "schema", "show"])
def test_help_has_an_example(command: str) -> None:
    """Each command shows how it is used."""
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"passgate config {command}" in out.partition("Example:")[2]
