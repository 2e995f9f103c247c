"""`make soak`: a gate under everything at once, for minutes; at the end every book must agree."""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from tests.bench.plot import curve
from tests.soak.accounts import Accounts, differences, of_log, of_metrics
from tests.soak.client import Way
from tests.soak.operator import Operator
from tests.soak.passports import Passports
from tests.soak.report import Soaked, page
from tests.soak.samples import Samples
from tests.soak.upstream import Upstream
from tests.soak.visits import KINDS, Visits
from tests.support.certificates import Authority
from tests.support.running_gate import RunningGate

from passgate.log import read_lines
from passgate.testing import TestIssuer

_ROOT = Path(__file__).parents[2]
_MOST_AT_ONCE = 300
_LONGEST_VISIT_S = 60.0
_EXPECTED_WARNINGS = frozenset({"reload_refused", "trouble", "upstream_failing", "upstream_out"})
"""What the operator and the upstream do to the gate; everything else is its own fault."""


def main() -> int:
    """Soaks, writes what came out; 1 where anything is unaccounted for."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="passgate-soak-") as at:
        soaked = asyncio.run(
            soak(Path(at), options.seconds, options.visits, options.seed, tls=options.tls)
        )
    if options.out is not None:
        _write(soaked, options.out)
    print(page(soaked))
    return 1 if soaked.wrong else 0


async def soak(
    directory: Path,
    seconds: float,
    visits_per_s: float,
    seed: int,
    *,
    fill: bool = True,
    tls: bool = False,
) -> Soaked:
    """Starts a gate and its upstream, lets clients and operator loose on it, and settles up.

    `fill` has caches filled first, without which memory says nothing. With `tls` all clients come
    within TLS, those of HTTP/2 by ALPN instead of by prior knowledge.
    """
    random = Random(seed)
    upstream = Upstream()
    await upstream.start()
    passports = Passports(TestIssuer(), random)
    (directory / "none.json").write_text('{"passport_ids": []}')
    config: dict[str, Any] = {}
    ca = None
    if tls:
        authority = Authority(directory)
        cert, key = authority.issue("gate", ("localhost",))
        config["listen"] = {"tls": {"cert": str(cert), "key": str(key)}}
        ca = authority.cert
    gate = RunningGate(directory, f"http://127.0.0.1:{upstream.port}", config)
    operator = Operator(gate, passports)
    await asyncio.to_thread(gate.start)
    assert gate.process is not None
    try:
        accounts = Accounts()
        visits = Visits(Way(gate.port, ca), upstream, passports, accounts, random)
        if fill:
            await visits.fill()
        samples = Samples(gate.process.pid)
        changes = asyncio.create_task(operator.work(max(0.5, seconds / 200)))
        looks = asyncio.create_task(_look(samples))
        await _visit(visits, random, seconds, visits_per_s)
        changes.cancel()
        looks.cancel()
        await asyncio.gather(changes, looks, return_exceptions=True)
        metrics = await asyncio.to_thread(_settled_metrics, gate)
        code = await asyncio.to_thread(gate.stop)
    finally:
        if gate.process.poll() is None:
            gate.process.kill()
            gate.process.wait()
        await upstream.stop()
    return await asyncio.to_thread(
        _settle, gate, code, accounts, metrics, samples, operator, upstream
    )


async def _visit(visits: Visits, random: Random, seconds: float, per_s: float) -> None:
    """Begins visits at a steady rate, as long as not too many are under way."""
    kinds, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    loop = asyncio.get_running_loop()
    begin = loop.time()
    under_way: set[asyncio.Task[None]] = set()
    made = 0
    while (now := loop.time() - begin) < seconds:
        while made < now * per_s and len(under_way) < _MOST_AT_ONCE:
            (kind,) = random.choices(kinds, weights)
            task = loop.create_task(visits.make(kind))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            made += 1
        made = max(made, int(now * per_s))  # what could not begin in time is left out
        await asyncio.sleep(0.01)
    if under_way:
        await asyncio.wait(under_way, timeout=_LONGEST_VISIT_S)


async def _look(samples: Samples) -> None:
    while True:
        samples.take()
        await asyncio.sleep(1)


def _settled_metrics(gate: RunningGate) -> str:
    """The metrics once nothing is under way any more."""
    for _ in range(200):
        text = gate.admin("GET", "/metrics").body.decode()
        if "passgate_inflight_requests 0.0" in text:
            return text
        asyncio.run(asyncio.sleep(0.05))
    raise TimeoutError("requests are still in flight")


def _settle(
    gate: RunningGate, code: int, accounts: Accounts, metrics: str, samples: Samples,
    operator: Operator, upstream: Upstream,
) -> Soaked:  # fmt: skip
    """Compares what everyone says, and verifies the log."""
    logged = of_log(read_lines(gate.log_directory))
    wrong = differences(accounts, of_metrics(metrics), logged, upstream.reached)
    verify = [sys.executable, "-m", "passgate", "audit", "verify", str(gate.log_directory)]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=900)
    if verified.returncode:
        wrong.append(f"audit verify: {verified.stderr.strip()}")
    if code:
        wrong.append(f"the gate ended with {code}")
    wrong += _unexpected(gate.output)
    if samples.rise_mb() > samples.bound_mb():
        wrong.append(
            f"memory rose by {samples.rise_mb():.1f} MB in the last quarter, "
            f"{samples.bound_mb():.1f} at most"
        )
    return Soaked(accounts, logged, samples, dict(operator.done), wrong, verified.stdout.strip(),
                  len(list(gate.log_directory.glob("*.jsonl"))))  # fmt: skip


def _unexpected(output: Path) -> list[str]:
    """Lines of the gate's journal that say of something that nobody did to it."""
    found = []
    for line in output.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"level": "error", "event": line}
        bad = entry["level"] not in ("info", "debug", "warning")
        if bad or (entry["level"] == "warning" and entry["event"] not in _EXPECTED_WARNINGS):
            found.append(f"journal: {line[:300]}")
    return found[:10]


def _write(soaked: Soaked, out: Path) -> None:
    (out / "soak.md").write_text(page(soaked))
    samples = soaked.samples
    plots = _ROOT / "docs" / "performance" if out.resolve() == _ROOT / "tests" / "bench" else out
    plots.mkdir(exist_ok=True)
    title = f"Resident memory of a gate under soak, {samples.second[-1]:.0f} seconds"
    (plots / "soak.svg").write_text(curve(title, samples.second, samples.rss_mb, "MB", {}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--visits", type=float, default=60, help="visits a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls", action="store_true", help="all clients within TLS")
    parser.add_argument("--out", type=Path, help="where soak.md and the memory curve go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
