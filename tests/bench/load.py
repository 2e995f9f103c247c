"""Load by wrk as fast as it goes, and what a run cost the process under test."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers import LOAD_CORE, Peer, cpu_seconds

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Run:
    """One measured run: requests per second, CPU microseconds per request, latency in ms."""

    requests_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    requests: int
    bad: int


def wrk_script(passports: Path, *, skip: int = 0, target: str = "/v1/search?q=bench") -> Path:
    """A wrk script that sends the passports of a file in turn, after the first `skip` of them."""
    path = passports.with_name(f"{passports.stem}-{skip}.lua")
    # Requests are put together as they are sent: a hundred thousand whole ones would not fit.
    path.write_text(
        f"""local tokens, at = {{}}, {skip}
local before, after
function init(args)
  for line in io.lines("{passports}") do tokens[#tokens + 1] = line end
  before = "GET {target} HTTP/1.1\\r\\nHost: api.example\\r\\nAuthorization: Passport "
  after = "\\r\\nUser-Agent: agent/1.0\\r\\nAccept: application/json\\r\\n\\r\\n"
end
function request()
  at = at % #tokens + 1
  return before .. tokens[at] .. after
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
            "--latency", "--timeout", "10s", "-s", str(script), f"http://127.0.0.1:{peer.port}",
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
        total,
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
