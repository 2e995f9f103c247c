"""A projected volume as the kubelet makes it: files behind links that are swapped in one step."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def project(
    pod: Mapping[str, Any],
    volume: str,
    objects: Mapping[tuple[str, str], Mapping[str, Any]],
    directory: Path,
) -> None:
    """Fill `directory` with what `volume` of `pod` shows of `objects` (by kind and name).

    The second time what is there is replaced, as the kubelet does after an object has changed: a
    new directory, and one link `..data` that leads to it. Raises `KeyError` for an object or a key
    that is not there, for which the kubelet would not start the pod.
    """
    number = len(list(directory.glob("..2*")))
    current = directory / f"..2026_{number}"
    current.mkdir()
    for path, content in _contents(pod, volume, objects).items():
        file = current / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    swap = directory / "..data_tmp"
    swap.symlink_to(current.name)
    swap.replace(directory / "..data")
    for top in current.iterdir():
        link = directory / top.name
        if not link.is_symlink():
            link.symlink_to(f"..data/{top.name}")


def _contents(
    pod: Mapping[str, Any], volume: str, objects: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, bytes]:
    (found,) = (entry for entry in pod["volumes"] if entry["name"] == volume)
    contents: dict[str, bytes] = {}
    for source in found["projected"]["sources"]:
        if "configMap" in source:
            wanted = source["configMap"]
            data = objects["ConfigMap", wanted["name"]]["data"]
            files = {name: text.encode() for name, text in data.items()}
        else:
            wanted = source["secret"]
            data = objects["Secret", wanted["name"]]["data"]
            files = {name: base64.b64decode(text) for name, text in data.items()}
        items = wanted.get("items", [{"key": name, "path": name} for name in files])
        contents |= {item["path"]: files[item["key"]] for item in items}
    return contents
