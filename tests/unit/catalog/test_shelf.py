"""The shelf: every version by its number and its hash, in one spelling each."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785
from tests.support.published import GATE, Publisher, authored

from passgate.catalog import NO_SHELF, NO_VERSIONS, Shelf, fill_shelf
from passgate.core.catalog import compile_catalog


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    publisher = Publisher(tmp_path)
    publisher.publish(search=5)
    publisher.publish(search=8)
    versions = publisher.store.read(publisher.key.public_key)
    return fill_shelf(versions, authored(search=1), b"", GATE, publisher.key)


def test_versions_are_found_by_number_and_by_hash(shelf: Shelf) -> None:
    """Both give the same bytes; the newest is in force."""
    first, second = shelf.find("1"), shelf.find("2")
    assert first is not None
    assert second is not None
    assert shelf.in_force is second
    assert shelf.find(first.content_hash) is first
    assert shelf.find(first.content_hash.replace(":", "%3A")) is first
    assert shelf.find(first.content_hash.replace(":", "%3a")) is first
    assert json.loads(first.body)["version"] == 1


@pytest.mark.parametrize(
    "name",
    ["", "0", "3", "01", "+1", "1 ", " 1", "1.0", "1/", "\u0661", "sha256:", "9" * 5000, "1.json"],
)
def test_no_other_spelling_is_a_version(shelf: Shelf, name: str) -> None:
    """What looks like a number or a hash is not one."""
    assert shelf.find(name) is None


def test_no_other_spelling_is_a_hash(shelf: Shelf) -> None:
    """Neither in capitals nor without its algorithm."""
    assert shelf.in_force is not None
    name = shelf.in_force.content_hash
    for other in (name.upper(), name[7:], name[:-1], name + "0", name.replace(":", "%3A%3A")):
        assert shelf.find(other) is None


def test_a_catalog_that_is_not_published_is_signed_as_version_0(tmp_path: Path) -> None:
    """Its hash is that of the document as authored; it may change, which the shelf tells."""
    publisher = Publisher(tmp_path)
    document = {"permissions": [{"key": "api:read"}]}
    catalog, canonical = compile_catalog(document)
    shelf = fill_shelf(NO_VERSIONS, catalog, canonical, GATE, publisher.key)
    signed = shelf.find("0")
    assert signed is not None
    assert signed is shelf.in_force
    assert signed is shelf.find(catalog.content_hash)
    assert not signed.published
    body = json.loads(signed.body)
    assert body["catalog_snapshot"] == document
    assert (body["version"], body["published_at"], body["changes"]) == (0, None, [])
    assert body["content_hash"] == f"sha256:{sha256(rfc8785.dumps(document)).hexdigest()}"


def test_without_a_catalog_nothing_is_on_it(tmp_path: Path) -> None:
    """No version, not even an empty one."""
    assert fill_shelf(NO_VERSIONS, None, b"", GATE, Publisher(tmp_path).key) is NO_SHELF
