"""The shipped deployments, run: the gate as its manifest starts it, on a file system of its own."""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.kustomize import render
from tests.support.projected import project
from tests.support.running_gate import eventually, free_port

from passgate.testing import FakeUpstream, TestIssuer, mint

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"

# Every mount becomes read-only, then the one directory is mounted once more, writable.
READ_ONLY = """
set -e
mount --make-rprivate /
while read -r _ _ _ _ place _; do
  case $place in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" || true ;; esac
done </proc/self/mountinfo
mount --bind "$0" "$0"
mount -o remount,bind,rw "$0"
if echo >probe || echo >"$HOME/probe" || echo >"${TMPDIR:-/tmp}/probe"; then exit 97; fi 2>/dev/null
exec "$@"
"""


def _may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    wanted = ["unshare", "--mount", "mount", "--make-rprivate", "/"]
    try:
        return subprocess.run(wanted, capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        return False


@dataclass
class Pod:
    """The gate of the rendered StatefulSet on this machine: its volume, data and own ports."""

    directory: Path
    upstream_port: int
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        documents = render(KUBERNETES)
        self.objects = {(d["kind"], d["metadata"]["name"]): d for d in documents}
        self.spec: dict[str, Any] = self.objects["StatefulSet", "api"]["spec"]["template"]["spec"]
        self.etc = self.directory / "etc"
        self.data = self.directory / "data"
        for place in (self.etc, self.data, self.directory / "cwd", self.directory / "home"):
            place.mkdir()
        config = self.objects["ConfigMap", "gate-config"]["data"]
        for shipped, here in (
            ("0.0.0.0:8080", f"127.0.0.1:{self.port}"),
            ("0.0.0.0:9901", f"127.0.0.1:{self.admin_port}"),
            ("http://127.0.0.1:8000", f"http://127.0.0.1:{self.upstream_port}"),
            ("/var/lib/passgate", str(self.data)),
        ):
            assert config["gate.yaml"].count(shipped) == 1, shipped
            config["gate.yaml"] = config["gate.yaml"].replace(shipped, here)
        self.mount()

    def mount(self, **secret: str) -> None:
        """What the kubelet does at the start, and again once the Secret holds `secret`."""
        data = self.objects["Secret", "gate-trust"]["data"]
        for name, text in secret.items():
            assert name in data
            data[name] = base64.b64encode(text.encode()).decode()
        project(self.spec, "config", self.objects, self.etc)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The sidecar's command, read-only but for its data; stopped as the kubelet stops it."""
        (gate,) = self.spec["initContainers"]
        arguments = [word.replace("/etc/passgate", str(self.etc)) for word in gate["args"]]
        confined = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(self.data)]
        with (self.directory / "output").open("wb") as output:
            process = subprocess.Popen(
                [*confined, sys.executable, "-m", "passgate", *arguments],
                cwd=self.directory / "cwd",
                env=os.environ | {"HOME": str(self.directory / "home")},
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def probe(self, name: str) -> int:
        """The status of one of the sidecar's probes; 0 while nobody answers."""
        (gate,) = self.spec["initContainers"]
        try:
            return self._get(self.admin_port, gate[name]["httpGet"]["path"])
        except OSError:
            return 0

    def ask(self, passport: str = "") -> int:
        """The status of GET / for an agent with `passport`."""
        return self._get(self.port, "/", **({"X-Agent-Passport": passport} if passport else {}))

    @staticmethod
    def _get(port: int, target: str, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", target, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.mark.skipif(not _may_mount(), reason="needs root and mount namespaces")
def test_the_sidecar_serves_on_a_read_only_root_and_learns_trust_in_place(tmp_path: Path) -> None:
    """Closed as shipped; a changed Secret opens and revokes without a restart; SIGTERM ends it."""
    issuer = TestIssuer(id="iss_lab")
    passport = mint(issuer=issuer, agent="agent_7", permissions=["api:*"])
    with FakeUpstream() as upstream:
        pod = Pod(tmp_path, upstream.port)
        with pod.running() as gate:

            def healthy() -> bool:
                assert gate.poll() is None, (tmp_path / "output").read_text()
                return {pod.probe("livenessProbe"), pod.probe("readinessProbe")} == {200}

            eventually(healthy, 20)
            assert pod.probe("startupProbe") == 200
            assert pod.ask() == 401
            assert pod.ask(passport) == 401
            assert upstream.seen == []

            signed = issuer.revocation_list(now=time.time() - 10)
            pod.mount(**{"jwks.json": json.dumps(issuer.jwks), "revocations": signed})
            eventually(lambda: pod.ask(passport) == 200, 5)

            pod.mount(revocations=issuer.revocation_list(("agent", "agent_7"), now=time.time()))
            eventually(lambda: pod.ask(passport) == 401, 5)

        assert gate.returncode == 0, (tmp_path / "output").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"etc", "data", "cwd", "home", "output"}
    assert list((tmp_path / "cwd").iterdir()) == list((tmp_path / "home").iterdir()) == []


def test_serving_needs_no_home_and_no_temporary_directory(tmp_path: Path) -> None:
    """Nothing is written to where programs write by habit, whoever runs this test."""
    with FakeUpstream() as upstream:
        pod = Pod(tmp_path, upstream.port)
        (tmp_path / "tmp").mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "passgate", "serve", "--config", str(pod.etc / "gate.yaml")],
            cwd=tmp_path / "cwd",
            env=os.environ
            | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
            | {"XDG_CACHE_HOME": str(tmp_path / "home")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: process.poll() is not None or pod.probe("readinessProbe") == 200, 20)
            assert pod.ask() == 401
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    for place in ("cwd", "home", "tmp"):
        assert list((tmp_path / place).iterdir()) == [], place
    assert {"log", "trust"} <= {path.name for path in pod.data.iterdir()}
