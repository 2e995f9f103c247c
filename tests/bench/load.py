"""Load by wrk, and what a run cost the process under test."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers import LOAD_CORE, Peer

_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Run:
    """One measured run: requests per second, CPU microseconds per request, latency in ms."""

    requests_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    bad: int


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of the process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has no VmRSS")


def wrk_script(directory: Path, tokens: list[str]) -> Path:
    """A wrk script that sends the passports in turn."""
    listing = directory / "passports.txt"
    listing.write_text("\n".join(tokens) + "\n")
    path = directory / "turns.lua"
    path.write_text(
        f"""local requests, at = {{}}, 0
function init(args)
  for line in io.lines("{listing}") do
    requests[#requests + 1] = wrk.format("GET", "/v1/search?q=bench",
      {{["Host"] = "api.example", ["Authorization"] = "Passport " .. line,
        ["User-Agent"] = "agent/1.0", ["Accept"] = "application/json"}})
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""
    )
    return path


def measure(peer: Peer, script: Path, seconds: int, connections: int) -> Run:
    """Send for `seconds` over `connections` keepalive connections from the other core."""
    before = cpu_seconds(peer.pid)
    said = subprocess.run(
        [
            "taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
            "--latency", "-s", str(script), f"http://127.0.0.1:{peer.port}",
        ],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    ).stdout  # fmt: skip
    used = cpu_seconds(peer.pid) - before
    total = int(_found(r"(\d+) requests in", said))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    faults = (int(bad.group(1)) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0)
    return Run(
        float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        used / max(total, 1) * 1e6,
        _milliseconds(_found(r"\n\s+50%\s+(\S+)", said)),
        _milliseconds(_found(r"\n\s+99%\s+(\S+)", said)),
        faults,
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk said something else:\n{text}")
    return match.group(1)


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise RuntimeError(f"wrk gives a latency as {text!r}")
    return float(match[1]) * _UNITS[match[2]]
