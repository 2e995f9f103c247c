"""`passgate explain`: what its last line says is no more than what it knows."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app

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
