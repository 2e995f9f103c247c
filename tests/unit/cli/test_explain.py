"""`passgate explain`: what its last line says is no more than what it knows."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.core.kills import Kill
from passgate.sync.kill_store import KillStore

CONFIG = """\
upstream: {url: "http://127.0.0.1:8000"}
issuers:
  - {id: iss_lab, keys: "file:issuer/jwks.json", revocations: "file:issuer/revocations.jwt"}
actions:
  routes:
    - {match: "POST /v1/orders", action: "shop:purchase", vendor: "body:/vendor"}
    - {match: "GET /**", action: "api:read"}
"""
OPEN = "\nallow\nThe body may still change that: give it with --body.\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def gate(tmp_path: Path) -> tuple[object, ...]:
    """The command with a configuration and a passport for it."""
    issuer, config = tmp_path / "issuer", tmp_path / "gate.yaml"
    run("issuer", "new", "--id", "iss_lab", "--out", issuer)
    config.write_text(CONFIG, encoding="utf-8")
    issued = run("issue", "--issuer", issuer, "--agent", "a", "--permission", "*")
    return "explain", "--config", config, "--passport", issued.stdout.strip()


def test_a_body_that_is_not_there_is_asked_for(gate: tuple[object, ...], tmp_path: Path) -> None:
    """What depends on the body is not called allowed without a word."""
    order = (*gate, "--method", "POST", "--target", "/v1/orders")
    assert run(*order).stdout.endswith(OPEN)
    body = tmp_path / "order.json"
    body.write_text('{"vendor": "acme"}', encoding="utf-8")
    known = run(*order, "--body", body, "--header", "Content-Type: application/json")
    assert (known.exit_code, known.stdout.endswith("\n\nallow\n")) == (0, True)


def test_a_request_without_a_judged_body_is_simply_allowed(gate: tuple[object, ...]) -> None:
    """Where nothing depends on a body, none is asked for."""
    assert run(*gate, "--target", "/x").stdout.endswith("\n\nallow\n")


SECRETS = """\
admin: {token: "env:NOBODY_HAS_THIS", metrics_token: "file:nowhere"}
"""


def test_no_secret_is_needed_to_explain(gate: tuple[object, ...], tmp_path: Path) -> None:
    """Explaining and verifying read none; one that stands in the file itself is still wrong."""
    config = tmp_path / "gate.yaml"
    config.write_text(CONFIG + SECRETS, encoding="utf-8")
    assert run(*gate, "--target", "/x").exit_code == 0
    verified = run("verify", gate[-1], "--config", config)
    assert verified.exit_code == 0, verified.stderr
    assert run("config", "check", "--config", config).exit_code == 2
    config.write_text(CONFIG + 'admin: {token: "the secret itself"}\n', encoding="utf-8")
    refused = run(*gate, "--target", "/x")
    assert (refused.exit_code, "env:NAME or file:PATH" in refused.stderr) == (2, True)
    assert "the secret itself" not in refused.stderr


@pytest.mark.parametrize(
    ("kind", "target"), [("all", ""), ("action", "api:read"), ("agent", "a"), ("issuer", "iss_lab")]
)
def test_what_the_gate_has_stopped_is_shown(
    gate: tuple[object, ...], tmp_path: Path, kind: str, target: str
) -> None:
    """By check 9, from the file that the gate keeps; `verify` refuses it as well."""
    data = tmp_path / "passgate-data"
    data.mkdir()
    store = KillStore(data / "kills")
    store.save([Kill("kill_1", kind, target, "", "", "ann", 0)])
    explained = run(*gate, "--target", "/x")
    assert explained.exit_code == 1
    assert " 9  revocation   refused  killed" in explained.stdout
    asked = ("verify", gate[-1], "--config", tmp_path / "gate.yaml", "--action", "api:read")
    assert run(*asked).exit_code == 1
    store.path.write_bytes(b"damaged")
    unknown = run(*gate, "--target", "/x")
    assert (unknown.exit_code, "what is stopped is not known" in unknown.stderr) == (0, True)
