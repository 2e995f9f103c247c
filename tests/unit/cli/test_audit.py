"""`passgate audit` in a person's hands: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from tests.log_craft import NOTE_KEY, decided, opened, record, run, segments
from typer.testing import CliRunner, Result

from passgate.cli.audit import audit_app


@pytest.fixture
def log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        await decided(log, record(1), record(2, target='/v1/"\x1b[31m'))
        log.append_outcome(record(1))
        log.append_decision(
            record(3, decision="block", reason_code="budget_exhausted", constraint="core:cost:x")
        )
        log.append_event("trust", {"issuer": "iss_lab"})
        await log.close()

    run(work)
    return directory


def audit(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(audit_app, [str(part) for part in arguments], input=text)


def test_a_sound_log_is_told_with_its_size_and_key(log: Path) -> None:
    """Exit 0; without --key the key is called self-asserted, without --since only consistent."""
    result = audit("verify", log)
    assert result.exit_code == 0
    assert "consistent up to size 8" in result.output
    assert f"{NOTE_KEY.text()} (self-asserted key)" in result.output


def test_a_given_key_and_checkpoint_are_used(log: Path, tmp_path: Path) -> None:
    """From a file, from input, as a copy of `checkpoints`, or as the text itself."""
    (tmp_path / "gate.pub").write_text(NOTE_KEY.text() + "\n")
    note = "\n".join((log / "checkpoints").read_text().split("\n")[-7:-1])
    (tmp_path / "then").write_text(note)
    key = ("--key", tmp_path / "gate.pub")
    for since, text in (
        (tmp_path / "then", None),
        ("-", note),
        (note, None),
        (log / "checkpoints", None),
    ):
        result = audit("verify", log, *key, "--since", since, text=text)
        assert result.exit_code == 0, result.output
        assert "nothing was cut since size 8" in result.output
        assert "(key given)" in result.output


def test_a_wrong_line_is_named_and_exits_1(log: Path) -> None:
    """One line on standard error, as file:line."""
    path = segments(log)[0]
    path.write_bytes(path.read_bytes().replace(b'"cost_cents":5', b'"cost_cents":4', 1))
    result = audit("verify", log)
    assert result.exit_code == 1
    assert result.stderr == f"passgate: {path}:4: the line is not the one that was signed\n"
    result = audit("verify", log, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["ok"]
    assert found["wrong"].startswith(f"{path}:4: ")


def test_json_says_the_same(log: Path) -> None:
    """Every figure under its name."""
    found = json.loads(audit("verify", log, "--json").stdout)
    assert (found["ok"], found["size"], found["self_asserted"], found["since"]) == (
        True,
        8,
        True,
        None,
    )


def test_wrong_use_exits_2_in_one_line(log: Path, tmp_path: Path) -> None:
    """No directory, no key, no checkpoint: what to do is said."""
    (tmp_path / "junk").write_text("junk")
    for arguments in (
        ("verify", tmp_path / "none"),
        ("verify", log, "--key", tmp_path / "junk"),
        ("verify", log, "--key", tmp_path / "none"),
        ("verify", log, "--since", tmp_path / "none"),
        ("tail", tmp_path / "none"),
        ("show", tmp_path / "none"),
    ):
        result = audit(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stderr.count("\n") == 1
        assert "give" in result.stderr


def test_the_data_directory_is_pointed_out(log: Path) -> None:
    """Who gives the directory above is told where the log is."""
    result = audit("verify", log.parent)
    assert result.exit_code == 1
    assert str(log) in result.stderr


def test_tail_prints_the_last_lines_and_no_control_characters(log: Path) -> None:
    """What an agent sent cannot move the cursor of a terminal."""
    result = audit("tail", log, "-n", 5)
    assert result.exit_code == 0
    rows = result.output.splitlines()
    assert len(rows) == 5
    assert "\\x1b[31m" in rows[0]
    assert "\x1b" not in result.output
    assert rows[1].split()[2:5] == ["outcome", "completed", "200"]
    assert "block budget_exhausted agent-7 api:search GET /v1/search core:cost:x" in rows[2]
    assert rows[3].endswith("trust issuer=iss_lab")
    assert audit("tail", log, "-n", 0).output == ""
    as_json = [json.loads(row) for row in audit("tail", log, "--json").output.splitlines()]
    assert [line["seq"] for line in as_json] == list(range(8))


def test_show_finds_a_decision_and_its_outcome(log: Path) -> None:
    """By id, reason, agent, decision, action or kind; exit 1 when there is none."""
    identifier = record(1).decision_id
    rows = [json.loads(row) for row in audit("show", log, identifier, "--json").output.splitlines()]
    assert [row["kind"] for row in rows] == ["decision", "outcome"]
    for arguments, count in (
        (("--reason", "budget_exhausted"), 1),
        (("--agent", "agent-7", "--kind", "decision"), 3),
        (("--agent", "agent-7", "--decision", "allow"), 2),
        (("--action", "api:search"), 3),
        ((), 8),
    ):
        assert len(audit("show", log, *arguments).output.splitlines()) == count, arguments
    result = audit("show", log, "--reason", "other")
    assert result.exit_code == 1
    assert result.stderr == "passgate: no line of the log matches\n"


def test_a_damaged_log_is_named_by_readers_too(log: Path) -> None:
    """Exit 1, and which line."""
    path = segments(log)[0]
    path.write_bytes(path.read_bytes() + b"junk\n")
    for command in ("tail", "show"):
        result = audit(command, log)
        assert result.exit_code == 1
        assert "not JSON" in result.stderr
    (log / "x.jsonl").touch()
    result = audit("verify", log)
    assert result.exit_code == 1
    assert "no segment has this name" in result.stderr


def test_tail_says_why_an_upstream_failed(tmp_path: Path) -> None:
    """The reason stands beside the status, as it does for what was refused."""
    directory = tmp_path / "log"

    async def work() -> None:
        log = opened(directory)
        await log.start()
        await decided(log, record(1))
        log.append_outcome(
            record(1, outcome="upstream_failed", reason_code="upstream_timeout", status=504)
        )
        await log.close()

    run(work)
    assert "outcome upstream_failed 504 upstream_timeout 7ms" in audit("tail", directory).output
