"""Publishing: from a catalog as authored to the next version, if it says anything new."""

import time
from dataclasses import dataclass

from passgate.catalog.changes import Change, changes_between
from passgate.catalog.snapshot import Published, Signer, write_snapshot
from passgate.catalog.store import CatalogStore, Versions
from passgate.core.catalog import Catalog
from passgate.errors import DataError

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Publication:
    """What came of publishing: the newest version, and whether this made it."""

    published: Published
    made: bool


def differences(versions: Versions, authored: Catalog) -> list[Change]:
    """What publishing `authored` would change: everything is new where nothing is published."""
    newest = versions.newest
    return changes_between({} if newest is None else newest.catalog.entries, authored.entries)


def publish(
    store: CatalogStore, authored: Catalog, gate_id: str, signer: Signer, now: float
) -> Publication:
    """Makes the next version of `authored`, at Unix time `now`; of what is unchanged it makes none.

    Raises `DataError` for a damaged store, and where others publish all the time.
    """
    versions = store.read(signer.public_key)
    for _ in range(_ATTEMPTS):
        newest = versions.newest
        changes = differences(versions, authored)
        if newest is not None and not changes:
            return Publication(newest, made=False)
        version = 1 if newest is None else newest.version + 1
        body = write_snapshot(
            authored.entries,
            changes,
            gate_id=gate_id,
            version=version,
            published_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            signer=signer,
        )
        added = store.add(version, body, signer)
        if added is not None:
            return Publication(added, made=True)
        # Somebody was faster: what they published is what this differs from now.
        versions = store.read(signer.public_key, versions)
    raise DataError(f"others publish to {store.directory} at the same time; try again")
