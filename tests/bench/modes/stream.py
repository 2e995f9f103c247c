"""A long stream each way through one core, and whether memory stays flat meanwhile (P9)."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.flow import BrokenStreamError, download, upload
from tests.bench.modes.turns import digits, spread
from tests.bench.nginx import nginx_config, stream_location
from tests.bench.peers import LOAD_CORE, Peer, cpu_seconds, free_port, on_core, resident_mb
from tests.bench.room import Room, WrongAnswerError

_WAYS: dict[str, Callable[[int, int, str], None]] = {"download": download, "upload": upload}
_SAMPLE_S = 0.05


def stream(room: Room) -> dict[str, Any]:
    """MB per second each way through nginx and the gate, CPU per GB, and the growth in memory."""
    options = room.options
    count = options.stream_mib << 20
    upstream = free_port()
    room.start(
        "api", upstream, [sys.executable, "-m", "tests.bench.flow", str(upstream)], LOAD_CORE
    )
    port = free_port()
    config = nginx_config(port, room.directory, stream_location(port, upstream))
    peers = [
        room.start("nginx", port, ["nginx", "-c", str(config)]),
        room.gate(
            upstream,
            "relaxed",
            actions={"routes": [{"match": "ANY /v1/stream/{count}", "action": "api:search"}]},
            limits={"body_bytes": "2GiB"},
        ),
    ]
    passport = room.issued.one()
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with on_core(LOAD_CORE):
        for peer in peers:
            for move in _WAYS.values():
                move(peer.port, 1 << 20, passport)
        for _ in range(options.rounds):
            for way in _WAYS:
                for peer in peers:
                    run = _run(peer, way, count, passport)
                    found.setdefault((way, peer.name), []).append(run)
    rows = [
        {
            "way": way,
            "name": name,
            "mb_per_s": spread(run["mb_per_s"] for run in runs),
            "cpu_s_per_gb": spread(run["cpu_s_per_gb"] for run in runs),
            "grown_mb": digits(max(run["grown_mb"] for run in runs)),
        }
        for (way, name), runs in found.items()
    ]
    return {"bytes": count, "rows": rows}


def _run(peer: Peer, way: str, count: int, passport: str) -> dict[str, float]:
    before, used = resident_mb(peer.pid), cpu_seconds(peer.pid)
    begin = time.monotonic()
    with _greatest(peer) as greatest:
        try:
            _WAYS[way](peer.port, count, passport)
        except (BrokenStreamError, OSError, ValueError) as error:
            raise WrongAnswerError(f"{peer.name}, {way}: {error}") from error
        elapsed = time.monotonic() - begin
    return {
        "mb_per_s": count / 1e6 / elapsed,
        "cpu_s_per_gb": (cpu_seconds(peer.pid) - used) / (count / 1e9),
        "grown_mb": max(greatest) - before,
    }


@contextmanager
def _greatest(peer: Peer) -> Iterator[list[float]]:
    """Samples the memory of a peer until the block is left."""
    samples = [resident_mb(peer.pid)]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_S):
            samples.append(resident_mb(peer.pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
