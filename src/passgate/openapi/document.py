"""Reads an OpenAPI 3.0 or 3.1 document, JSON or YAML, and follows its references within itself.

In YAML every scalar is read as text: nothing here depends on what `no` or `1.0` mean.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import yaml

from passgate.openapi.notes import Note

MAX_DOCUMENT_BYTES: Final = 128 << 20
"""The largest document that is read."""

_VERSION: Final = re.compile(r"3\.[01](?:\..*)?")
_MERGE: Final = "<<"
_MOST_REFERENCES: Final = 32


@dataclass(slots=True)
class Document:
    """The whole tree of a document, and what was noticed while reading it."""

    tree: Mapping[str, Any]
    notes: list[Note] = field(default_factory=list)

    def resolve(self, node: Any) -> Any:
        """What a node is, after following its `$ref`; members beside the reference stay.

        Raises `ValueError` with a sentence for a reference into another document, to nothing, or
        in a circle.
        """
        beside: dict[str, Any] = {}
        for _ in range(_MOST_REFERENCES):
            if not isinstance(node, Mapping) or "$ref" not in node:
                return {**node, **beside} if beside and isinstance(node, Mapping) else node
            beside = {name: value for name, value in node.items() if name != "$ref"} | beside
            node = self._at(node["$ref"])
        raise ValueError("its references go round in a circle")

    def _at(self, reference: object) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise ValueError(f"it refers to another document, {reference!r}, which is not read")
        node: Any = self.tree
        for token in unquote(reference[1:]).split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isascii() and name.isdigit():
                node = node[int(name[:9])] if int(name[:9]) < len(node) else None
            else:
                node = node.get(name) if isinstance(node, Mapping) else None
            if node is None:
                raise ValueError(f"it refers to {reference!r}, which is not there")
        return node


def read_document(raw: bytes) -> Document:
    """The document in `raw`. Raises `ValueError` with a sentence for what is no such document."""
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
    twice: list[str] = []
    try:
        text = raw.decode("utf-8-sig")
        if text.lstrip()[:1] == "{":
            tree = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, twice))
        else:
            tree = _read_yaml(text, twice)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"it is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(tree, Mapping):
        raise ValueError("it is no OpenAPI document")  # noqa: TRY004 - what was written is wrong
    version = tree.get("openapi")
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        named = tree.get("swagger", version)
        raise ValueError(
            f"it is OpenAPI {named!s:.20}; what is read is 3.0 and 3.1, so convert it first"
            if named is not None
            else "it is no OpenAPI document: it has no member `openapi`"
        )
    notes = [
        Note("unread", name, "this member stands twice in one object; the first one counts")
        for name in twice
    ]
    return Document(tree, notes)


def _object(pairs: list[tuple[Any, Any]], twice: list[str]) -> dict[Any, Any]:
    """An object of its members; of one that stands twice the first counts, and is noted."""
    made = dict(pairs)
    if len(made) < len(pairs):
        made = {}
        for name, value in pairs:
            if name in made:
                twice.append(str(name))
            else:
                made[name] = value
    return made


def _read_yaml(text: str, twice: list[str]) -> Any:
    class Reader(_BASE):  # type: ignore[misc,valid-type]  # chosen at import
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            del deep
            pairs = [
                (_name(self.construct_object(key, True)), self.construct_object(value, True))
                for key, value in node.value
            ]
            made = _object([pair for pair in pairs if pair[0] != _MERGE], twice)
            for name, merged in pairs:
                if name == _MERGE:
                    for each in merged if isinstance(merged, list) else [merged]:
                        made = {**each, **made} if isinstance(each, dict) else made
            return made

    return yaml.load(text, Reader)  # noqa: S506 - it constructs texts, lists and dicts alone


_BASE: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _name(key: Any) -> Any:
    return key if isinstance(key, str) else repr(key)
