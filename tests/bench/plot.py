"""Pictures of the results: rates and CPU of all peers, and their latencies at one rate."""

from collections.abc import Callable, Mapping
from math import log10
from typing import Any

from tests.bench.svg import Drawing, colour_class, ticks

Modes = Mapping[str, Any]

_WIDTH = 860
_LEFT = 190
_ROW = 34


def rates(modes: Modes) -> str | None:
    """Requests per second and CPU per request, warm and cold; None without such figures."""
    groups = [
        (title, modes[mode]["rows"])
        for mode, title in (
            ("throughput", "Passports seen before"),
            ("cold", "A never-seen passport with every request"),
        )
        if mode in modes
    ]
    if not groups:
        return None
    height = 92 + sum(36 + _ROW * len(rows) for _, rows in groups)
    drawing = Drawing(_WIDTH, height, "Requests per second and CPU per request, one core each")
    drawing.text(24, 32, "One core each: requests per second, and CPU per request", "title")
    every = [row for _, rows in groups for row in rows]
    columns = (
        (_LEFT, 350.0, "requests_per_s", "requests/s, with the least and greatest of the rounds"),
        (_LEFT + 420, 150.0, "cpu_us", "CPU µs per request"),
    )
    for x, _, _, words in columns:
        drawing.text(x, 56, words, "small")
    y = 68.0
    for title, rows in groups:
        drawing.text(24, y + 18, title, "group")
        y += 30
        for row in rows:
            drawing.text(_LEFT - 12, y + 17, row["name"], "label", "end")
            for x, width, name, _ in columns:
                greatest = max(other[name]["max"] for other in every)
                _bar(drawing, x, y, width / greatest, row[name], colour_class(row["name"]))
            y += _ROW
        y += 6
    drawing.text(24, height - 14, _NOTE, "small")
    return drawing.text_of()


_NOTE = "nginx checks nothing; Envoy checks the token; passgate checks, counts and keeps a record."


def _bar(drawing: Drawing, x: float, y: float, scale: float, values: Any, style: str) -> None:
    drawing.bar(x, y + 3, values["median"] * scale, _ROW - 14, style)
    low, high = x + values["min"] * scale, x + values["max"] * scale
    middle = y + 3 + (_ROW - 14) / 2
    if high - low > 1:
        drawing.line([(low, middle), (high, middle)], "whisker")
    median = values["median"]
    shown = f"{median:,.0f}" if median >= 1000 else f"{median:.1f}"
    drawing.text(max(high, x + median * scale) + 6, y + 17, shown, "label")


def latencies(modes: Modes) -> str | None:
    """Latency by percentile, one line a peer, on a logarithmic scale."""
    if "latency" not in modes:
        return None
    found = modes["latency"]
    rows = found["rows"]
    drawing = Drawing(_WIDTH, 420, "Latency by percentile at the same rate")
    title = f"Latency at {found['rate']:,.0f} requests/s through each (half of the gate's capacity)"
    drawing.text(24, 32, title, "title")
    drawing.text(24, 54, "ms from when a request was due, logarithmic", "small")
    left, right, top, bottom = 64.0, _WIDTH - 150.0, 72.0, 372.0
    values = [value for row in rows for value in row["latency_ms"].values()]
    low, high = log10(min(values) * 0.8), log10(max(values) * 1.2)

    def height_of(value: float) -> float:
        return bottom - (log10(value) - low) / (high - low) * (bottom - top)

    for value in _powers(10**low, 10**high):
        drawing.line([(left, height_of(value)), (right, height_of(value))], "axis")
        drawing.text(left - 8, height_of(value) + 4, f"{value:g}", "small", "end")
    names = list(rows[0]["latency_ms"])
    step = (right - left) / (len(names) - 1)
    for place, name in enumerate(names):
        drawing.text(left + place * step, bottom + 22, name, "small", "middle")
    ends = []
    for row in rows:
        style = colour_class(row["name"])
        points = [
            (left + place * step, height_of(row["latency_ms"][name]))
            for place, name in enumerate(names)
        ]
        drawing.line(points, f"curve {style}")
        for x, y in points:
            drawing.dot(x, y, style)
        ends.append((points[-1][1], row["name"]))
    below = top - 20
    for y, name in sorted(ends):
        below = max(y + 4, below + 17)  # labels keep clear of each other
        drawing.bar(right + 12, below - 10, 10, 10, colour_class(name))
        drawing.text(right + 28, below, name, "label")
    return drawing.text_of()


def _powers(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 and so on, as far as they are on the scale."""
    every = [factor * 10.0**power for power in range(-3, 5) for factor in (1, 2, 5)]
    return [value for value in every if low <= value <= high]


def curve(
    title: str, seconds: list[float], values: list[float], unit: str, marks: Mapping[float, str]
) -> str:
    """One figure over time; `marks` says what happened when."""
    drawing = Drawing(_WIDTH, 340, title)
    drawing.text(24, 32, title, "title")
    drawing.text(24, 54, unit, "small")
    left, right, top, bottom = 64.0, _WIDTH - 30.0, 72.0, 290.0
    steps = ticks(min(0.0, *values), max(values))
    span = seconds[-1] or 1.0

    def point(second: float, value: float) -> tuple[float, float]:
        return (
            left + second / span * (right - left),
            bottom - (value - steps[0]) / (steps[-1] - steps[0]) * (bottom - top),
        )

    for value in steps:
        y = point(0, value)[1]
        drawing.line([(left, y), (right, y)], "axis")
        drawing.text(left - 8, y + 4, f"{value:g}", "small", "end")
    for second in ticks(0, span, 8):
        if second <= span:
            drawing.text(point(second, 0)[0], bottom + 20, f"{second:g} s", "small", "middle")
    for second, words in marks.items():
        x = point(second, 0)[0]
        drawing.line([(x, top), (x, bottom)], "axis")
        drawing.text(x + 4, top + 10, words, "small")
    drawing.line(
        [point(*sample) for sample in zip(seconds, values, strict=True)],
        f"curve {colour_class('passgate relaxed')}",
    )
    return drawing.text_of()


PLOTS: dict[str, Callable[[Modes], str | None]] = {"rates": rates, "latencies": latencies}
"""Each picture by its file's name."""
