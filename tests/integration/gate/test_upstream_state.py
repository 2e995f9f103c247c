"""An operator sees where the upstream is and how it does, in readiness, metrics and the journal."""

import json
import re
from pathlib import Path
from typing import Any

from tests.support.raw_http import RawUpstream
from tests.support.running_gate import RunningGate, eventually, running_gate
from tests.support.upstreams import named, refusing_port

PUBLIC = {
    "enabled": True,
    "allowed_actions": ["public"],
    "rate_limit_per_minute": 1000,
    "rate_limit_per_hour": 1000,
}


def row(gate: RunningGate) -> Any:
    answer = gate.admin("GET", "/readyz")
    assert answer.status == 200
    return next(each for each in answer.json["dependencies"] if each["name"] == "upstream")


def counted(gate: RunningGate, name: str) -> dict[str, float]:
    text = gate.admin("GET", "/metrics").body.decode()
    return {
        label: float(value)
        for label, value in re.findall(rf'^{name}(?:{{\w+="(\w+)"}})? (\S+)$', text, re.M)
    }


def journal(gate: RunningGate, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in gate.output.read_text().splitlines() if line[:1] == "{"]
    return [line for line in lines if line["event"] == event]


def test_an_address_that_fails_is_shown_everywhere(tmp_path: Path) -> None:
    """Requests go on; the row, the metrics and one line say which address it is and why."""
    with refusing_port() as dead, RawUpstream(named(b"alive")) as alive:
        config = {
            "upstream": {
                "url": None,
                "urls": [f"http://127.0.0.1:{dead}", f"http://127.0.0.1:{alive.port}"],
                "health": {"failures": 2, "ejection": "1h", "max_ejection": "1h"},
            },
            "anonymous": PUBLIC,
        }
        with running_gate(tmp_path, "", config=config) as gate:
            assert row(gate)["warning"] == ""
            assert counted(gate, "passgate_upstream_addresses") == {"up": 2, "out": 0, "trial": 0}
            for _ in range(6):
                assert gate.request("GET", "/public/x").body == b"alive"
            shown = row(gate)
            assert shown["ok"] is True
            assert shown["warning"] == "1 of 2 addresses do not do their work"
            assert [(each["address"], each["state"]) for each in shown["addresses"]] == [
                (f"127.0.0.1:{dead}", "out"),
                (f"127.0.0.1:{alive.port}", "up"),
            ]
            assert shown["addresses"][0]["error"] == "connection refused"
            assert counted(gate, "passgate_upstream_addresses") == {"up": 1, "out": 1, "trial": 0}
            assert counted(gate, "passgate_upstream_failures_total")["connect"] == 2
            assert counted(gate, "passgate_upstream_retries_total")["address"] == 2
            assert counted(gate, "passgate_upstream_ejections_total") == {"": 1}
            (line,) = journal(gate, "upstream_out")
            assert (line["address"], line["error"]) == (f"127.0.0.1:{dead}", "connection refused")


def test_a_gate_without_its_upstream_is_ready_and_says_what_is_wrong(tmp_path: Path) -> None:
    """It still decides; taking it out of service would tell agents nothing at all."""
    with refusing_port() as dead:
        config = {"anonymous": PUBLIC}
        with running_gate(tmp_path, f"http://127.0.0.1:{dead}", config=config) as gate:
            for _ in range(3):
                answer = gate.request("GET", "/public/x")
                assert (answer.status, answer.json["code"]) == (502, "upstream_unreachable")
            assert row(gate)["ok"] is False


def test_a_name_is_resolved_and_its_addresses_are_shown(tmp_path: Path) -> None:
    """localhost may stand for two addresses of which one is not listened on: no request notices."""
    with RawUpstream(named(b"alive")) as alive:
        config = {"anonymous": PUBLIC}
        with running_gate(tmp_path, f"http://localhost:{alive.port}", config=config) as gate:
            for _ in range(8):
                assert gate.request("GET", "/public/x").body == b"alive"
            shown = eventually(lambda: row(gate)["addresses"])
            assert f"127.0.0.1:{alive.port}" in [each["address"] for each in shown]
            (line,) = journal(gate, "upstream_resolved")
            assert (line["host"], "127.0.0.1" in line["addresses"]) == ("localhost", True)
