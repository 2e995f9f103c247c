"""Drawing as SVG, with colours for a light and for a dark page, and no dependency."""

from collections.abc import Iterable
from math import ceil, floor, log10

COLOURS = {
    "nginx": ("#6b7280", "#9ca3af"),
    "envoy": ("#b45309", "#f0a04b"),
    "passgate relaxed": ("#1d4ed8", "#6ea8fe"),
    "passgate strict": ("#0f766e", "#45c4b0"),
}
"""Of each peer: on light, on dark. A peer that begins like one of these has its colour."""

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
_LIGHT = {"paper": "#ffffff", "ink": "#1f2937", "faint": "#6b7280", "grid": "#e5e7eb"}
_DARK = {"paper": "#0d1117", "ink": "#e6edf3", "faint": "#9ca3af", "grid": "#30363d"}


def colour_class(name: str) -> str:
    """The class of a peer's colour."""
    fitting = [known for known in COLOURS if name.startswith(known)]
    return "c-" + (fitting[0] if fitting else "nginx").replace(" ", "-")


class Drawing:
    """A picture of `width` by `height`, its origin in the upper left corner."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width = width
        self.height = height
        self._title = title
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, style: str = "label", anchor: str = "") -> None:
        """Words whose baseline begins at a point, or ends there with `anchor` end."""
        at = f' text-anchor="{anchor}"' if anchor else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}"{at}>{_safe(words)}</text>'
        )

    def bar(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """A filled bar."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" '
            f'rx="2" class="fill {style}"/>'
        )

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" class="{style}"/>')

    def dot(self, x: float, y: float, style: str) -> None:
        """A mark on a line."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="fill {style}"/>')

    def text_of(self) -> str:
        """The whole SVG."""
        rules = "".join(_rules(_LIGHT, 0))
        dark = "".join(_rules(_DARK, 1))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            f'aria-label="{_safe(self._title)}">\n<title>{_safe(self._title)}</title>\n'
            f"<style>text{{font-family:{_FONT};font-size:13px}}.title{{font-size:15px;"
            "font-weight:600}.group{font-weight:600}.small{font-size:11.5px}.axis{stroke-width:1;fill:none}"
            ".whisker{stroke-width:1.5;fill:none}.curve{stroke-width:2.2;fill:none;"
            f"stroke-linejoin:round}}{rules}\n"
            f"@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
            f'<rect width="{self.width}" height="{self.height}" rx="8" class="paper"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )


def _rules(tones: dict[str, str], which: int) -> Iterable[str]:
    yield f".paper{{fill:{tones['paper']}}}.label,.title,.group{{fill:{tones['ink']}}}"
    yield f".small{{fill:{tones['faint']}}}.axis{{stroke:{tones['grid']}}}"
    yield f".whisker{{stroke:{tones['ink']}}}"
    for name, colours in COLOURS.items():
        style = colour_class(name)
        yield f".fill.{style}{{fill:{colours[which]}}}.curve.{style}{{stroke:{colours[which]}}}"


def _safe(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def ticks(least: float, greatest: float, about: int = 5) -> list[float]:
    """Round numbers from `least` or below to `greatest` or above, `about` so many."""
    span = max(greatest - least, 1e-9)
    rough = span / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = floor(least / step)
    return [round(n * step, 10) for n in range(first, ceil(greatest / step - 1e-9) + 1)]
