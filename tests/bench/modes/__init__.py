"""What the bench can measure: one file a mode, all in this table."""

from collections.abc import Callable
from typing import Any

from tests.bench.modes.cold import cold
from tests.bench.modes.latency import latency
from tests.bench.modes.memory import memory
from tests.bench.modes.scale import scale
from tests.bench.modes.shared import shared
from tests.bench.modes.start import start
from tests.bench.modes.stream import stream
from tests.bench.modes.throughput import throughput
from tests.bench.room import Room

MODES: dict[str, Callable[[Room], dict[str, Any]]] = {
    "throughput": throughput,
    "cold": cold,
    "latency": latency,
    "memory": memory,
    "scale": scale,
    "shared": shared,
    "start": start,
    "stream": stream,
}
"""Each takes a room and returns what it measured, as JSON has it."""
