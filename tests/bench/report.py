"""The results as a page: targets first, then a table for each mode. Made of results.json."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.bench.targets import judged

Results = Mapping[str, Any]

_BUSY = 1.5


def page(results: Results) -> str:
    """The whole of results.md."""
    modes = results["modes"]
    parts = ["# Measured\n", _machine(results["machine"]), targets_table(modes)]
    parts += [f"## {name}\n\n{_when(modes[name])}\n\n{say(modes[name])}\n"
              for name, say in _SAID.items() if name in modes]  # fmt: skip
    return (
        "\n".join(parts)
        + "\nRepeat with `make bench`; see [performance](../../docs/performance.md).\n"
    )


def targets_table(modes: Results) -> str:
    """P1 to P9: target, measured, met or how far off."""
    rows = []
    for target, parts in judged(modes):
        measured = "; ".join(part.say() for part in parts) or "not measured"
        missed = [part.distance() for part in parts if not part.met]
        verdict = "; ".join(missed) or ("**met**" if parts else "–")
        rows.append((target.id, target.figure, target.target, measured, verdict))
    return _table(("", "figure", "target", "measured", ""), rows)


def _machine(machine: Mapping[str, str]) -> str:
    return "".join(f"- {name}: {value}\n" for name, value in machine.items())


def _when(mode: Mapping[str, Any]) -> str:
    run = mode["run"]
    load = run["load_before"]
    loud = f", others at work on the machine (load {load})" if load >= _BUSY else ""
    return (
        f"{run['at']}, commit {run['commit']}, {run['rounds']} rounds of {run['seconds']} s{loud}."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _rates(found: Any) -> str:
    rates = {row["name"]: row["requests_per_s"]["median"] for row in found["rows"]}
    first = {"nginx": "× nginx", "envoy": "× Envoy", "envoy, no cache": "× Envoy"}
    peers = [name for name in rates if name in first]
    head = ("", "requests/s", "min", "max", *(first[peer] for peer in peers), "CPU µs", "p50 ms",
            "p99 ms", "idle MB", "after MB")  # fmt: skip
    rows = [
        (
            row["name"],
            *(f"{row['requests_per_s'][which]:,.0f}" for which in ("median", "min", "max")),
            *(f"{rates[row['name']] / rates[peer]:.2f}" for peer in peers),
            f"{row['cpu_us']['median']:.1f}",
            f"{row['p50_ms']['median']:.2f}",
            f"{row['p99_ms']['median']:.2f}",
            f"{row['idle_mb']:.0f}",
            f"{row['after_mb']:.0f}",
        )
        for row in found["rows"]
    ]
    return _table(head, rows)


def _latency(found: Any) -> str:
    names = list(found["rows"][0]["latency_ms"])
    nginx = next(row["latency_ms"] for row in found["rows"] if row["name"] == "nginx")
    rows = [
        (
            row["name"],
            *(f"{row['latency_ms'][name]:.2f}" for name in names),
            f"{row['latency_ms']['p50'] - nginx['p50']:+.2f}",
            f"{row['latency_ms']['p99'] - nginx['p99']:+.2f}",
            f"{row['cpu_us']['median']:.1f}",
        )
        for row in found["rows"]
    ]
    late = max(row["late_ms"]["p99"] for row in found["rows"])
    return (
        f"{found['rate']:,.0f} requests/s through each, half of the {found['capacity']:,.0f} that "
        "went through the gate (`relaxed`) just before. In ms, from when a request was due; "
        f"99 of 100 were sent within {late:.2f} ms of that.\n\n"
        + _table(("", *names, "p50 added", "p99 added", "CPU µs"), rows)
    )


def _memory(found: Any) -> str:
    idle, without = found["idle_mb"], found["without_revocations_mb"]
    rows = [
        ("idle", f"{idle:.0f}", ""),
        *(
            (f"{found['passports']:,} passports {words}", f"{mb:.0f}", f"{mb - idle:+.0f}")
            for words, mb in (("once", found["each_once_mb"]), ("twice", found["each_twice_mb"]))
        ),
        (
            f"{found['revocations']:,} revocations",
            f"{found['revocations_mb']:.0f}",
            f"{found['revocations_mb'] - without:+.0f}",
        ),
        (
            "while these were read, at most",
            f"{found['revocations_peak_mb']:.0f}",
            f"{found['revocations_peak_mb'] - without:+.0f}",
        ),
    ]
    if "counters_mb" in found:  # kept results may be older than this figure
        agents, grown = found["counting_agents"], found["counters_mb"]
        rows.append((f"counters of {agents:,} agents, by themselves", "", f"{grown:+.0f}"))
    return _table(("resident", "MB", "more than idle"), rows)


def _scale(found: Any) -> str:
    rows = [
        (
            f"{row['small']:,} → {row['large']:,} {row['name']}",
            f"{row['small_us']['median']:.2f}",
            f"{row['large_us']['median']:.2f}",
            f"{row['ratio']:.2f}",
        )
        for row in found["rows"]
    ]
    small, large = (gate["cpu_us"]["median"] for gate in found["gates"])
    names = ("routes", "entries", "revoked")
    sizes = ", ".join(f"{found[name]:,} {name}" for name in names)
    rows.append((f"a whole gate: {sizes}", f"{small:.1f}", f"{large:.1f}", f"{large / small:.2f}"))
    return (
        "The same requests in small and in large tables; `decide` alone, then the CPU of a whole "
        "gate per request.\n\n" + _table(("table", "small µs", "large µs", "ratio"), rows)
    )


def _start(found: Any) -> str:
    rows = [
        (words, *(f"{found[name][which]:.3f}" for which in ("median", "min", "max")))
        for words, name in (("ready", "ready_s"), ("first right answer", "first_answer_s"))
    ]
    return (
        f"Seconds from the start of the process, {found['starts']} times, its issuer out of reach "
        "and trust as it was kept.\n\n" + _table(("", "median", "min", "max"), rows)
    )


def _stream(found: Any) -> str:
    speed = {(row["way"], row["name"]): row["mb_per_s"]["median"] for row in found["rows"]}
    rows = [
        (
            row["way"],
            row["name"],
            f"{row['mb_per_s']['median']:,.0f}",
            f"{speed[row['way'], row['name']] / speed[row['way'], 'nginx']:.2f}",
            f"{row['cpu_s_per_gb']['median']:.2f}",
            f"{row['grown_mb']:.1f}",
        )
        for row in found["rows"]
    ]
    return f"{found['bytes']:,} bytes, each checked.\n\n" + _table(
        ("", "", "MB/s", "× nginx", "CPU s per GB", "memory grew by MB"), rows
    )


_SAID: dict[str, Callable[[Any], str]] = {
    "throughput": _rates,
    "shared": _rates,
    "cold": _rates,
    "latency": _latency,
    "memory": _memory,
    "scale": _scale,
    "start": _start,
    "stream": _stream,
}
