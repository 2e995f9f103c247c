"""The room that every mode works in: a directory, an issuer, and programs that end with it."""

import argparse
import sys
import urllib.request
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.bench.envoy import OPTIONS, envoy_binary, envoy_config
from tests.bench.gate import GateFiles, Issued, gate_config, spoilt
from tests.bench.nginx import ANSWER, nginx_config, proxy_location, upstream_location
from tests.bench.peers import LOAD_CORE, PROXY_CORE, Peer, free_port, running

SERVE = (sys.executable, "-m", "passgate", "serve", "--config")


class WrongAnswerError(Exception):
    """A peer answered something else than it should: what was measured does not count."""


class Room:
    """Starts programs for one mode. `options` are those of the command line."""

    def __init__(
        self, directory: Path, issued: Issued, options: argparse.Namespace, stack: ExitStack
    ) -> None:
        self.directory = directory
        self.issued = issued
        self.options = options
        self.log = directory / "output.log"
        self._stack = stack

    def upstream(self) -> int:
        """The API behind the peers on the load's core; returns its port."""
        port = free_port()
        config = nginx_config(port, self.directory, upstream_location(port))
        self.start("upstream", port, ["nginx", "-c", str(config)], LOAD_CORE)
        return port

    def nginx(self, upstream: int) -> Peer:
        """nginx before the API, without a check."""
        port = free_port()
        config = nginx_config(port, self.directory, proxy_location(port, upstream))
        return self.start("nginx", port, ["nginx", "-c", str(config)])

    def envoy(self, upstream: int, *, cache: int, name: str = "envoy") -> list[Peer]:
        """Envoy with its checks and a cache for `cache` tokens; nothing where there is no Envoy."""
        binary = envoy_binary()
        if binary is None:
            print("bench: no Envoy: see docs/performance.md", file=sys.stderr)
            return []
        port = free_port()
        config = envoy_config(
            port, upstream, self.issued.jwks, self.issued.issuer, self.directory, cache=cache
        )
        return [self.start(name, port, [binary, "-c", str(config), *OPTIONS])]

    def gate(self, upstream: int, durability: str, **sections: Any) -> Peer:
        """A gate with every check, its log `durability`; `sections` replace parts of gate.yaml."""
        files = gate_config(self.directory, upstream, self.issued, durability, **sections)
        return self.gate_of(files, f"passgate {durability}")

    def gate_of(self, files: GateFiles, name: str) -> Peer:
        """The gate of a configuration that is written already."""
        peer = self.start(name, files.port, [*SERVE, str(files.config)])
        return Peer(name, files.port, peer.pid, files.admin_port)

    def start(self, name: str, port: int, command: list[str], core: str = PROXY_CORE) -> Peer:
        """Any program, ready on `port`."""
        process = self._stack.enter_context(running(command, port, core, self.log))
        return Peer(name, port, process.pid)

    def check(self, peer: Peer) -> None:
        """Raises `WrongAnswerError` unless `peer` passes a good passport, and nginx alone others.

        Good means the API's own answer; a spoilt signature and no passport at all are 401.
        """
        good = self.issued.one()
        expected = 200 if peer.name == "nginx" else 401
        cases = ((good, 200), (spoilt(good), expected), (None, expected))
        for passport, status in cases:
            found, body = ask(peer.port, passport)
            if found != status or (status == 200 and body != ANSWER):
                raise WrongAnswerError(f"{peer.name}: {found} where {status} is right")


def ask(port: int, passport: str | None, target: str = "/v1/search?q=bench") -> tuple[int, str]:
    """Status and body of one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {} if passport is None else {"Authorization": f"Passport {passport}"}
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metric(peer: Peer, sample: str) -> float:
    """A sample of the gate's metrics by its whole name, labels included; 0 where there is none."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{peer.admin_port}/metrics", timeout=10
    ) as answer:
        for line in answer.read().decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
    return 0.0
