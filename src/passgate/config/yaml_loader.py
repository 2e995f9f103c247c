"""Reads YAML 1.2 strictly into nodes that know their line, and never into anything surprising.

Plain scalars are null (`null`, `~`, nothing), `true`, `false`, decimal integers without leading
zeros, and decimals such as `1.5`; everything else is text, also `no`, `014`, `1:30`, `0x1F`,
`1_000` and dates. Refused: duplicate keys, keys that are not text, anchors, aliases, tags, merge
keys, more than one document, `%YAML 1.1`, deep nesting, large files, anything but UTF-8.

It works on the parser's events, so that no alias is ever followed and depth is bounded before a
tree exists.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

import yaml

from passgate.config.problems import Problems
from passgate.core.strict_json import MAX_INTEGER

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
_MAX_LENGTH = 18

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_NULLS = frozenset({"", "~", "null"})

# YAML 1.1 breaks lines at these, YAML 1.2 does not: what looks like one comment would be two lines.
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")

# PyYAML's stubs say nothing of what each kind of event holds.
_Events: TypeAlias = Iterator[Any]

Expand: TypeAlias = Callable[[str], str]
"""Replaces what stands in a scalar's text; raises `ValueError` with a sentence."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A null, bool, int, float or text. `text` is as written, before anything was expanded."""

    value: bool | int | float | str | None
    line: int
    text: str
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: list["Node"]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Nodes by key, in order; `key_lines` says where each key stands."""

    entries: dict[str, "Node"]
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands where something was refused already: nothing more is said about it."""

    line: int


Node: TypeAlias = Scalar | Sequence | Mapping | Broken


def read_yaml(
    raw: bytes,
    problems: Problems,
    *,
    file: str | None = None,
    expand: Expand | None = None,
    max_bytes: int = MAX_BYTES,
) -> Node:
    """Reads the one document in `raw`; what is wrong goes to `problems`, under `file` if given.

    `expand` is applied to every scalar that is not a key. What it returns stays one scalar: it can
    become a number or a bool, never null and never structure. Never raises.
    """
    reading = _Reading(problems, file, expand)
    if len(raw) > max_bytes:
        reading.problem(0, f"the file is larger than {max_bytes // 1024} KiB")
        return Broken(1)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reading.problem(
            _line_at(raw[: error.start].decode("utf-8", "replace")), "this is not UTF-8"
        )
        return Broken(1)
    if found := _OTHER_BREAKS.search(text):
        character = f"U+{ord(found.group()):04X}"
        reading.problem(
            _line_at(text[: found.start()]), f"write {character} as an escape in quotes"
        )
        return Broken(1)
    try:
        return reading.document(text)
    except _StopReading:
        pass
    except yaml.reader.ReaderError as error:
        line = _line_at(text[: error.position])
        reading.problem(line, f"the character {error.character!r} is not allowed in YAML")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        sentence = " ".join(part for part in (error.context, error.problem) if part)
        line = mark.line + 1 if mark else 0
        if expand is not None and "${" in "".join(text.splitlines()[line - 1 : line]):
            sentence += " (within { } and [ ] a value with ${...} needs quotes)"
        reading.problem(line, f"this is not YAML: {sentence}")
    except (yaml.YAMLError, ValueError, OverflowError, IndexError):
        # The parser lets these through for escapes and directives with absurd numbers.
        reading.problem(0, "this is not YAML: a directive or an escape is out of range")
    return Broken(1)


def plain_value(node: Node) -> Any:
    """The node as None, bool, int, float, str, list and dict; Broken becomes None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain_value(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key: plain_value(item) for key, item in node.entries.items()}
    return None


def resolve_plain(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar stands for; raises `ValueError` for a number too long to hold."""
    if text in _NULLS:
        return None
    if text == "true":
        return True
    if text == "false":
        return False
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_LENGTH or abs(int(text)) > MAX_INTEGER:
            raise ValueError(f"a number is at most {MAX_INTEGER}: put a text in quotes")
        return int(text)
    if _DECIMAL.fullmatch(text):
        if len(text) > _MAX_LENGTH:
            raise ValueError(f"a number has at most {_MAX_LENGTH} characters: put a text in quotes")
        number = float(text)
        # What a float would round stays as written: whoever wants a number will say so.
        return number if Decimal(repr(number)) == Decimal(text) else text
    return text


class _StopReading(Exception):  # noqa: N818 - it ends the reading; what is wrong is noted already
    """Nothing after this can be read."""


class _Reading:
    """One reading of one document: turns events into nodes."""

    def __init__(self, problems: Problems, file: str | None, expand: Expand | None) -> None:
        self._problems = problems
        self._file = file
        self._expand = expand

    def problem(self, line: int, sentence: str) -> None:
        self._problems.add(line, sentence, self._file)

    def document(self, text: str) -> Node:
        events: _Events = yaml.parse(text, yaml.SafeLoader)
        next(events)  # the start of the stream
        first = next(events)
        if isinstance(first, yaml.StreamEndEvent):
            return Mapping({}, 1)
        if first.version not in (None, (1, 2)):
            self._stop(first, "this file must be YAML 1.2")
        root = self._node(events, next(events), 0)
        next(events)  # the end of the document
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, "the file must hold one document; a second one begins here")
        return root

    def _stop(self, event: Any, sentence: str) -> NoReturn:
        self.problem(_line_of(event), sentence)
        raise _StopReading

    def _node(self, events: _Events, event: Any, depth: int) -> Node:
        line = _line_of(event)
        if depth > MAX_DEPTH:
            self._stop(event, f"nothing may be nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self.problem(line, f"aliases are not allowed: write the value of *{event.anchor} out")
            return Broken(line)
        fault = ""
        if event.anchor is not None:
            fault = f"anchors are not allowed: remove &{event.anchor}"
        elif event.tag is not None:
            fault = f"tags are not allowed: remove {event.tag!r}"
        if fault:
            self.problem(line, fault)
        node: Node
        if isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(events, line, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(events, line, depth)
        else:
            node = self._scalar(event)
        return Broken(line) if fault else node

    def _sequence(self, events: _Events, line: int, depth: int) -> Sequence:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(events, event, depth + 1))
        return Sequence(items, line)

    def _mapping(self, events: _Events, line: int, depth: int) -> Mapping:
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(events, event, depth)
            node = self._node(events, next(events), depth + 1)
            if key is None:
                continue
            if key in entries:
                self.problem(
                    _line_of(event), f"the key {key!r} stands in line {key_lines[key]} already"
                )
                entries[key] = Broken(key_lines[key])
                continue
            entries[key] = node
            key_lines[key] = _line_of(event)
        return Mapping(entries, line, key_lines)

    def _key(self, events: _Events, event: Any, depth: int) -> str | None:
        """The text of a key, or None after saying why it is none."""
        line = _line_of(event)
        if not isinstance(event, yaml.ScalarEvent):
            known = len(self._problems)
            self._node(events, event, depth + 1)  # it must be read to get past it
            if len(self._problems) == known:
                self.problem(line, "a key must be a text")
            return None
        key = event.value
        if event.anchor is not None or event.tag is not None:
            self.problem(line, f"anchors and tags are not allowed: write the key {key!r} alone")
        elif key == "<<":
            self.problem(line, "merge keys are not allowed: write the values out")
        elif not key:
            self.problem(line, "a key must not be empty")
        elif event.implicit[0] and not isinstance(_kind(key), str):
            self.problem(line, f"the key {key} is no text: put it in quotes")
        elif self._expand is not None and "${" in key:
            self.problem(line, "a key cannot hold ${...}")
        elif not key.isprintable():
            self.problem(line, "a key must not hold control characters")
        else:
            return key
        return None

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        line = _line_of(event)
        written = event.value
        plain = event.implicit[0]
        try:
            text = _well_formed(written)
            if self._expand is not None and "${" in text:
                value = self._expanded(self._expand(text), plain)
            else:
                value = resolve_plain(text) if plain else text
        except ValueError as error:
            self.problem(line, str(error))
            return Broken(line)
        return Scalar(value, line, written, plain)

    def _expanded(self, text: str, plain: bool) -> bool | int | float | str | None:
        # An empty variable must not turn a value into "not configured": null never comes from one.
        if not plain:
            return text
        value = resolve_plain(text)
        return text if value is None else value


def _kind(text: str) -> bool | int | float | str | None:
    try:
        return resolve_plain(text)
    except ValueError:
        return 0  # too long a number is a number


def _well_formed(text: str) -> str:
    r"""`text` with pairs of surrogates joined as JSON means them; `ValueError` for a lone one."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("half of a surrogate pair is no character") from None


def _line_at(before: str) -> int:
    return before.count("\n") + before.count("\r") - before.count("\r\n") + 1


def _line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1
