"""A gate without a network lives by trust bundles: a real process, and the real commands."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.log import read_lines
from passgate.testing import FakeUpstream, TestIssuer

LAB = TestIssuer("iss_lab")
TERMS = {"permissions": [{"key": "api:search", "description": "Search.", "constraints": {}}]}


def passgate(*arguments: str | Path) -> Result:
    """One run of the command line."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class Exporter:
    """A gate's directory on a machine with a network; it need not run to export."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.gate = RunningGate(directory, "http://127.0.0.1:1", issuer=LAB)
        (directory / "catalog.yaml").write_text(yaml.safe_dump(TERMS))
        self.gate.write_config(catalog={"file": str(directory / "catalog.yaml")})
        self.keys = directory / "exporter.json"

    def export(self, out: Path, *options: str) -> dict[str, Any]:
        done = passgate(
            *("trust", "export", "--config", self.gate.file, "--out", out, "--fresh", "--json"),
            *("--keys-out", self.keys, *options),
        )
        assert done.exit_code == 0, done.stderr
        exported: dict[str, Any] = json.loads(done.stdout)
        return exported


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    monkeypatch.setenv("ADMIN", ADMIN_TOKEN)
    return Exporter(tmp_path / "online")


def row(gate: RunningGate, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = gate.admin("GET", "/readyz").json["dependencies"]
    return next(each for each in found if each["name"] == name)


def test_a_gate_lives_by_bundles(
    exporter: Exporter, upstream: FakeUpstream, tmp_path: Path
) -> None:
    """Nothing is known before the first, the second revokes, an older one is refused, a restart
    forgets nothing, and every line of the log says under which version it was written."""
    first, second = tmp_path / "first.bundle", tmp_path / "second.bundle"
    shown = exporter.export(first)
    exporter.gate.revoke(("passport", "pass_gone"))
    assert passgate("catalog", "publish", "--config", exporter.gate.file).exit_code == 0
    newer = exporter.export(second)
    offline = tmp_path / "offline"
    offline.mkdir()
    entry = {"id": LAB.id, "keys": "bundle", "revocations": "bundle", "max_stale": "1h"}
    config = {"issuers": [entry], "trust": {"bundle_keys": f"file:{exporter.keys}"}}
    gate = RunningGate(offline, upstream.url, config=config, issuer=LAB).start(wait_ready=False)
    good, gone = LAB.mint(now=time.time()), LAB.mint(now=time.time(), passport_id="pass_gone")
    try:
        assert gate.admin("GET", "/readyz").status == 503
        assert gate.request("GET", "/v1/search", good).json["code"] == "trust_stale"
        assert passgate("trust", "import", first, "--config", gate.file).exit_code == 0
        eventually(lambda: gate.admin("GET", "/readyz").status == 200)
        assert row(gate, "trust bundle")["version"] == shown["version"]
        assert gate.request("GET", "/v1/search", good).status == 200
        assert gate.request("GET", "/v1/search", gone).status == 200

        assert newer["version"] > shown["version"]
        assert passgate("trust", "import", second, "--config", gate.file).exit_code == 0
        eventually(lambda: row(gate, "trust bundle")["version"] == newer["version"])
        assert gate.request("GET", "/v1/search", gone).json["code"] == "passport_revoked"
        # The terms came with it: this gate has the id of the one that published them.
        assert gate.request("GET", "/.well-known/passgate/catalog").json["version"] == 1

        refused = passgate("trust", "import", first, "--config", gate.file)
        assert refused.exit_code == 1
        assert f"version {newer['version']} is in place" in refused.stderr
        assert gate.stop() == 0
        gate.start()
        assert gate.request("GET", "/v1/search", gone).json["code"] == "passport_revoked"
        assert gate.request("GET", "/v1/search", good).status == 200
    finally:
        if gate.process is not None and gate.process.poll() is None:
            gate.stop()
    written = list(read_lines(gate.log_directory))
    decided = [line.get("bundle") for line in written if line["kind"] == "decision"]
    versions = [shown["version"], newer["version"]]
    assert decided == [None, *versions[:1] * 2, *versions[1:] * 3]
    taken = written[next(n for n, line in enumerate(written) if "bundle" in line) :]
    assert {line["kind"] for line in taken if "bundle" not in line} <= {"checkpoint", "start"}
