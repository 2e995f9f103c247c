"""A running gate and its catalog: published versions come into force, and damage is loud."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.running_gate import RunningGate, eventually, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream, mint

CATALOG = "/.well-known/passgate/catalog"


def write(gate: RunningGate, cents: int, **more: Any) -> None:
    """Writes the catalog's file with another price."""
    entry = {"key": "api:search", "constraints": {"core:pricing:per_call_cents": cents}}
    (gate.directory / "catalog.json").write_text(json.dumps({"permissions": [entry | more]}))


def command(gate: RunningGate, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "passgate", *arguments, "--config", str(gate.file)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ADMIN": "the-operator's-secret"},
        timeout=30,
    )


def publish(gate: RunningGate) -> Any:
    done = command(gate, "catalog", "publish", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_force(gate: RunningGate) -> int:
    return int(gate.request("GET", "/.well-known/passgate").json["catalog"]["version"])


def warning(gate: RunningGate) -> str:
    """What readiness says of the catalog."""
    rows = gate.admin("GET", "/readyz").json["dependencies"]
    return str(next(row["warning"] for row in rows if row["name"] == "catalog"))


def test_terms_are_published_kept_and_recorded(tmp_path: Path, upstream: FakeUpstream) -> None:
    """The whole life: a file, two versions, a pin, a damaged file."""
    config = {"catalog": {"file": "catalog.json"}}
    (tmp_path / "catalog.json").write_text('{"permissions": [{"key": "api:search"}]}')
    with running_gate(tmp_path, upstream.url, config=config) as gate:
        assert in_force(gate) == 0
        write(gate, 5)
        first = publish(gate)
        # Nobody tells the gate; it looks.
        eventually(lambda: in_force(gate) == 1)
        kept = mint(issuer=gate.issuer, claims={"catalogs": first["pin"]})
        write(gate, 8)
        eventually(lambda: "differs from version 1" in warning(gate))
        publish(gate)
        eventually(lambda: in_force(gate) == 2)
        assert warning(gate) == ""
        assert gate.request("GET", "/v1/search", kept).status == 200
        assert gate.request("GET", "/v1/search", mint(issuer=gate.issuer)).status == 200
        served = gate.request("GET", f"{CATALOG}/1")
        assert served.json["content_hash"] == first["content_hash"]
        tag = {"If-None-Match": served.headers["etag"]}
        unchanged = gate.request("GET", f"{CATALOG}/{first['content_hash']}", headers=tag)
        assert (unchanged.status, unchanged.body) == (304, b"")

        # A version that nobody published changes nothing, and is told.
        forged = served.body.replace(b":5}", b":1}")
        (tmp_path / "data" / "catalog" / "3.json").write_bytes(forged)
        eventually(lambda: b"3.json is damaged" in gate.admin("GET", "/readyz").body)
        assert in_force(gate) == 2

        lines = [line for line in read_lines(gate.log_directory) if line["kind"] == "decision"]
        allowed = [line for line in lines if line["decision"] == "allow"]
        assert [line["cost_cents"] for line in allowed] == [5, 8]
        assert {line["catalog_version"] for line in allowed} == {2}
        gate.stop()
        with pytest.raises(RuntimeError, match="damaged"):
            gate.start()
