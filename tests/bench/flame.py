"""Where the gate's time goes under load, as a flame graph: kernel, interpreter, and our own code.

`python -m tests.bench.flame` runs a gate as the throughput mode does, samples it with Linux `perf`
for a few seconds, and draws what it saw. Widths are shares of the samples; callers are below.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.gate import issue
from tests.bench.load import measure, wrk_script
from tests.bench.room import Room

_OUT = Path(__file__).parents[2] / "docs" / "performance" / "flame.svg"
_WIDTH, _ROW, _HEAD, _LEAST = 1200, 17, 64, 0.0018
# What a frame belongs to, by the file that its code is in, with its colour on light paper.
_KINDS = (
    ("kernel", "the kernel", "#9ca3af"),
    ("passgate", "passgate, compiled", "#60a5fa"),
    ("uvloop", "uvloop and libuv", "#fbbf24"),
    ("python", "the interpreter", "#a3e635"),
    ("other", "libc, crypto and the rest", "#f9a8d4"),
)
_FRAME = re.compile(r"\s+[0-9a-f]+ (?P<name>.+?)(?:\+0x[0-9a-f]+)? \((?P<file>[^)]*)\)$")
_COMPILED = re.compile(r"CPy(?:Def|Py)_(?P<name>\w+)")
# Frames that say nothing: how the interpreter and the loop call, and what perf cannot name.
_PLUMBING = re.compile(
    r"_?Py(?:Object|Eval|Function|Vectorcall|Run)_|method_vectorcall|cfunction_|do_call_core|slot_"
    r"|\[unknown\]|0x|__pyx_p[fw]|pyx_p[fw]|run_in_context|context_run|builtin_exec|pymain"
    r"|uv__(?:stream_io|run_idle|io_cb)|cb_idle|\d*(?:Handle__run|Loop__on_idle|uv_stream_on_read)"
)
# Of the kernel's frames these say enough.
_KERNEL = re.compile(
    r"ksys_|__x64_sys_|do_futex|tcp_sendmsg$|tcp_v4_rcv|sock_def_readable|_raw_spin_unlock"
)
# Where a thread's own work begins; what is below is how it was started.
_BEGIN = re.compile(r"uv_run$|.*Committer.*run$")


class _Node:
    """One function as it was called from one place; `count` samples were in it or below."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.count = 0
        self.children: dict[str, _Node] = {}


def grown(script: Iterator[str]) -> _Node:
    """The tree of the stacks that `perf script` printed."""
    root = _Node("all samples", "other")
    stack: list[tuple[str, str]] = []
    for line in script:
        match = _FRAME.match(line)
        if match is not None:
            stack.append(_named(match["name"], match["file"]))
        elif not line.strip() and stack:
            _add(root, stack[::-1])
            stack = []
    return root


def _named(name: str, file: str) -> tuple[str, str]:
    name = name.removesuffix(" (inlined)")
    if "kernel" in file:
        return name, "kernel"
    compiled = _COMPILED.match(name)
    if compiled is not None:
        return re.sub(r"_{3,}", ".", compiled["name"]).strip("."), "passgate"
    if "passgate" in file:
        return name, "passgate"
    if "loop.cpython" in file or "uvloop" in file:
        return name.removeprefix("__pyx_f_6uvloop_4loop_").lstrip("_"), "uvloop"
    return name, "python" if "python" in file else "other"


def _add(root: _Node, stack: list[tuple[str, str]]) -> None:
    begin = next((at for at, (name, _) in enumerate(stack) if _BEGIN.match(name)), 0)
    node = root
    node.count += 1
    for name, kind in stack[begin:]:
        if _PLUMBING.match(name) or name == node.name:
            continue  # so that what we wrote stands on what we wrote
        if kind == "kernel" and not _KERNEL.match(name):
            continue
        node = node.children.setdefault(name, _Node(name, kind))
        node.count += 1


def drawn(root: _Node, caption: str) -> str:
    """The flame graph as SVG; each frame's title tells its share."""
    boxes: list[str] = []
    depth = _boxes(root, root.count, 0.0, 0, boxes)
    height = _HEAD + (depth + 1) * _ROW + 8
    legend = "".join(
        f'<rect x="{12 + 190 * at}" y="40" width="12" height="12" class="{kind}"/>'
        f'<text x="{28 + 190 * at}" y="50">{words}</text>'
        for at, (kind, words, _) in enumerate(_KINDS)
    )
    rules = "".join(f".{kind}{{fill:{colour}}}" for kind, _, colour in _KINDS)
    placed = "\n".join(boxes).replace("@", str(height - 8 - _ROW))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">\n'
        f"<title>{caption}</title>\n<style>text{{font:11px 'DejaVu Sans',sans-serif;fill:#111}}"
        f".title{{font-size:14px;font-weight:600}}rect{{stroke:#fff;stroke-width:.4}}{rules}"
        f'</style>\n<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n'
        f'<text x="12" y="24" class="title">{caption}</text>\n{legend}\n{placed}\n</svg>\n'
    )


def _boxes(node: _Node, total: int, x: float, depth: int, into: list[str]) -> int:
    width = node.count / total * _WIDTH
    words = node.name.replace("&", "&amp;").replace("<", "&lt;")
    letters = int(width / 6.3)
    label = words if len(words) <= letters else words[: letters - 1] + "…" if letters > 3 else ""
    into.append(
        f'<g transform="translate({x:.1f},@)"><g transform="translate(0,{-depth * _ROW})">'
        f"<title>{words} ({100 * node.count / total:.1f} %)</title>"
        f'<rect width="{width:.1f}" height="{_ROW - 1}" class="{node.kind}"/>'
        + (f'<text x="3" y="12">{label}</text>' if label else "")
        + "</g></g>"
    )
    deepest = depth
    for child in sorted(node.children.values(), key=lambda child: -child.count):
        if child.count / total >= _LEAST:
            deepest = max(deepest, _boxes(child, total, x, depth + 1, into))
            x += child.count / total * _WIDTH
    return deepest


def main() -> None:
    """Measures and draws."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flame", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--frequency", type=int, default=900)
    parser.add_argument("--durability", choices=("relaxed", "strict"), default="relaxed")
    parser.add_argument("--out", type=Path, default=_OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="passgate-flame-") as at, ExitStack() as stack:
        directory = Path(at)
        room = Room(directory, issue(directory), options, stack)
        peer = room.gate(room.upstream(), options.durability)
        script = wrk_script(room.issued.passports(5000))
        measure(peer, script, 3, 64)
        data = directory / "perf.data"
        sampling = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(options.frequency),
             "--call-graph", "dwarf,16384", "-p", str(peer.pid), "-o", str(data),
             "--", "sleep", str(options.seconds)],
        )  # fmt: skip
        run = measure(peer, script, options.seconds + 1, 64)
        sampling.wait()
        printed = subprocess.run(
            ["perf", "script", "-i", str(data), "-F", "ip,sym,dso"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    root = grown(iter([*printed.splitlines(), ""]))
    caption = f"passgate {options.durability}, 64 connections: {root.count:,} samples"
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(drawn(root, caption))
    shares = {kind: 0 for kind, _, _ in _KINDS}
    _own(root, shares)
    print(json.dumps({kind: f"{100 * n / root.count:.1f} %" for kind, n in shares.items()}))
    print(f"{run.cpu_us:.1f} µs of CPU per request while sampled", file=sys.stderr)


def _own(node: _Node, shares: dict[str, int]) -> None:
    shares[node.kind] += node.count - sum(child.count for child in node.children.values())
    for child in node.children.values():
        _own(child, shares)


if __name__ == "__main__":
    main()
