"""What a decision costs in small and in large tables, alone and in a whole gate (P7)."""

import json
import statistics
import subprocess
import sys
from dataclasses import replace
from typing import Any

from tests.bench.deciding import SIZES
from tests.bench.load import wrk_script
from tests.bench.modes.memory import revoked_issuers
from tests.bench.modes.turns import digits, in_turn, spread
from tests.bench.peers import PROXY_CORE
from tests.bench.room import Room

_ROUNDS = 5


def scale(room: Room) -> dict[str, Any]:
    """Costs of `decide` table by table, then of two gates: all tables small, and all large."""
    rounds = str(_ROUNDS * room.options.rounds)
    command = ["taskset", "-c", PROXY_CORE, sys.executable, "-m", "tests.bench.deciding"]
    said = subprocess.run(
        [*command, "--rounds", rounds], capture_output=True, text=True, check=True, timeout=600
    )
    rows = []
    for name, timed in json.loads(said.stdout).items():
        small, large = SIZES[name]
        # The least is what the code costs; what is more is the machine's.
        rows.append(
            {
                "name": name,
                "small": small,
                "large": large,
                "small_us": spread(timed["small"]),
                "large_us": spread(timed["large"]),
                "ratio": digits(
                    statistics.median(timed["large"]) / statistics.median(timed["small"])
                ),
            }
        )
    options = room.options
    sizes = {"routes": options.routes, "entries": options.catalog, "revoked": options.revocations}
    return {"rows": rows, "gates": _gates(room), **sizes}


def _gates(room: Room) -> list[dict[str, Any]]:
    upstream = room.upstream()
    script = wrk_script(room.issued.passports(room.options.passports))
    small = room.gate(upstream, "relaxed", **_tables(room, 10, 10))
    large = room.gate(
        upstream,
        "relaxed",
        issuers=revoked_issuers(room, room.options.revocations),
        **_tables(room, room.options.routes, room.options.catalog),
    )
    peers = [
        replace(small, name="all tables small"),
        replace(large, name="all tables large"),
    ]
    return in_turn(room, peers, lambda _: script)


def _tables(room: Room, routes: int, entries: int) -> dict[str, Any]:
    """Sections of gate.yaml whose last route and last catalog entry are the ones in use."""
    catalog = room.directory / f"catalog-{entries}.json"
    keys = [f"api:entry{number}" for number in range(entries - 1)] + ["api:search"]
    catalog.write_text(json.dumps({"permissions": [{"key": key} for key in keys]}))
    others = [
        {"match": f"GET /v1/entry{n}/items/{{id}}", "action": f"api:entry{n}"}
        for n in range(routes - 1)
    ]
    used = {"match": "GET /v1/search", "action": "api:search", "cost_cents": 1}
    return {"actions": {"routes": [*others, used]}, "catalog": {"file": str(catalog)}}
