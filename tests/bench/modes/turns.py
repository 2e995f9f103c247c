"""Peers measured in turn, A B A B, so that what disturbs a machine disturbs all of them."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.load import Run, measure
from tests.bench.peers import Peer, resident_mb
from tests.bench.room import Room, WrongAnswerError


def in_turn(
    room: Room, peers: Sequence[Peer], script: Callable[[int], Path]
) -> list[dict[str, Any]]:
    """A row per peer: its rates, CPU per request and latencies over all rounds.

    `script(n)` is the load for a peer that was sent `n` requests before. What warms caches and
    pools is not counted. Raises `WrongAnswerError` where a single answer was not a success.
    """
    options = room.options
    runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
    idle = {peer.name: resident_mb(peer.pid) for peer in peers}
    for peer in peers:
        room.check(peer)
    sent = dict.fromkeys(runs, 0)
    for number in range(options.rounds + 1):
        for peer in peers:
            seconds = options.seconds if number else options.warm
            run = measure(peer, script(sent[peer.name]), seconds, options.connections)
            if run.bad:
                raise WrongAnswerError(f"{peer.name}: {run.bad} of {run.requests} answers")
            # And those whose answers wrk did not wait for.
            sent[peer.name] += run.requests + options.connections
            if number:
                runs[peer.name].append(run)
    return [
        {
            "name": peer.name,
            "requests_per_s": spread(run.requests_per_s for run in runs[peer.name]),
            "cpu_us": spread(run.cpu_us for run in runs[peer.name]),
            "p50_ms": spread(run.p50_ms for run in runs[peer.name]),
            "p99_ms": spread(run.p99_ms for run in runs[peer.name]),
            "idle_mb": round(idle[peer.name], 1),
            "after_mb": round(resident_mb(peer.pid), 1),
        }
        for peer in peers
    ]


def spread(values: Iterable[float]) -> dict[str, float]:
    """Minimum, median and maximum, to four significant digits."""
    ordered = sorted(values)
    return {
        "min": digits(ordered[0]),
        "median": digits(statistics.median(ordered)),
        "max": digits(ordered[-1]),
    }


def digits(value: float) -> float:
    """A number to four significant digits: what was measured holds no more."""
    return float(f"{value:.4g}")
