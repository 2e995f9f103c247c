"""As many requests as go through one core, with passports that have been seen before (P1 to P3)."""

from typing import Any

from tests.bench.load import wrk_script
from tests.bench.modes.turns import in_turn
from tests.bench.room import Room

_EVERY_TOKEN = 8192
_DEFAULT = 100


def throughput(room: Room) -> dict[str, Any]:
    """nginx without a check, Envoy whose cache holds every token or its default, and the gate."""
    upstream = room.upstream()
    peers = [
        room.nginx(upstream),
        *room.envoy(upstream, cache=_EVERY_TOKEN),
        *room.envoy(upstream, cache=_DEFAULT, name="envoy, cache of 100"),
        room.gate(upstream, "relaxed"),
        room.gate(upstream, "strict"),
    ]
    script = wrk_script(room.issued.passports(room.options.passports))
    return {"rows": in_turn(room, peers, lambda _: script)}
