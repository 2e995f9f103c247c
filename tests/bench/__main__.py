"""`make bench`: the gate beside nginx and Envoy, in one run, on one core each."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.doc import with_results
from tests.bench.envoy import envoy_binary
from tests.bench.gate import issue
from tests.bench.modes import MODES
from tests.bench.plot import PLOTS
from tests.bench.report import page, targets_table
from tests.bench.room import Room, WrongAnswerError

import passgate.core.decision

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
RESULTS = _HERE / "results.json"


def main() -> int:
    """Measures, shows the targets, writes the results; 1 where an answer was wrong."""
    options = _options()
    if not options.redraw:
        for program in ("nginx", "wrk", "taskset"):
            if shutil.which(program) is None:
                print(f"bench: {program} is missing: install the system's package", file=sys.stderr)
                return 2
        try:
            _measure(options)
        except WrongAnswerError as error:
            print(f"bench: {error}; nothing of this mode counts", file=sys.stderr)
            return 1
    results = json.loads((options.out / RESULTS.name).read_text())
    draw(options.out, results)
    print(targets_table(results["modes"]))
    return 0


def _measure(options: argparse.Namespace) -> None:
    """Runs each mode in a room of its own, and keeps what the others found before."""
    file = options.out / RESULTS.name
    for name in options.modes or MODES:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        run = _run(options)
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="passgate-bench-") as at, ExitStack() as stack:
            directory = Path(at)
            found = MODES[name](Room(directory, issue(directory), options, stack))
        print(f"bench: {name} took {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"modes": {}}
        results["machine"] = _machine()
        results["modes"][name] = {"run": run, **found}
        file.write_text(json.dumps(results, indent=1) + "\n")


def draw(out: Path, results: dict[str, Any]) -> None:
    """Writes what is made from the results: the page, the pictures, and a part of the document."""
    (out / "results.md").write_text(page(results))
    plots = out
    if out.resolve() == _HERE:
        plots = _ROOT / "docs" / "performance"
        document = plots.with_suffix(".md")
        document.write_text(with_results(document.read_text(), results))
    plots.mkdir(exist_ok=True)
    for name, plot in PLOTS.items():
        drawn = plot(results["modes"])
        if drawn is not None:
            (plots / f"{name}.svg").write_text(drawn)


def _run(options: argparse.Namespace) -> dict[str, Any]:
    git = ["git", "-C", str(_HERE), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    compiled = "" if str(passgate.core.decision.__file__).endswith(".py") else ", compiled"
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit + compiled,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": options.connections,
        "load_before": round(os.getloadavg()[0], 1),
    }


def _machine() -> dict[str, str]:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    envoy = envoy_binary()
    return {
        "machine": f"{os.cpu_count()} × {model}, Linux {platform.release()}",
        # Distributions build theirs with profiles; others may be a tenth slower.
        "Python": platform.python_version()
        + (", the distribution's" if sys.base_prefix == "/usr" else ", built otherwise"),
        "nginx": _version(["nginx", "-v"]),
        "wrk": _version(["wrk", "-v"]),
        "Envoy": _version([envoy, "--version"]) if envoy else "none",
        "setup": "the proxy alone on one core, the API behind it and the load on the other",
    }


def _version(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).split()
    return next((word for word in words if any(letter.isdigit() for letter in word)), "?")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"of {', '.join(MODES)}; all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=2, help="seconds before each peer counts")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--passports", type=int, default=5000)
    parser.add_argument("--many-passports", type=int, default=100_000)
    parser.add_argument("--revocations", type=int, default=1_000_000)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--catalog", type=int, default=100_000)
    parser.add_argument("--stream-mib", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help="try everything, measure nothing well")
    parser.add_argument("--redraw", action="store_true", help="only what is made from the results")
    parser.add_argument("--out", type=Path, default=_HERE, help="where results are kept")
    options = parser.parse_args()
    unknown = [name for name in options.modes if name not in MODES]
    if unknown:
        parser.error(f"no mode {unknown[0]!r}: there are {', '.join(MODES)}")
    if options.quick:
        options.rounds, options.seconds, options.warm = 1, 1, 1
        options.passports, options.many_passports, options.revocations = 500, 30_000, 10_000
        options.stream_mib, options.routes, options.catalog = 64, 1000, 1000
    return options


if __name__ == "__main__":
    sys.exit(main())
