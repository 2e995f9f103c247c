"""The kinds of value that a key can have: how each is read, shown, and described in JSON Schema.

Reading never raises: what is wrong is noted with its line, and `BAD` comes back. What a kind shows
is in the notation of gate.yaml, so that reading it again gives the same value.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from passgate.config.problems import Problems
from passgate.config.yaml_loader import Broken, Node, Scalar, Sequence, plain_value
from passgate.config.yaml_loader import Mapping as MappingNode

BAD: Final[Any] = type("Bad", (), {"__repr__": lambda self: "BAD", "__slots__": ()})()
"""Stands for a value that was refused already."""


@dataclass(frozen=True, slots=True)
class At:
    """Where something is read: its path in the configuration, and what reading may look at.

    `base` is the absolute directory of the file; `lines` gathers the line of every path. Without
    `secrets` only their notation is read.
    """

    path: str
    problems: Problems
    base: Path
    environ: Mapping[str, str]
    lines: dict[str, int]
    secrets: bool = True

    def problem(self, line: int, sentence: str) -> None:
        """Note that the value at this path is unusable: `sentence` goes on after the path."""
        self.problems.add(line, f"{self.path} {sentence}")

    def within(self, suffix: str) -> "At":
        """The same, for `suffix` of this path: `.name` or `[0]`."""
        return replace(self, path=self.path + suffix)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `name` completes the sentence "must be ..."."""

    name: str
    shape: Mapping[str, Any]

    def show(self, value: Any) -> Any:
        """`value` as null, bool, int, text, list or dict, in the notation of gate.yaml."""
        return value


class ValueKind(Kind, ABC):
    """A kind that reads its value by itself; a section is read by the rows below it."""

    __slots__ = ()

    @abstractmethod
    def read(self, node: Node, at: At) -> Any:
        """The value that `node` is, or BAD after noting every problem in it."""


@dataclass(frozen=True, slots=True)
class ScalarKind(ValueKind):
    """A kind with one scalar as its value.

    `parse` gets the scalar and gives BAD for what does not fit `name`, or raises `ValueError` with
    a sentence that says more. `private` values never stand in a sentence.
    """

    parse: Callable[[Any, At], Any]
    shown: Callable[[Any], Any] = lambda value: value
    private: bool = False

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, Broken):
            return BAD
        if not isinstance(node, Scalar):
            at.problem(node.line, f"must be {self.name}, not {_what(node)}")
            return BAD
        try:
            value = self.parse(node.value, at)
        except ValueError as error:
            at.problem(node.line, str(error))
            return BAD
        if value is BAD:
            given = "" if self.private else f", not {_what(node)}"
            at.problem(node.line, f"must be {self.name}{given}")
        return value

    def show(self, value: Any) -> Any:
        return None if value is None else self.shown(value)


@dataclass(frozen=True, slots=True)
class ListKind(ValueKind):
    """A list of values of one kind, each once; `at_least` of them."""

    item: ValueKind
    at_least: int = 0

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, Broken):
            return BAD
        if not isinstance(node, Sequence):
            at.problem(node.line, f"must be {self.name}, not {_what(node)}")
            return BAD
        if len(node.items) < self.at_least:
            at.problem(node.line, f"must be {self.name}, with at least {self.at_least}")
            return BAD
        values = []
        for index, item in enumerate(node.items):
            here = at.within(f"[{index}]")
            here.lines[here.path] = item.line
            value = self.item.read(item, here)
            if value is not BAD and value in values:
                here.problem(item.line, "stands in this list already")
                value = BAD
            values.append(value)
        return BAD if BAD in values else tuple(values)

    def show(self, value: Any) -> Any:
        return [self.item.show(item) for item in value]


@dataclass(frozen=True, slots=True)
class MappingKind(ValueKind):
    """A section whose keys are judged elsewhere, kept as plain values."""

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, Broken):
            return BAD
        if not isinstance(node, MappingNode):
            at.problem(node.line, f"must be {self.name}, not {_what(node)}")
            return BAD
        note_lines(node, at)
        return plain_value(node)


@dataclass(frozen=True, slots=True)
class AnyKind(ValueKind):
    """Whatever stands there, for keys that are refused whatever they hold."""

    def read(self, node: Node, at: At) -> Any:
        del at
        return plain_value(node)


def note_lines(node: Node, at: At) -> None:
    """Notes the line of every key and item in `node`, at any depth."""
    if isinstance(node, MappingNode):
        for key, item in node.entries.items():
            here = at.within(f".{key}")
            here.lines[here.path] = node.key_lines[key]
            note_lines(item, here)
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            here = at.within(f"[{index}]")
            here.lines[here.path] = item.line
            note_lines(item, here)


def _what(node: Node) -> str:
    """What stands in `node`, in a few words, as it was written."""
    if isinstance(node, Scalar):
        if node.plain and node.value is None:
            return "null"
        text = node.text if len(node.text) <= 60 else node.text[:57] + "..."
        # A quoted 30 is something else than 30, and the sentence has to say so.
        return text if node.plain and not isinstance(node.value, str) else repr(text)
    return "a list" if isinstance(node, Sequence) else "a section"


def a_list_of(item: ValueKind, plural: str, at_least: int = 0) -> ListKind:
    """The kind of a list; `plural` completes "a list of ..."."""
    shape: dict[str, Any] = {"type": "array", "items": dict(item.shape), "uniqueItems": True}
    if at_least:
        shape["minItems"] = at_least
    return ListKind(f"a list of {plural}", shape, item, at_least)


def or_null(kind: ScalarKind) -> ScalarKind:
    """The same kind with null allowed, for "not set"."""

    def parse(value: Any, at: At) -> Any:
        return None if value is None else kind.parse(value, at)

    shape = {"anyOf": [dict(kind.shape), {"type": "null"}]}
    return ScalarKind(kind.name, shape, parse, kind.shown, kind.private)


def choice(*words: str) -> ScalarKind:
    """One of a few words."""
    allowed = frozenset(words)
    name = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(value: Any, at: At) -> Any:
        del at
        return value if isinstance(value, str) and value in allowed else BAD

    return ScalarKind(name, {"enum": list(words)}, parse)


def text(name: str, pattern: str, *, max_bytes: int = 256) -> ScalarKind:
    """A text that `pattern` (a regular expression, ASCII classes) matches whole."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def parse(value: Any, at: At) -> Any:
        del at
        if isinstance(value, (bool, int, float)):
            raise ValueError(f"must be {name}: put the number or bool in quotes")  # noqa: TRY004 - a sentence for a person, like every other
        if not isinstance(value, str) or matches(value) is None:
            return BAD
        if len(value.encode()) > max_bytes:
            raise ValueError(f"must be at most {max_bytes} bytes long")
        return value

    return ScalarKind(name, {"type": "string", "pattern": f"^(?:{pattern})$"}, parse)


def whole_number(least: int, most: int) -> ScalarKind:
    """A number without a fraction, from `least` to `most`."""

    def parse(value: Any, at: At) -> Any:
        del at
        return value if type(value) is int and least <= value <= most else BAD

    shape = {"type": "integer", "minimum": least, "maximum": most}
    return ScalarKind(f"a whole number from {least} to {most}", shape, parse)


_UNIT_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION: Final = r"(0|[1-9][0-9]{0,11})(ms|s|m|h|d)"
_UNIT_BYTES: Final = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_SIZE: Final = r"(0|[1-9][0-9]{0,11})(KiB|MiB|GiB|TiB)"


def duration(least: str, most: str) -> ScalarKind:
    """A length of time, from `least` to `most`; its value is in seconds."""
    least_ms, most_ms = _milliseconds(least), _milliseconds(most)
    name = f"a duration such as 250ms, 30s, 5m, 1h or 7d, from {least} to {most}"

    def parse(value: Any, at: At) -> Any:
        del at
        if type(value) is int:
            raise ValueError(f"must be {name}: {value} has no unit")
        if not isinstance(value, str) or re.fullmatch(_DURATION, value) is None:
            return BAD
        ms = _milliseconds(value)
        return ms / 1000 if least_ms <= ms <= most_ms else BAD

    return ScalarKind(name, {"type": "string", "pattern": f"^{_DURATION}$"}, parse, show_duration)


def size(least: str, most: str) -> ScalarKind:
    """A number of bytes, from `least` to `most`."""
    least_bytes, most_bytes = _bytes(least), _bytes(most)
    name = f"a size such as 64KiB, 1MiB or a number of bytes, from {least} to {most}"

    def parse(value: Any, at: At) -> Any:
        del at
        if isinstance(value, str) and re.fullmatch(_SIZE, value) is not None:
            value = _bytes(value)
        return value if type(value) is int and least_bytes <= value <= most_bytes else BAD

    shape = {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_SIZE}$"}]
    }
    return ScalarKind(name, shape, parse, show_size)


def _milliseconds(written: str) -> int:
    found = re.fullmatch(_DURATION, written)
    assert found is not None
    return int(found[1]) * _UNIT_MS[found[2]]


def _bytes(written: str) -> int:
    found = re.fullmatch(_SIZE, written)
    assert found is not None
    return int(found[1]) * _UNIT_BYTES[found[2]]


def show_duration(seconds: float) -> str:
    """Seconds in the largest unit that holds them whole: `1h`, `90s`, `250ms`."""
    ms = round(seconds * 1000)
    for unit, length in _UNIT_MS.items():
        if ms and ms % length == 0:
            return f"{ms // length}{unit}"
    return "0s"


def show_size(size_bytes: int) -> str | int:
    """Bytes in the largest unit that holds them whole: `64KiB`, `1MiB`, else the number."""
    for unit, length in _UNIT_BYTES.items():
        if size_bytes and size_bytes % length == 0:
            return f"{size_bytes // length}{unit}"
    return size_bytes


def _parse_bool(value: Any, at: At) -> Any:
    del at
    return value if isinstance(value, bool) else BAD


A_BOOL: Final = ScalarKind("true or false", {"type": "boolean"}, _parse_bool)
CONSTRAINTS: Final = MappingKind("a section of constraints", {"type": "object"})
ANYTHING: Final = AnyKind("nothing", {})


@dataclass(frozen=True, slots=True)
class Section(Kind):
    """A section whose keys are rows of the table; an `optional` one is null where it is absent."""

    optional: bool = False


@dataclass(frozen=True, slots=True)
class Sections(Kind):
    """A list of sections; `named` ones stand under a name of the operator's choice instead."""

    named: bool = False
    names: re.Pattern[str] = field(default=re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"))


A_SECTION: Final = Section("a section", {})
A_SECTION_OR_NULL: Final = Section("a section", {}, optional=True)
A_LIST_OF_SECTIONS: Final = Sections("a list of sections", {})
NAMED_SECTIONS: Final = Sections("a section with a name for each entry", {}, named=True)
