"""Renders a kustomization with exactly the features that ours uses, and refuses every other."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_KEYS = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "labels",
}
_CLUSTER_WIDE = {"Namespace"}


def render(directory: Path) -> list[dict[str, Any]]:
    """The documents that `kubectl apply -k directory` would send, in the order of its resources.

    Raises `ValueError` for what this renderer does not know, so that a test cannot pass on less
    than what the cluster would get.
    """
    wanted = yaml.safe_load((directory / "kustomization.yaml").read_text())
    _only(wanted, _KEYS, "kustomization.yaml")
    if wanted["generatorOptions"] != {"disableNameSuffixHash": True}:
        raise ValueError("generatorOptions: only disableNameSuffixHash: true is known here")
    documents: list[dict[str, Any]] = []
    for name in wanted["resources"]:
        documents += _documents(_inside(directory, name))
    documents += [_config_map(directory, entry) for entry in wanted["configMapGenerator"]]
    documents += [_secret(directory, entry) for entry in wanted["secretGenerator"]]
    for document in documents:
        metadata = document["metadata"]
        if document["kind"] not in _CLUSTER_WIDE:
            metadata["namespace"] = wanted["namespace"]
        for label in wanted["labels"]:
            _only(label, {"includeSelectors", "pairs"}, "labels")
            if label["includeSelectors"]:
                raise ValueError("labels: only includeSelectors: false is known here")
            metadata["labels"] = metadata.get("labels", {}) | label["pairs"]
    return documents


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    return (document for document in yaml.safe_load_all(path.read_text()) if document)


def _config_map(directory: Path, entry: dict[str, Any]) -> dict[str, Any]:
    data = {name: content.decode() for name, content in _files(directory, entry).items()}
    return _generated("ConfigMap", entry["name"], data)


def _secret(directory: Path, entry: dict[str, Any]) -> dict[str, Any]:
    data = {
        name: base64.b64encode(content).decode()
        for name, content in _files(directory, entry).items()
    }
    return _generated("Secret", entry["name"], data) | {"type": "Opaque"}


def _generated(kind: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}


def _files(directory: Path, entry: dict[str, Any]) -> dict[str, bytes]:
    _only(entry, {"name", "files"}, f"generator of {entry['name']}")
    found = {}
    for source in entry["files"]:
        name, separator, path = source.partition("=")
        file = _inside(directory, path if separator else name)
        found[name if separator else file.name] = file.read_bytes()
    return found


def _inside(directory: Path, name: str) -> Path:
    """As kustomize does: no file from outside of the kustomization."""
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise ValueError(f"{name} lies outside of {directory}")
    return path


def _only(found: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := found.keys() - known:
        raise ValueError(f"{where}: {sorted(unknown)} are not known here")
