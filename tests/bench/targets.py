"""What the gate should reach, and whether the figures of a run say that it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Modes = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One number of a target: what was measured, and the bound it is held to."""

    label: str
    measured: float
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def say(self) -> str:
        """`p50 0.31 ms`, without the bound."""
        return f"{self.label} {self.measured:.3g}{self.unit}".strip()

    def distance(self) -> str:
        """How far off: a factor of the bound."""
        if self.met:
            return "met"
        factor = self.bound / self.measured if self.at_least else self.measured / self.bound
        short = f"{self.label}: " if self.label else ""
        return f"{short}missed by a factor of {factor:.2f}"


@dataclass(frozen=True)
class Target:
    """One row: `needs` is the mode whose figures `judge` reads."""

    id: str
    figure: str
    target: str
    needs: str
    judge: Callable[[Any], list[Part]]


def _rate(rows: Any, name: str) -> float:
    return float(next(row for row in rows if row["name"] == name)["requests_per_s"]["median"])


def _against(name: str, bound: float, **peers: str) -> Callable[[Any], list[Part]]:
    """Against each of `peers`, by the words that tell them apart."""

    def judge(found: Any) -> list[Part]:
        ours = _rate(found["rows"], name)
        there = {row["name"] for row in found["rows"]}
        return [
            Part(words.replace("_", " "), ours / _rate(found["rows"], peer), bound, " ×", True)
            for words, peer in peers.items()
            if peer in there
        ]

    return judge


def _added(found: Any) -> list[Part]:
    by_name = {row["name"]: row["latency_ms"] for row in found["rows"]}
    nginx, gate = by_name["nginx"], by_name["passgate relaxed"]
    return [
        Part("p50", gate["p50"] - nginx["p50"], 0.5, " ms"),
        Part("p99", gate["p99"] - nginx["p99"], 2.0, " ms"),
    ]


def _memory(found: Any) -> list[Part]:
    passports = found["each_once_mb"] - found["idle_mb"]
    revocations = found["revocations_mb"] - found["without_revocations_mb"]
    parts = [
        Part("idle", found["idle_mb"], 60, " MB"),
        Part("passports +", passports, 120, " MB"),
        Part("revocations +", revocations, 100, " MB"),
    ]
    if "counters_mb" in found:
        parts.append(Part("counters +", found["counters_mb"], 150, " MB"))
    return parts


def _flat(found: Any) -> list[Part]:
    parts = [
        # What is owed is looked at one by one; what is looked up must not cost more.
        Part(row["name"], row["ratio"], 1.5 if row["name"] == "constraints" else 1.2, " ×")
        for row in found["rows"]
    ]
    small, large = (row["cpu_us"]["median"] for row in found["gates"])
    return [*parts, Part("whole gate, CPU", large / small, 1.2, " ×")]


def _ready(found: Any) -> list[Part]:
    return [Part("", found["ready_s"]["median"], 0.7, " s")]


def _shared(found: Any) -> list[Part]:
    own, other = (float(row["requests_per_s"]["median"]) for row in found["rows"])
    return [Part("", other / own, 0.8, " ×", at_least=True)]


def _streamed(found: Any) -> list[Part]:
    speed = {(row["way"], row["name"]): row["mb_per_s"]["median"] for row in found["rows"]}
    grown = max(row["grown_mb"] for row in found["rows"] if row["name"] != "nginx")
    parts = [
        Part(way, speed[way, "passgate relaxed"] / speed[way, "nginx"], 0.7, " ×", at_least=True)
        for way in ("download", "upload")
    ]
    return [*parts, Part("memory +", grown, 10, " MB")]


# As it is set up by default, and with a cache that holds every token of the run.
_ENVOYS = {"default_cache": "envoy, cache of 100", "every_token_cached": "envoy"}

TARGETS = (
    Target("P1", "every check, log `relaxed`, against Envoy", "at least 3.0 × its requests/s",
           "throughput", _against("passgate relaxed", 3.0, **_ENVOYS)),
    Target("P2", "every check, log `relaxed`, against nginx without any", "at least 0.5 ×",
           "throughput", _against("passgate relaxed", 0.5, nginx="nginx")),
    Target("P3", "every check, log `strict`, against Envoy", "at least 1.5 ×",
           "throughput", _against("passgate strict", 1.5, **_ENVOYS)),
    Target("P4", "latency added to nginx's at half load, log `relaxed`",
           "p50 at most 0.5 ms, p99 at most 2 ms", "latency", _added),
    Target("P5", "a never-seen passport on every request, against Envoy without token cache",
           "at least 1.0 ×", "cold", _against("passgate relaxed", 1.0, Envoy="envoy, no cache")),
    Target("P6", "memory: idle; 100,000 live passports; 1,000,000 revocations; counters of"
           " 100,000 agents", "60 MB; +120 MB; +100 MB; +150 MB", "memory", _memory),
    Target("P7", "cost per decision in 10,000 routes, 100,000 catalog entries, 1,000,000"
           " revocations, against 10, 10 and 1; with ten constraints, against one",
           "at most 1.2 ×; 1.5 ×", "scale", _flat),
    Target("P8", "start to ready with trust kept from before", "0.7 s", "start", _ready),
    Target("P9", "1 GiB streamed each way, against nginx", "at least 0.7 ×, memory flat",
           "stream", _streamed),
    Target("P10", "a gate on shared counters, against one with its own", "at least 0.8 × its rate",
           "shared", _shared),
)  # fmt: skip
"""The targets of this version, in the order of the table."""


def judged(modes: Modes) -> list[tuple[Target, list[Part]]]:
    """Each target with what was measured of it; nothing where its mode was not run."""
    return [
        (target, target.judge(modes[target.needs]) if target.needs in modes else [])
        for target in TARGETS
    ]
