"""What counters on a server cost: a gate that shares them against one that has its own (P10)."""

import shutil
from dataclasses import replace
from typing import Any

from tests.bench.load import wrk_script
from tests.bench.modes.turns import in_turn
from tests.bench.peers import LOAD_CORE, free_port
from tests.bench.room import Room, WrongAnswerError, metric

# Wide enough that nothing is refused, and on every request, so that each has something to count.
_LIMITS = {
    "core:rate:max_per_minute": 100_000_000,
    "core:cost:max_cumulative": 1_000_000_000_000,
}

_AGENTS = 200  # an agent that asks less than once a sub-bucket has no use for a lease of its rate


def shared(room: Room) -> dict[str, Any]:
    """The embedded ledger and the shared one, with a rate and a budget on every request.

    The server is on the load's core, as it would be on another machine.
    """
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        raise WrongAnswerError("redis-server is missing")
    port = free_port()
    command = [server, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir"]
    room.start("redis-server", port, [*command, str(room.directory)], LOAD_CORE)
    upstream = room.upstream()
    own = room.gate(upstream, "relaxed", constraints=_LIMITS)
    other = room.gate(
        upstream,
        "relaxed",
        constraints=_LIMITS,
        ledger={"kind": "valkey", "url": f"redis://127.0.0.1:{port}"},
    )
    other = replace(other, name=f"{other.name}, shared")
    script = wrk_script(room.issued.passports(min(_AGENTS, room.options.passports)))
    rows = in_turn(room, [own, other], lambda _: script)
    asked = metric(other, 'passgate_ledger_requests_total{by="server"}')
    leased = metric(other, 'passgate_ledger_requests_total{by="lease"}')
    return {"rows": rows, "asked_of_1000": round(1000 * asked / max(1.0, asked + leased), 3)}
