"""`passgate explain` on a real configuration that owes every row of the constraint table."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.core.constraints import CONSTRAINTS

ROWS = {key: row for key, row in CONSTRAINTS.items() if not row.parameter_of}
SAID = {"allow", "block", "hold", "charge", "watch", "recall", "note", "redact", "bound", "term"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def asked(tmp_path: Path) -> tuple[object, ...]:
    """The command for an order; gate, issuer, passport and catalog share the rows."""
    issuer = tmp_path / "issuer"
    run("issuer", "new", "--id", "iss_lab", "--out", issuer)
    owed: list[dict[str, Any]] = [{}, {}, {}, {}]
    for place, (key, row) in enumerate(ROWS.items()):
        owed[3 if key.startswith(("core:pricing", "core:sla")) else place % 4][key] = row.example
    gate, by_issuer, by_passport, by_catalog = owed
    (tmp_path / "catalog.yaml").write_text(
        json.dumps({"permissions": [{"key": "shop:purchase", "constraints": by_catalog}]})
    )
    config = {
        "upstream": {"url": "http://127.0.0.1:8000"},
        "issuers": [
            {
                "id": "iss_lab",
                "keys": "file:issuer/jwks.json",
                "revocations": "file:issuer/revocations.jwt",
                "constraints": by_issuer,
            }
        ],
        "actions": {
            "routes": [
                {"match": "POST /v1/orders", "action": "shop:purchase", "vendor": "body:/vendor"}
            ]
        },
        "catalog": {"file": "catalog.yaml"},
        "constraints": gate,
    }
    (tmp_path / "gate.yaml").write_text(json.dumps(config))
    limits = [f"--constraint={key}={json.dumps(value)}" for key, value in by_passport.items()]
    issued = run("issue", "--issuer", issuer, "--agent", "a", "--permission", "*", *limits)
    assert issued.exit_code == 0, issued.stderr
    body = tmp_path / "order.json"
    body.write_text('{"vendor": "acme", "note": "4111 1111 1111 1111"}')
    return (
        *("explain", "--config", tmp_path / "gate.yaml", "--passport", issued.stdout.strip()),
        *("--method", "POST", "--target", "/v1/orders", "--body", body),
        *("--header", "Content-Type: application/json"),
    )


def test_every_row_is_shown_with_what_it_comes_to(asked: tuple[object, ...]) -> None:
    """Each constraint once, in the order of the table, in both forms of the output."""
    explained = run(*asked, "--json")
    said = json.loads(explained.stdout)["constraints"]
    table = run(*asked).stdout

    assert [key for key, _ in said] == list(ROWS)
    assert {result for _, result in said} <= SAID
    for key, result in said:
        row = CONSTRAINTS[key]
        assert f"      {key}: {result}\n" in table
        assert (result == "charge") == (row.charge is not None)
        assert (result == "term") == (
            row.judge is None and row.charge is None and row.watch is None and not row.bounds
        )
    assert dict(said)["core:data:no_pii_export"] == "block"
    assert dict(said)["core:data:pii_mode"] == "redact"
    assert dict(said)["core:approval:new_counterparty"] == "recall"
