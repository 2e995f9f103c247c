"""Published versions: what is on disk is what was signed, or the gate does not start from it."""

import base64
import json
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from tests.support.published import GATE, Publisher, authored

from passgate.catalog import NO_VERSIONS, CatalogStore, Publication, publish
from passgate.core.catalog import CatalogPin
from passgate.core.ed25519 import signature_fits
from passgate.core.jwks import thumbprint
from passgate.errors import DataError


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


def test_a_stranger_can_check_a_version(publisher: Publisher) -> None:
    """RFC 8785 bytes, SHA-256, Ed25519 over the 32 hash bytes: nothing else is needed."""
    published = publisher.publish(search=5)
    document = json.loads(published.body)
    snapshot = document["catalog_snapshot"]
    digest = sha256(rfc8785.dumps(snapshot)).digest()
    assert document["content_hash"] == f"sha256:{digest.hex()}" == published.catalog.content_hash
    signature = base64.b64decode(document["signature"])
    assert signature_fits(signature, digest, publisher.key.public_key)
    assert document["signing_key_id"] == thumbprint(publisher.key.public_key)
    assert rfc8785.dumps(document) + b"\n" == published.body
    assert snapshot["permissions"] == [
        {"key": "api:search", "constraints": {"core:pricing:per_call_cents": 5}}
    ]
    for name in ("version", "gate_id", "published_at", "changes", "has_breaking_changes"):
        assert snapshot[name] == document[name]
    assert (document["version"], document["gate_id"]) == (1, GATE)
    assert document["published_at"] == "2027-01-15T08:00:00Z"


def test_versions_are_counted_and_kept(publisher: Publisher) -> None:
    """Each is the next number; older ones are there as they were, and share what did not change."""
    first = publisher.publish(search=5, read=None)
    second = publisher.publish(search=8, read=None)
    versions = publisher.store.read(publisher.key.public_key)
    assert [each.body for each in versions.published] == [first.body, second.body]
    assert versions.newest is not None
    assert versions.newest.has_breaking_changes
    assert not first.has_breaking_changes
    old, new = (each.catalog.entries for each in versions.published)
    assert old["api:read"] is new["api:read"]
    assert (old["api:search"].terms.call_cents, new["api:search"].terms.call_cents) == (5, 8)


def test_the_newest_is_in_force_whatever_the_file_says(publisher: Publisher) -> None:
    """Changes bind when published; until then nothing of the file counts."""
    first, second = publisher.publish(search=5), publisher.publish(search=8)
    versions = publisher.store.read(publisher.key.public_key)
    catalog = versions.in_force(authored(search=1, other=None), 2)
    assert catalog is not None
    assert (catalog.version, catalog.content_hash) == (2, second.catalog.content_hash)
    assert (list(catalog.entries), catalog.min_version) == (["api:search"], 2)
    assert versions.in_force(None) is not None
    pin = CatalogPin(1, first.catalog.content_hash)
    agreed = catalog.pinned(pin)
    assert agreed is not None
    assert agreed.entries["api:search"].terms.call_cents == 5


def test_without_a_version_the_file_is_version_0() -> None:
    """And without either there is no catalog."""
    catalog = NO_VERSIONS.in_force(authored(search=1), 3)
    assert catalog is not None
    assert (catalog.version, catalog.min_version) == (0, 3)
    assert NO_VERSIONS.in_force(None) is None


def test_what_is_unchanged_is_not_published(publisher: Publisher) -> None:
    """The same entries, in any order, are the version that there is."""
    first = publisher.publish(search=5, read=None)
    turned = authored(read=None, search=5)
    again = publish(publisher.store, turned, GATE, publisher.key, 1_900_000_000.0)
    assert again == Publication(first, made=False)
    assert publisher.store.count() == 1


def test_an_empty_catalog_can_be_published(publisher: Publisher) -> None:
    """A gate that offers nothing is not a gate without a catalog."""
    assert publisher.publish().catalog.entries == {}
    assert publisher.store.count() == 1


def test_a_version_is_never_written_over(publisher: Publisher) -> None:
    """Who comes second with a number is told so; the file stays as it is."""
    first = publisher.publish(search=5)
    publisher.store.file_of(1).write_bytes(b"theirs")
    assert publisher.store.add(1, first.body, publisher.key) is None
    assert publisher.store.file_of(1).read_bytes() == b"theirs"
    assert [each.name for each in publisher.store.directory.iterdir()] == ["1.json"]


def test_publishers_at_the_same_time_make_one_version_each(publisher: Publisher) -> None:
    """Whoever loses the number takes the next one, with the changes against the winner's."""
    start, made = threading.Barrier(4), []

    def work(number: int) -> None:
        start.wait()
        catalog = authored(**{f"only{number}": number})
        made.append(publish(publisher.store, catalog, GATE, publisher.key, 1.8e9).published)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.version for each in made) == [1, 2, 3, 4]
    versions = publisher.store.read(publisher.key.public_key)
    for before, after in zip(versions.published, versions.published[1:], strict=False):
        (removed,) = [c for c in after.changes if c["type"] == "permission_removed"]
        assert removed["permission_key"] in before.catalog.entries


def test_who_always_loses_gives_up(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """No publisher tries for ever."""
    monkeypatch.setattr(CatalogStore, "add", lambda *_: None)
    with pytest.raises(DataError, match="at the same time"):
        publisher.publish(search=1)


def _again(change: Any) -> Any:
    """A damage that writes the document anew, with a change in it."""

    def damage(body: bytes) -> bytes:
        document = json.loads(body)
        change(document)
        return rfc8785.dumps(document) + b"\n"

    return damage


def _set(**members: Any) -> Any:
    return _again(lambda document: document.update(members))


def _price(document: dict[str, Any]) -> None:
    (entry,) = document["catalog_snapshot"]["permissions"]
    entry["constraints"]["core:pricing:per_call_cents"] = 1


def _resigned_hash(document: dict[str, Any]) -> None:
    _price(document)
    digest = sha256(rfc8785.dumps(document["catalog_snapshot"])).hexdigest()
    document["content_hash"] = f"sha256:{digest}"


DAMAGE: dict[str, tuple[Any, str]] = {
    "empty": (lambda body: b"", "no published catalog"),
    "cut off": (lambda body: body[:-20], "no published catalog"),
    "no object": (lambda body: b"[]", "no published catalog"),
    "another member": (_set(more=1), "no published catalog"),
    "another price": (_again(_price), "hash"),
    "another price with its hash": (_again(_resigned_hash), "not as this gate signed it"),
    "another hash": (_set(content_hash="sha256:" + "0" * 64), "hash"),
    "another signature": (
        _set(signature=base64.b64encode(bytes(64)).decode()),
        "not as this gate signed it",
    ),
    "no signature": (_set(signature=""), "not as this gate signed it"),
    "a signature that is none": (_set(signature="*"), "no published catalog"),
    "another key": (_set(signing_key_id="x"), "signed by the key x"),
    "another number around it": (_set(version=2), "not as this gate signed it"),
    "another gate around it": (_set(gate_id="gate_b"), "not as this gate signed it"),
    "other changes around it": (_set(changes=[]), "not as this gate signed it"),
    "another time around it": (_set(published_at="1999"), "not as this gate signed it"),
    "breaking around it": (_set(has_breaking_changes=True), "not as this gate signed it"),
    "white space": (lambda body: body.replace(b",", b", "), "hash"),
    "a line more": (lambda body: body + b"\n", "not as this gate signed it"),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_version_is_refused(publisher: Publisher, damage: Any, sentence: str) -> None:
    """Whatever was changed, inside or around what is signed; the file is named."""
    publisher.publish(search=5)
    file = publisher.store.file_of(1)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=sentence) as caught:
        publisher.store.read(publisher.key.public_key)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("position", range(0, 900, 37))
def test_a_flipped_bit_is_found(publisher: Publisher, position: int) -> None:
    """Anywhere in the file."""
    publisher.publish(search=5)
    file = publisher.store.file_of(1)
    body = bytearray(file.read_bytes())
    body[position % len(body)] ^= 1
    file.write_bytes(body)
    with pytest.raises(DataError):
        publisher.store.read(publisher.key.public_key)


def test_versions_cannot_change_places(publisher: Publisher) -> None:
    """An old version under a new number would bring old terms back."""
    publisher.publish(search=5)
    publisher.publish(search=8)
    first, second = publisher.store.file_of(1), publisher.store.file_of(2)
    second.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match="version 1 of gate_test, not version 2"):
        publisher.store.read(publisher.key.public_key)


def test_another_gates_versions_are_not_taken(tmp_path: Path) -> None:
    """Neither under another id, nor under another key, nor without a key."""
    publisher = Publisher(tmp_path)
    publisher.publish(search=5)
    with pytest.raises(DataError, match="version 1 of gate_test"):
        CatalogStore(publisher.store.directory, "gate_b").read(publisher.key.public_key)
    other = Publisher(tmp_path / "other").key.public_key
    for key in (other, None):
        with pytest.raises(DataError, match=r"not gate\.key"):
            publisher.store.read(key)


def test_a_version_that_is_missing_is_loud(publisher: Publisher) -> None:
    """A gap would make another version the one of a pin."""
    for price in (1, 2, 3):
        publisher.publish(search=price)
    publisher.store.file_of(2).unlink()
    with pytest.raises(DataError, match=r"2\.json is missing"):
        publisher.store.read(publisher.key.public_key)


def test_the_newest_cannot_be_taken_back_while_the_gate_runs(publisher: Publisher) -> None:
    """Versions that are known stay; nothing of them is read again."""
    publisher.publish(search=5)
    publisher.publish(search=8)
    known = publisher.store.read(publisher.key.public_key)
    publisher.store.file_of(1).write_bytes(b"not read again")
    assert publisher.store.read(publisher.key.public_key, known) == known
    publisher.store.file_of(2).unlink()
    with pytest.raises(DataError, match=r"2\.json is gone"):
        publisher.store.read(publisher.key.public_key, known)


@pytest.mark.parametrize("name", ["0.json", "01.json", "2.json~", "x", "1.JSON", "-1.json"])
def test_what_is_no_version_is_not_passed_over(publisher: Publisher, name: str) -> None:
    """Somebody meant something by it."""
    publisher.publish(search=5)
    (publisher.store.directory / name).write_bytes(b"")
    with pytest.raises(DataError, match="no version of the catalog"):
        publisher.store.count()


def test_what_a_crash_left_behind_is_passed_over(publisher: Publisher) -> None:
    """A file that was never linked is no version."""
    publisher.publish(search=5)
    (publisher.store.directory / ".2.4711.new").write_bytes(b"half")
    assert publisher.store.count() == 1
    assert publisher.publish(search=6).version == 2


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    """Not taken for a gate that never published."""
    publisher = Publisher(tmp_path)
    publisher.store.directory.write_text("")
    with pytest.raises(DataError, match="cannot be read"):
        publisher.store.read(publisher.key.public_key)
    publisher.store.directory.unlink()
    publisher.publish(search=5)
    publisher.store.file_of(1).unlink()
    publisher.store.file_of(1).mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        publisher.store.read(publisher.key.public_key)


def test_a_version_that_cannot_be_written_is_told(publisher: Publisher) -> None:
    """And nothing is half there."""
    publisher.store.directory.write_text("")
    with pytest.raises(DataError, match="cannot be"):
        publisher.publish(search=5)


def test_a_body_that_could_not_be_read_back_is_not_written(publisher: Publisher) -> None:
    """No version is made that the next start would refuse."""
    body = publisher.publish(search=5).body
    with pytest.raises(ValueError, match="version 1 of gate_test, not version 2"):
        publisher.store.add(2, body, publisher.key)
    assert publisher.store.count() == 1
