"""Last good copies: kept whole, aged honestly, and never believed when damaged."""

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from passgate.core.instant import Instant
from passgate.errors import DataError
from passgate.sync.store import UNKNOWN_AGE_S, Copy, TrustStore

SAVED = Instant(1_800_000_000.0, 10_000.0)
COPY = Copy(
    "iss_lab",
    "revocations",
    "file:/etc/list",
    b'{"passport_ids": []}\n\x00 any bytes',
    'W/"1"',
    SAVED,
    1_799_999_999,
    ("kid", "00ff"),
)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def at(seconds: float) -> Instant:
    return Instant(SAVED.wall + seconds, SAVED.boot + seconds)


def test_what_is_saved_comes_back_the_same(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trust", "boot-1")
    store.save(COPY)
    assert store.load("iss_lab", "revocations", at(5)) == COPY


def test_nothing_saved_is_nothing_to_load(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trust", "boot-1")
    assert store.load("iss_lab", "keys", SAVED) is None
    store.save(COPY)
    assert store.load("iss_lab", "keys", SAVED) is None
    assert store.load("iss_lab2", "revocations", SAVED) is None


def test_issuers_whose_ids_read_alike_have_copies_of_their_own(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    for issuer in ("a/b", "a_b", "../a", "", "x" * 5000, "ä"):
        store.save(replace(COPY, issuer=issuer, body=issuer.encode()))
    for issuer in ("a/b", "a_b", "../a", "", "x" * 5000, "ä"):
        found = store.load(issuer, "revocations", SAVED)
        assert found is not None
        assert found.body == issuer.encode()
    assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path}


def test_copies_are_for_the_gate_alone(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trust", "boot-1")
    store.save(COPY)
    store.confirm("iss_lab", "revocations", digest(COPY.body), at(1))
    assert stat.S_IMODE((tmp_path / "trust").stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "trust").iterdir()} == {0o600}


def test_a_confirmation_makes_the_copy_younger(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(COPY)
    store.confirm("iss_lab", "revocations", digest(COPY.body), at(600))
    found = store.load("iss_lab", "revocations", at(700))
    assert found is not None
    assert at(700).age_of(found.read_at) == 100


def test_a_confirmation_of_another_body_counts_for_nothing(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(COPY)
    store.confirm("iss_lab", "revocations", digest(b"another"), at(600))
    found = store.load("iss_lab", "revocations", at(700))
    assert found is not None
    assert at(700).age_of(found.read_at) == 700


def test_an_older_confirmation_does_not_make_a_copy_older(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.confirm("iss_lab", "revocations", digest(COPY.body), at(-600))
    store.save(COPY)
    found = store.load("iss_lab", "revocations", at(1))
    assert found is not None
    assert found.read_at == SAVED


def test_after_a_reboot_age_is_what_the_wall_clock_says(tmp_path: Path) -> None:
    TrustStore(tmp_path, "boot-1").save(COPY)
    now = Instant(SAVED.wall + 500, 3.0)
    found = TrustStore(tmp_path, "boot-2").load("iss_lab", "revocations", now)
    assert found is not None
    assert now.age_of(found.read_at) == 500
    later = Instant(SAVED.wall - 9000, 103.0)  # the wall clock is set back while running
    assert later.age_of(found.read_at) == 600


def test_a_wall_clock_set_back_in_the_same_boot_makes_nothing_younger(tmp_path: Path) -> None:
    TrustStore(tmp_path, "boot-1").save(COPY)
    now = Instant(SAVED.wall - 9000, SAVED.boot + 500)
    found = TrustStore(tmp_path, "boot-1").load("iss_lab", "revocations", now)
    assert found is not None
    assert now.age_of(found.read_at) == 500


@pytest.mark.parametrize("boot_id", ["boot-2", ""])
def test_a_copy_from_the_future_is_older_than_anything_allows(tmp_path: Path, boot_id: str) -> None:
    TrustStore(tmp_path, boot_id and "boot-1").save(COPY)
    now = Instant(SAVED.wall - 1, 3.0)
    found = TrustStore(tmp_path, boot_id).load("iss_lab", "revocations", now)
    assert found is not None
    assert now.age_of(found.read_at) >= UNKNOWN_AGE_S
    assert now.age_of(found.read_at) < float("inf")


def test_boot_time_that_ran_backwards_belongs_to_another_boot(tmp_path: Path) -> None:
    """A machine image restored from a snapshot may keep its boot id."""
    TrustStore(tmp_path, "boot-1").save(COPY)
    now = Instant(SAVED.wall + 500, SAVED.boot - 5000)
    found = TrustStore(tmp_path, "boot-1").load("iss_lab", "revocations", now)
    assert found is not None
    assert now.age_of(found.read_at) == 500
    later = Instant(SAVED.wall - 9000, now.boot + 100)  # the wall clock is set back while running
    assert later.age_of(found.read_at) == 600


@pytest.mark.parametrize("kind", ["copy", "seen"])
def test_any_flipped_byte_refuses_and_names_the_file(tmp_path: Path, kind: str) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(COPY)
    store.confirm("iss_lab", "revocations", digest(COPY.body), at(1))
    (path,) = tmp_path.glob(f"*.{kind}")
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(DataError, match=path.name):
            store.load("iss_lab", "revocations", at(2))


@pytest.mark.parametrize("length", [0, 1, 20, 90, 150])
def test_a_copy_cut_short_refuses(tmp_path: Path, length: int) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(COPY)
    (path,) = tmp_path.glob("*.copy")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="restore it from a backup, or remove it"):
        store.load("iss_lab", "revocations", at(1))


@pytest.mark.parametrize(
    "meta", ["[]", "null", "{", '{"issuer": "iss_lab", "kind": "revocations"}']
)
def test_a_copy_with_a_sound_digest_and_other_content_refuses(tmp_path: Path, meta: str) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(COPY)
    (path,) = tmp_path.glob("*.copy")
    content = meta.encode() + b"\n"
    path.write_bytes(f"passgate-trust-1 {digest(content)}\n".encode() + content)
    with pytest.raises(DataError, match=path.name):
        store.load("iss_lab", "revocations", at(1))


def test_another_issuers_copy_under_this_name_refuses(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.save(replace(COPY, issuer="iss_evil"))
    (path,) = tmp_path.glob("*.copy")
    path.rename(store.path_of("iss_lab", "revocations"))
    with pytest.raises(DataError, match="not what the gate wrote"):
        store.load("iss_lab", "revocations", at(1))


def test_a_copy_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.path_of("iss_lab", "keys").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        store.load("iss_lab", "keys", SAVED)


def test_no_half_written_file_stays_behind(tmp_path: Path) -> None:
    store = TrustStore(tmp_path, "boot-1")
    store.path_of("iss_lab", "revocations").mkdir(parents=True)  # so that the rename fails
    with pytest.raises(OSError, match="directory"):
        store.save(COPY)
    assert [path.name for path in tmp_path.iterdir()] == [
        store.path_of("iss_lab", "revocations").name
    ]


def test_this_machine_has_a_boot_id_or_does_without(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    store.save(COPY)
    assert store.load("iss_lab", "revocations", SAVED) == COPY
