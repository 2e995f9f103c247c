"""PUBLISHES what the gate offers: versions that never change, signed, and kept for who agreed."""

from passgate.catalog.changes import Change, changes_between
from passgate.catalog.passed_on import with_passed_on
from passgate.catalog.publishing import Publication, differences, publish
from passgate.catalog.shelf import NO_SHELF, Shelf, Signed, fill_shelf
from passgate.catalog.snapshot import Published, Signer
from passgate.catalog.store import NO_VERSIONS, CatalogStore, Versions

__all__ = [
    "NO_SHELF",
    "NO_VERSIONS",
    "CatalogStore",
    "Change",
    "Publication",
    "Published",
    "Shelf",
    "Signed",
    "Signer",
    "Versions",
    "changes_between",
    "differences",
    "fill_shelf",
    "publish",
    "with_passed_on",
]
