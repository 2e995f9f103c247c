"""Latency at half of what the gate can carry, the same constant rate through each peer (P4)."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.load import measure, wrk_script
from tests.bench.modes.turns import digits, spread
from tests.bench.open_loop import PERCENTILES
from tests.bench.peers import LOAD_CORE, Peer, cpu_seconds
from tests.bench.room import Room, WrongAnswerError


def latency(room: Room) -> dict[str, Any]:
    """Percentiles per peer, and what the gate adds to nginx."""
    options = room.options
    upstream = room.upstream()
    nginx = room.nginx(upstream)
    relaxed = room.gate(upstream, "relaxed")
    strict = room.gate(upstream, "strict")
    peers = [nginx, *room.envoy(upstream, cache=8192), relaxed, strict]
    passports = room.issued.passports(options.passports)
    script = wrk_script(passports)
    for peer in peers:
        room.check(peer)
        measure(peer, script, options.warm, options.connections)
    capacity = statistics.median(
        measure(relaxed, script, options.seconds, options.connections).requests_per_s
        for _ in range(3)
    )
    rate = capacity / 2
    found: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in peers}
    for _ in range(options.rounds):
        for peer in peers:
            found[peer.name].append(_at_rate(peer, rate, options.seconds, passports))
    rows = [
        {
            "name": name,
            "latency_ms": _by_percentile(runs, "latency_ms"),
            "late_ms": _by_percentile(runs, "late_ms"),
            "cpu_us": spread(run["cpu_us"] for run in runs),
        }
        for name, runs in found.items()
    ]
    return {"rate": digits(rate), "capacity": digits(capacity), "rows": rows}


def _at_rate(peer: Peer, rate: float, seconds: float, passports: Path) -> dict[str, Any]:
    command = [
        "taskset", "-c", LOAD_CORE, sys.executable, "-m", "tests.bench.open_loop",
        "--port", str(peer.port), "--rate", str(rate), "--seconds", str(seconds),
        "--passports", str(passports),
    ]  # fmt: skip
    before = cpu_seconds(peer.pid)
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    if said.returncode:
        raise WrongAnswerError(f"{peer.name}: {said.stderr.strip()}")
    found: dict[str, Any] = json.loads(said.stdout)
    if found["missing"]:
        raise WrongAnswerError(f"{peer.name}: {found['missing']} requests were never answered")
    found["cpu_us"] = (cpu_seconds(peer.pid) - before) / found["requests"] * 1e6
    return found


def _by_percentile(runs: list[dict[str, Any]], what: str) -> dict[str, float]:
    """The median over the rounds of each percentile."""
    names = [f"p{point:g}" for point in PERCENTILES]
    return {name: digits(statistics.median(run[what][name] for run in runs)) for name in names}
