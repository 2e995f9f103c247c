"""Catalogs as tests publish them."""

from pathlib import Path
from typing import Any

from passgate.catalog import CatalogStore, Published, publish
from passgate.core.catalog import Catalog, parse_catalog
from passgate.log import GateKey, open_gate_key

GATE = "gate_test"
PRICE = "core:pricing:per_call_cents"


def authored(**entries: Any) -> Catalog:
    """A catalog by the parts of its keys after `api:`; a number is a price, else constraints."""
    return parse_catalog({"permissions": [entry(name, says) for name, says in entries.items()]})


def entry(name: str, says: Any) -> dict[str, Any]:
    """One entry: by a price, by its constraints, or (None) by its key alone."""
    if says is None:
        return {"key": f"api:{name}"}
    constraints = {PRICE: says} if isinstance(says, int) else says
    return {"key": f"api:{name}", "constraints": constraints}


class Publisher:
    """A gate's key in `data_dir`, and its store there or in `directory`."""

    def __init__(self, data_dir: Path, directory: Path | None = None) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.key: GateKey = open_gate_key(data_dir)
        self.store = CatalogStore(directory or data_dir / "catalog", GATE)

    def publish(self, catalog: Catalog | None = None, **entries: Any) -> Published:
        """The next version."""
        catalog = catalog or authored(**entries)
        made = publish(self.store, catalog, GATE, self.key, 1_800_000_000.0)
        assert made.made
        return made.published


def pin_of(published: Published) -> dict[str, Any]:
    """The claims of a passport that is pinned to a version."""
    catalog = published.catalog
    return {"catalogs": {GATE: {"version": catalog.version, "content_hash": catalog.content_hash}}}
