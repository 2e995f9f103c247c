"""A real `passgate serve` in a process of its own, before a real upstream."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from passgate.testing import TestIssuer

ADMIN_TOKEN = "the-operator's-secret"


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` returns once that is true; else `TimeoutError` with its last value.

    A connection that breaks is not true yet: what is under way while its passport is revoked
    is cut.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
            if found:
                return found
        except ConnectionError as broken:
            found = broken
        if time.monotonic() > end:
            raise TimeoutError(f"still {found!r} after {seconds} s")
        time.sleep(0.01)


@dataclass
class Answer:
    """One answer of the gate; `json` is its body, read as such."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningGate:
    """A gate from `start` to `stop`; the same directory may be started again.

    `config` is merged over a small default configuration, section by section. Keys and revocations
    are files in `directory` that belong to `issuer`.
    """

    directory: Path
    upstream_url: str
    config: dict[str, Any] = field(default_factory=dict)
    issuer: TestIssuer = field(default_factory=TestIssuer)
    preexec: Callable[[], None] | None = None
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.directory / "jwks.json").write_text(json.dumps(self.issuer.jwks))
        self.revoke()
        self.write_config()

    @property
    def file(self) -> Path:
        return self.directory / "gate.yaml"

    @property
    def log_directory(self) -> Path:
        return self.directory / "data" / "log"

    def revoke(self, *entries: tuple[str, str]) -> None:
        """Publish a list that revokes exactly `entries`, newer than the one before."""
        path = self.directory / "revocations.jwt"
        self._list_number = getattr(self, "_list_number", 0) + 1
        signed = self.issuer.revocation_list(*entries, now=time.time() - 100 + self._list_number)
        temporary = path.with_suffix(".new")
        temporary.write_text(signed)
        temporary.replace(path)

    def write_config(self, **sections: Any) -> None:
        """Write gate.yaml: the defaults, then `config`, then `sections`."""
        merged: dict[str, Any] = {
            "gate": {"id": "gate_test", "data_dir": str(self.directory / "data")},
            "listen": {"address": f"127.0.0.1:{self.port}"},
            "admin": {"address": f"127.0.0.1:{self.admin_port}", "token": "env:ADMIN"},
            "upstream": {"url": self.upstream_url},
            "issuers": [
                {
                    "id": self.issuer.id,
                    "keys": f"file:{self.directory}/jwks.json",
                    "revocations": f"file:{self.directory}/revocations.jwt",
                    "refresh": "1s",
                }
            ],
            "actions": {
                "routes": [
                    {"match": "GET /v1/search", "action": "api:search"},
                    {"match": "POST /v1/export", "action": "api:export", "cost_cents": 50},
                    {"match": "ANY /public/**", "action": "public"},
                ]
            },
        }
        for changes in (self.config, sections):
            for section, value in changes.items():
                if isinstance(value, dict) and isinstance(merged.get(section), dict):
                    merged[section] = merged[section] | value
                else:
                    merged[section] = value
        temporary = self.file.with_suffix(".new")
        temporary.write_text(yaml.safe_dump(merged))
        temporary.replace(self.file)

    def start(self, *, wait_ready: bool = True) -> Self:
        """Start the process; returns once it is ready, or serves if `wait_ready` is False."""
        self.output = self.directory / "output.txt"
        with self.output.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "passgate", "serve", "--config", str(self.file)],
                stdout=sink,
                stderr=sink,
                env=os.environ | {"ADMIN": ADMIN_TOKEN},
                preexec_fn=self.preexec,
            )
        eventually(lambda: self._answers(wait_ready), 20)
        return self

    def _answers(self, ready: bool) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"the gate ended: {self.output.read_text()}")
        try:
            answer = self.admin("GET", "/readyz" if ready else "/livez")
        except OSError:
            return False
        return answer.status == 200

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def request(
        self,
        method: str,
        target: str,
        passport: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        given = dict(headers or {})
        if passport is not None:
            given["Authorization"] = f"Passport {passport}"
        return _send(self.port, method, target, given, body)

    def admin(self, method: str, target: str, token: str | None = None, **headers: str) -> Answer:
        """One request to the admin listener."""
        given = dict(headers)
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return _send(self.admin_port, method, target, given, None)


def _send(
    port: int, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body=body, headers=dict(headers))
        response = connection.getresponse()
        return Answer(
            response.status,
            _joined(response.getheaders()),
            response.read(),
        )
    finally:
        connection.close()


@contextmanager
def running_gate(directory: Path, upstream_url: str, **options: Any) -> Iterator[RunningGate]:
    """A started gate that is stopped, or killed if it does not, on the way out."""
    gate = RunningGate(directory, upstream_url, **options)
    gate.start()
    try:
        yield gate
    finally:
        if gate.process is not None and gate.process.poll() is None:
            try:
                gate.stop()
            except subprocess.TimeoutExpired:
                gate.process.kill()
                gate.process.wait()


def _joined(lines: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by their lower-case names, those of one name joined (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in lines:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return headers
