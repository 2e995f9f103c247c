"""The file of kills: what was saved is there again, and nothing else is taken for it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from passgate.core.kills import NO_KILLS, Kill
from passgate.errors import DataError
from passgate.sync.kill_store import KillStore, _head

ORDERS = (
    Kill("kill_1", "agent", "ag/ent é", "iss_lab", "sold out", "ann", 1_800_000_000),
    Kill("kill_2", "all", "", "", "", "bob", 1_800_000_001),
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """All of it, in its order; only the gate's own user may read it."""
    store = KillStore(tmp_path / "kills")
    store.save(ORDERS)
    assert store.load().entries == ORDERS
    assert store.path.stat().st_mode & 0o777 == 0o600
    store.save(ORDERS[:1])
    assert store.load().entries == ORDERS[:1]


def test_where_nothing_was_saved_nothing_is_stopped(tmp_path: Path) -> None:
    assert KillStore(tmp_path / "kills").load() == NO_KILLS


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_a_flipped_bit_is_refused(tmp_path: Path, at: int) -> None:
    """Wherever it is: a kill that reads differently would stop something else."""
    store = KillStore(tmp_path / "kills")
    store.save(ORDERS)
    raw = bytearray(store.path.read_bytes())
    raw[at] ^= 1
    store.path.write_bytes(raw)
    with pytest.raises(DataError, match=r"kills:1: not what the gate wrote; restore it"):
        store.load()


@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"passgate-kills-1 \n{}"])
def test_what_the_gate_did_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file is no gate without kills: something took them away."""
    path = tmp_path / "kills"
    path.write_bytes(content)
    with pytest.raises(DataError):
        KillStore(path).load()


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_a_file_that_ends_early_is_refused(tmp_path: Path, cut: int) -> None:
    """However much of it is there."""
    store = KillStore(tmp_path / "kills")
    store.save(ORDERS)
    raw = store.path.read_bytes()
    store.path.write_bytes(raw[: min(cut, len(raw) - 1)])
    with pytest.raises(DataError):
        store.load()


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "all"},
        {**asdict(ORDERS[1]), "kind": "everything"},
        {**asdict(ORDERS[1]), "until": 1_800_000_000},
    ],
)
def test_a_kill_of_a_later_version_is_refused(tmp_path: Path, entry: dict[str, object]) -> None:
    """What this version does not understand it cannot enforce, so it does not start."""
    body = json.dumps({"kills": [entry]}).encode() + b"\n"
    path = tmp_path / "kills"
    path.write_bytes(_head(body) + b"\n" + body)
    with pytest.raises(DataError):
        KillStore(path).load()


def test_a_file_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "kills"
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        KillStore(path).load()
