"""kill -9 under load in strict mode: evidence and counters know everything that was forwarded."""

import http.client
import signal
import threading
from pathlib import Path

from tests.support.running_gate import RunningGate, running_gate

from passgate.log import read_lines, verify_log
from passgate.testing import FakeUpstream, mint

BUDGET = 100_000
COST = 50


def _spend(port: int, passport: str, stop: threading.Event) -> None:
    """Export over one connection until told to stop, or until the gate is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    while not stop.is_set():
        try:
            connection.request("POST", "/v1/export", headers={"Authorization": passport})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return


def _left(gate: RunningGate, passport: str) -> int:
    shown = gate.request("GET", "/.well-known/passgate/passport", passport).json
    left = {row["constraint"]: row["remaining"] for row in shown["actions"]["api:export"]["left"]}
    return int(left["core:cost:max_cumulative"])


def test_nothing_forwarded_is_ever_forgotten(tmp_path: Path) -> None:
    """Three crashes in a row: each request that the upstream saw has its line and its charge."""
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url) as gate:
        passport = mint(
            issuer=gate.issuer,
            permissions=["api:*"],
            constraints={"core:cost:max_cumulative": BUDGET},
        )
        for crash in (1, 2, 3):
            stop = threading.Event()
            agents = [
                threading.Thread(target=_spend, args=(gate.port, f"Passport {passport}", stop))
                for _ in range(8)
            ]
            for agent in agents:
                agent.start()
            upstream.wait_for(len(upstream.seen) + 60, 20)
            assert gate.stop(signal.SIGKILL) == -signal.SIGKILL
            stop.set()
            for agent in agents:
                agent.join()

            gate.start()
            forwarded = {seen.header("X-Passport-Decision-Id") for seen in upstream.seen}
            lines = list(read_lines(gate.log_directory))
            recorded = {line["decision_id"] for line in lines if line["kind"] == "decision"}
            assert forwarded <= recorded
            assert _left(gate, passport) <= BUDGET - COST * len(forwarded)
            starts = [line for line in lines if line["kind"] == "start"]
            assert [line["clean"] for line in starts] == [True] + [False] * crash

        gate.stop()
        found = verify_log(gate.log_directory)
        assert not found.wrong
        assert found.uncovered == 0


def test_a_clean_restart_keeps_counters_exactly(tmp_path: Path) -> None:
    """What was spent before a restart is spent after it, no more and no less."""
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url) as gate:
        passport = mint(
            issuer=gate.issuer,
            permissions=["api:*"],
            constraints={"core:cost:max_cumulative": 500, "core:rate:max_total": 9},
        )
        for _ in range(3):
            assert gate.request("POST", "/v1/export", passport).status == 200
        gate.stop()
        gate.start()

        assert _left(gate, passport) == 500 - 3 * COST
        statuses = [gate.request("POST", "/v1/export", passport).status for _ in range(7)]
        assert statuses == [200] * 6 + [429]
