"""`passgate trust`: what is exported is shown, verified and put in place, or nothing is."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from passgate.cli.app import app

ONLINE = """\
gate: {id: gate_online, data_dir: online}
upstream: {url: "http://127.0.0.1:8000"}
issuers:
  - {id: iss_lab, keys: "file:issuer/jwks.json", revocations: "file:issuer/revocations.jwt"}
actions: {routes: [{match: GET /, action: api:read}]}
catalog: {file: catalog.yaml}
"""
OFFLINE = """\
gate: {id: GATE, data_dir: offline}
upstream: {url: "http://127.0.0.1:8000"}
trust: {bundle_keys: "file:exporter.json"}
issuers:
  - {id: iss_lab, keys: bundle, revocations: bundle}
actions: {routes: [{match: GET /, action: api:read}]}
"""


@pytest.fixture(autouse=True)
def journal() -> Iterator[None]:
    """A gate that starts has the journal for itself; afterwards it is as before."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> Any:
    result = run("trust", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def export(*options: object) -> Any:
    return done("export", "-c", "online.yaml", "-o", "b", "--fresh", *options)


def taken_in(file: str = "b") -> Result:
    return run("trust", "import", file, "-c", "offline.yaml")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an issuer, an exporting gate, and one that trusts it."""
    monkeypatch.chdir(tmp_path)
    run("issuer", "new", "--id", "iss_lab", "--out", "issuer")
    (tmp_path / "online.yaml").write_text(ONLINE)
    (tmp_path / "catalog.yaml").write_text("permissions: [{key: api:read}]")
    export("--keys-out", "exporter.json")
    (tmp_path / "offline.yaml").write_text(OFFLINE.replace("GATE", "gate_offline"))
    return tmp_path


def test_what_is_exported_is_shown(place: Path) -> None:
    """Everything but the bodies; without the key nothing is called verified."""
    exported = export("--max-age", "2h")
    shown = done("show", "b")
    assert not shown["verified"]
    assert done("show", "b", "--key", "exporter.json")["verified"]
    assert shown["version"] == exported["version"]
    assert [(part["kind"], part["max_age_s"]) for part in shown["parts"]] == [
        ("keys", 7200),
        ("revocations", 7200),
    ]
    assert "NOT VERIFIED" in run("trust", "show", "b").stdout
    other = place / "issuer" / "jwks.json"
    assert "not among the trusted ones" in run("trust", "show", "b", "--key", other).stderr


def test_what_is_imported_is_used_by_every_command(place: Path) -> None:
    """`verify` and `explain` know what the gate will know."""
    passport = run(
        *("issue", "--issuer", "issuer", "--agent", "a", "--permission", "api:*")
    ).stdout.strip()
    before = run("verify", passport, "--config", "offline.yaml")
    assert before.exit_code == 1
    assert "passgate trust import" in before.stderr
    assert taken_in().exit_code == 0
    assert run("verify", passport, "--config", "offline.yaml").exit_code == 0
    explained = run("explain", "--config", "offline.yaml", "--target", "/", "--passport", passport)
    assert explained.exit_code == 0, explained.stdout
    again = taken_in()
    assert again.exit_code == 0
    assert "was in place already" in again.stdout


def test_an_older_one_is_refused(place: Path) -> None:
    """Whatever it holds, and whoever trusts its signer; the one in place stays."""
    (place / "old").write_bytes((place / "b").read_bytes())
    export()
    assert taken_in().exit_code == 0
    in_place = (place / "offline" / "trust" / "bundle").read_bytes()
    refused = taken_in("old")
    assert refused.exit_code == 1
    assert "is in place: export a newer one" in refused.stderr
    assert (place / "offline" / "trust" / "bundle").read_bytes() == in_place


def test_nothing_is_put_in_place_that_the_gate_would_not_take(place: Path) -> None:
    """A flipped byte, another signer, another clock, no signer at all, no bundle."""
    raw = (place / "b").read_bytes()
    (place / "cut").write_bytes(raw[:-20])
    (place / "flipped").write_bytes(raw[:300] + bytes([raw[300] ^ 1]) + raw[301:])
    for file, sentence in (("cut", "cut: "), ("flipped", "flipped: "), ("none", "cannot be read")):
        refused = taken_in(file)
        assert refused.exit_code in (1, 2)
        assert sentence in refused.stderr
    (place / "online" / "gate.key").unlink()
    export()
    assert "not among the trusted ones" in taken_in().stderr
    (place / "offline.yaml").write_text(OFFLINE.replace('"file:exporter.json"', "null"))
    assert taken_in().exit_code == 2
    assert not (place / "offline").exists()


def test_a_bundle_of_the_future_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts would look younger than they are, and no later one could follow."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    export()
    monkeypatch.setattr(time, "time", lambda: now)
    refused = taken_in()
    assert refused.exit_code == 1
    assert "made in the future" in refused.stderr


def test_two_catalogs_are_not_mixed(place: Path) -> None:
    """A gate with the exporter's id takes its versions, but never in place of other ones."""
    (place / "offline.yaml").write_text(
        OFFLINE.replace("GATE", "gate_online") + "catalog: {file: catalog.yaml}\n"
    )
    assert run("catalog", "publish", "-c", "online.yaml").exit_code == 0
    export()
    assert taken_in().exit_code == 0
    shown = run("catalog", "show", "-c", "offline.yaml")
    assert shown.stdout.startswith("Version 1 of the catalog of gate_online, in force.")
    (place / "offline" / "trust" / "bundle").unlink()
    (place / "catalog.yaml").write_text("permissions: [{key: api:other}]")
    assert run("catalog", "publish", "-c", "offline.yaml").exit_code == 0
    refused = taken_in()
    assert refused.exit_code == 1
    assert "another than the one that this gate has published" in refused.stderr


def test_a_gate_starts_with_no_bundle_that_it_does_not_trust(place: Path) -> None:
    """Whose signer was taken out of the configuration, or that is damaged: the way out is told."""
    assert taken_in().exit_code == 0
    bundle = place / "offline" / "trust" / "bundle"
    raw = bundle.read_bytes()
    (place / "online" / "gate.key").unlink()
    export("--keys-out", "exporter.json")
    refused = run("serve", "-c", "offline.yaml")
    assert refused.exit_code == 1
    assert "import another bundle, name its signer" in refused.stderr
    bundle.write_bytes(raw[:-1])
    assert "not what the gate wrote" in run("serve", "-c", "offline.yaml").stderr


def test_an_export_needs_something_to_tell(place: Path) -> None:
    """A gate that has read nothing, and one that lives by a bundle itself."""
    (place / "fresh.yaml").write_text(ONLINE.replace("data_dir: online", "data_dir: fresh"))
    refused = run("trust", "export", "-c", "fresh.yaml", "-o", "c")
    assert "start the gate, or use --fresh" in refused.stderr
    taken_in()
    refused = run("trust", "export", "-c", "offline.yaml", "-o", "c")
    assert "pass that one on" in refused.stderr
    assert not (place / "c").exists()
    wrong = run("trust", "export", "-c", "online.yaml", "-o", "c", "--max-age", "0s")
    assert wrong.exit_code == 2
