"""Resident memory of a gate: idle, with many live passports, counters and revocations (P6)."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.load import measure, wrk_script
from tests.bench.peers import Peer, resident_mb
from tests.bench.room import Room, WrongAnswerError

_SETTLE_S = 2.0
_PER_LIST = 200_000
"""Entries of one issuer's signed list, about 14 MB."""


def memory(room: Room) -> dict[str, Any]:
    """MB of the gate's process; what is in use must stay right all the while."""
    options = room.options
    upstream = room.upstream()
    gate = room.gate(upstream, "relaxed")
    idle = _settled(gate)
    room.check(gate)
    many = options.many_passports
    passports = room.issued.passports(many)
    once = _send_all(room, gate, passports, many, 0)
    first = _settled(gate)
    _send_all(room, gate, passports, many, once)
    second = _settled(gate)
    empty = room.gate(upstream, "relaxed")
    without = _settled(empty)
    issuers = revoked_issuers(room, options.revocations)
    revoking = room.gate(upstream, "relaxed", issuers=issuers)
    revoked = _settled(revoking)
    room.check(revoking)
    return {
        "idle_mb": idle,
        "passports": many,
        "each_once_mb": first,
        "each_twice_mb": second,
        "counting_agents": many,
        "counters_mb": _counting_mb(many),
        "revocations": options.revocations,
        "without_revocations_mb": without,
        "revocations_mb": revoked,
        "revocations_peak_mb": _peak_mb(revoking.pid),
    }


def revoked_issuers(room: Room, count: int) -> list[dict[str, Any]]:
    """The bench's issuer and as many others as `count` revocations in signed lists need."""
    issued = room.issued
    found = [
        {
            "id": issued.issuer,
            "keys": f"file:{issued.directory}/jwks.json",
            "revocations": f"file:{issued.directory}/revocations.jwt",
        }
    ]
    now = int(time.time())
    for number, first in enumerate(range(0, count, _PER_LIST)):
        name = f"iss_revoking_{number}"
        signer = type(issued.signer).generate(name)
        keys = room.directory / f"{name}.json"
        keys.write_text(json.dumps({"keys": [dict(signer.public_jwk)]}))
        revoked = [
            {"kind": "passport", "id": f"pass_{n:026d}"}
            for n in range(first, min(first + _PER_LIST, count))
        ]
        listed = room.directory / f"{name}.jwt"
        claims = {"iss": name, "iat": now, "exp": now + 86_400, "revoked": revoked}
        listed.write_text(signer.sign("revocations+jwt", claims))
        found.append({"id": name, "keys": f"file:{keys}", "revocations": f"file:{listed}"})
    return found


def _send_all(room: Room, gate: Peer, passports: Path, many: int, sent: int) -> int:
    """Sends every passport at least once more; returns how many requests there were in all."""
    before = sent
    while sent - before < many:
        script = wrk_script(passports, skip=sent % many)
        run = measure(gate, script, room.options.seconds, room.options.connections)
        if run.bad:
            raise WrongAnswerError(f"{gate.name}: {run.bad} of {run.requests} answers")
        sent += run.requests
    return sent


def _counting_mb(agents: int) -> float:
    """What the counters of so many agents take in a process of their own."""
    command = [sys.executable, "-m", "tests.bench.counting", str(agents)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(ran.stdout)


def _settled(peer: Peer) -> float:
    time.sleep(_SETTLE_S)
    return round(resident_mb(peer.pid), 1)


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise RuntimeError(f"process {pid} has no VmHWM")
