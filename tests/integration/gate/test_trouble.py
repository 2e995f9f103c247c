"""What operators meet at night: a full disk, damage, sources that are away, wrong files."""

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, running_gate

from passgate.log import read_lines, verify_log
from passgate.testing import FakeUpstream, Reply, Seen, mint

SMALL = 64 * 1024


def _limit_files() -> None:
    """Nothing that the process writes may be longer than SMALL: a disk that is full, for one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


def test_a_full_disk_refuses_says_so_and_recovers(tmp_path: Path) -> None:
    """Strict mode: no request is forwarded unrecorded, readiness tells, and it ends by itself."""
    config = {"limits": {"refusals_per_second": 10_000}}
    with (
        FakeUpstream() as upstream,
        running_gate(tmp_path, upstream.url, config=config, preexec=_limit_files) as gate,
    ):
        passport = mint(issuer=gate.issuer, permissions=["api:*"])
        statuses = []
        while 503 not in statuses:
            assert len(statuses) < 500
            statuses.append(gate.request("GET", "/v1/search", passport).status)
        refused = gate.request("GET", "/v1/search", passport)
        forwarded = len(upstream.seen)

        assert refused.status == 503
        assert refused.json["code"] == "log_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        assert statuses.count(200) == forwarded
        ready = gate.admin("GET", "/readyz")
        assert ready.status == 503
        log = next(row for row in ready.json["dependencies"] if row["name"] == "log")
        assert log["ok"] is False
        assert "File too large" in log["error"]

        assert gate.process is not None
        infinity = resource.RLIM_INFINITY
        resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (infinity, infinity))
        eventually(lambda: gate.request("GET", "/v1/search", passport).status == 200)
        assert gate.admin("GET", "/readyz").status == 200
        assert gate.stop() == 0

    lines = list(read_lines(gate.log_directory))
    assert any(line["kind"] == "gap" for line in lines)
    found = verify_log(gate.log_directory)
    assert not found.wrong
    recorded = {line["decision_id"] for line in lines if line["kind"] == "decision"}
    assert {seen.header("X-Passport-Decision-Id") for seen in upstream.seen} <= recorded


def test_allow_reads_passes_reads_while_the_disk_is_full(tmp_path: Path) -> None:
    """`audit.on_failure: allow_reads` lets GET through unrecorded, and nothing that writes."""
    config = {
        "audit": {"on_failure": "allow_reads"},
        "limits": {"refusals_per_second": 10_000},
    }
    with (
        FakeUpstream() as upstream,
        running_gate(tmp_path, upstream.url, config=config, preexec=_limit_files) as gate,
    ):
        passport = mint(issuer=gate.issuer, permissions=["*"])
        for _ in range(500):
            if gate.request("POST", "/public/x", passport).status == 503:
                break

        assert gate.request("POST", "/public/x", passport).json["code"] == "log_unavailable"
        assert gate.request("GET", "/v1/search", passport).status == 200
        inflight = b"\npassgate_inflight_requests 0.0\n"
        eventually(lambda: inflight in gate.admin("GET", "/metrics").body)

        assert gate.process is not None
        infinity = resource.RLIM_INFINITY
        resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (infinity, infinity))
        eventually(lambda: gate.request("POST", "/public/x", passport).status == 200)
        gate.stop()

    gaps = [line for line in read_lines(gate.log_directory) if line["kind"] == "gap"]
    assert sum(gap.get("unrecorded", 0) for gap in gaps) >= 1


def _serve_fails(gate: RunningGate) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "passgate", "serve", "--config", str(gate.file)],
        capture_output=True,
        text=True,
        timeout=20,
        env={"ADMIN": "x", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    return ended.stderr.strip().splitlines()[-1]


def test_damage_refuses_to_start_and_names_the_place(tmp_path: Path) -> None:
    """Every kind of file in data_dir: one line that names it and says how to proceed."""
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url) as gate:
        passport = mint(issuer=gate.issuer, permissions=["*"])
        for _ in range(3):
            gate.request("POST", "/v1/export", passport)
        gate.stop()
    whole = tmp_path / "whole"
    data = gate.directory / "data"
    shutil.copytree(data, whole)
    segment = next(iter(sorted((whole / "log").glob("*.jsonl"))))
    stored = sorted((whole / "trust").iterdir())
    cases = {
        f"log/{segment.name}": f"{segment.name}:",
        "ledger.db": "ledger.db",
        f"trust/{stored[0].name}": stored[0].name,
        "gate.key": "gate.key",
    }
    for name, named in cases.items():
        shutil.rmtree(data)
        shutil.copytree(whole, data)
        path = data / name
        raw = path.read_bytes()
        quarter = len(raw) // 4
        path.write_bytes(raw[:quarter] + b"#" * (len(raw) - 2 * quarter) + raw[-quarter:])

        said = _serve_fails(gate)

        assert named in said, (name, said)
        assert len(said) > len(named) + 20, said


def test_a_data_directory_in_use_is_not_shared(tmp_path: Path) -> None:
    """Two gates on one directory would break the log, so the second does not start."""
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url) as gate:
        other = RunningGate(tmp_path, upstream.url)

        said = _serve_fails(other)
        gate.write_config()

    assert "data" in said


def test_keys_away_at_start_do_not_stop_the_gate(tmp_path: Path) -> None:
    """Live but not ready; the anonymous are served; it recovers by itself; old trust is kept."""
    issuer_down = True

    def answer(seen: Seen) -> Reply:
        if issuer_down:
            return Reply(status=500)
        name = "jwks.json" if "jwks" in seen.target else "revocations.jwt"
        kind = "application/json" if "jwks" in seen.target else "application/jwt"
        return Reply(body=(tmp_path / name).read_bytes(), headers=(("Content-Type", kind),))

    with FakeUpstream() as upstream, FakeUpstream(answer=answer) as source:
        issuer = {
            "keys": f"{source.url}/jwks.json",
            "revocations": f"{source.url}/revocations",
            "refresh": "1s",
            "max_stale": "6s",
        }
        config = {
            "anonymous": {"enabled": True, "allowed_actions": ["public"]},
            "issuers": [{"id": "iss_test", **issuer}],
        }
        gate = RunningGate(tmp_path, upstream.url, config=config)
        gate.start(wait_ready=False)
        try:
            passport = mint(issuer=gate.issuer, permissions=["*"])
            refused = gate.request("GET", "/v1/search", passport)
            assert (refused.status, refused.json["code"]) == (503, "trust_stale")
            assert "retry-after" in refused.headers
            assert gate.request("GET", "/public/x").status == 200
            assert gate.admin("GET", "/readyz").status == 503

            issuer_down = False
            eventually(lambda: gate.request("GET", "/v1/search", passport).status == 200, 20)
            issuer_down = True
            gate.stop()
            gate.start(wait_ready=False)
            assert gate.request("GET", "/v1/search", passport).status == 200
            eventually(
                lambda: b"trust_stale" in gate.request("GET", "/v1/search", passport).body, 20
            )
            eventually(lambda: gate.admin("GET", "/readyz").status == 503)
            rows = gate.admin("GET", "/readyz").json["dependencies"]
            stale = [row for row in rows if not row["ok"]]
            assert {row["name"] for row in stale} <= {"iss_test keys", "iss_test revocations"}
            assert all("500" in row["error"] for row in stale)
        finally:
            gate.stop()


@pytest.mark.parametrize("address", ["listen", "admin"])
def test_an_address_in_use_is_said_in_one_line(tmp_path: Path, address: str) -> None:
    """Nothing is left running, and the line names the key to change."""
    with FakeUpstream() as upstream, FakeUpstream() as other:
        gate = RunningGate(tmp_path, upstream.url)
        gate.write_config(**{address: {"address": f"127.0.0.1:{other.port}"}})

        said = _serve_fails(gate)

    assert f"{address}.address" in said
    assert json.dumps(said)  # one printable line


def test_one_absent_issuer_blocks_no_other(tmp_path: Path) -> None:
    """The other's agents are served; readiness and the journal say what was never read."""
    with FakeUpstream() as upstream, FakeUpstream(answer=Reply(status=500)) as source:
        other = {
            "id": "iss_away",
            "keys": f"{source.url}/jwks.json",
            "revocations": f"file:{tmp_path}/revocations.jwt",
        }
        with running_gate(tmp_path, upstream.url) as gate:
            passport = mint(issuer=gate.issuer, permissions=["*"])
            default = yaml.safe_load(gate.file.read_text())["issuers"]
            gate.write_config(issuers=[*default, other])
            assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200

            ready = gate.admin("GET", "/readyz")
            assert ready.status == 503, "a source that was never read is a mistake, not an outage"
            eventually(lambda: "iss_away keys" in gate.output.read_text())
            assert gate.request("GET", "/v1/search", passport).status == 200


def test_a_socket_in_use_is_not_taken(tmp_path: Path) -> None:
    """The admin listener removes what a dead process left, and nothing that somebody serves."""
    path = tmp_path / "admin.sock"
    with FakeUpstream() as upstream, socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        gate = RunningGate(tmp_path, upstream.url)
        gate.write_config(admin={"address": f"unix:{path}", "token": "env:ADMIN"})

        said = _serve_fails(gate)

    assert "admin.address" in said
    assert "in use" in said
