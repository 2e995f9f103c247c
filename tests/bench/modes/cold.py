"""A passport that was never seen, with every request (P5)."""

from typing import Any

from tests.bench.load import wrk_script
from tests.bench.modes.turns import in_turn
from tests.bench.room import Room, WrongAnswerError, metric

_HIT = 'passgate_verify_cache_total{result="hit"}'


def cold(room: Room) -> dict[str, Any]:
    """Envoy with its token cache off, and the gate with more passports than its cache can hold.

    They are sent in turn, so that each has long been forgotten when it comes again; the gate's own
    counter of hits has to say so, else `WrongAnswerError`.
    """
    upstream = room.upstream()
    gates = [room.gate(upstream, "relaxed"), room.gate(upstream, "strict")]
    peers = [*room.envoy(upstream, cache=0, name="envoy, no cache"), *gates]
    many = room.options.many_passports
    passports = room.issued.passports(many)
    rows = in_turn(room, peers, lambda sent: wrk_script(passports, skip=sent % many))
    for gate in gates:
        hits = metric(gate, _HIT)
        if hits:
            raise WrongAnswerError(f"{gate.name}: {hits:.0f} passports had been seen before")
    return {"rows": rows, "passports": many}
