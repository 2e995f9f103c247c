"""What a reload may change, and what the hash of a policy stands for."""

from pathlib import Path
from typing import Any

import pytest

from passgate.config import build_policy, load_config, needs_restart

ENVIRON = {"TOKEN": "a token of some length"}


@pytest.mark.parametrize(
    ("over", "keys"),
    [
        ({}, []),
        ({"gate": {"name": "Other", "audience": ["x"]}}, []),
        ({"constraints": {"core:rate:max_per_minute": 5}}, []),
        ({"actions": {"routes": [{"match": "GET /", "action": "a"}]}}, []),
        ({"issuers": []}, None),
        ({"gate": {"id": "other"}}, ["gate.id"]),
        ({"gate": {"data_dir": "other"}}, ["gate.data_dir"]),
        ({"listen": {"address": "127.0.0.1:8081"}}, ["listen.address"]),
        (
            {"listen": {"tls": {"cert": "cert.pem", "key": "key.pem"}}},
            ["listen.tls"],
        ),
        (
            {"listen": {"proxy_protocol": "v2", "proxy_protocol_from": ["10.0.0.0/8"]}},
            ["listen.proxy_protocol"],
        ),
        ({"limits": {"connections_per_client": 5}}, []),
        ({"admin": {"address": "127.0.0.1:9902"}}, ["admin.address"]),
        ({"admin": {"token": "env:TOKEN"}}, ["admin.token"]),
        (
            {"admin": {"tokens": {"mia": {"secret": "env:TOKEN", "role": "viewer"}}}},
            ["admin.tokens"],
        ),
        (
            {"ledger": {"kind": "memory"}, "limits": {"headers": 5}},
            ["ledger.kind"],
        ),
        ({"audit": {"keep": {"age": "1d"}, "durability": "relaxed"}}, []),
        ({"upstream": {"url": "http://127.0.0.1:8001"}}, []),
        ({"audit": {"stdout": True}}, ["audit.stdout"]),
    ],
)
def test_keys_that_need_a_restart_are_named(load: Any, over: Any, keys: list[str] | None) -> None:
    """Exactly those that differ and cannot change at run time."""
    old = load({}, ENVIRON).config
    if keys is None:
        over = {"issuers": [], "anonymous": {"enabled": True}}
        keys = []
    assert needs_restart(old, load(over, ENVIRON).config) == keys


def test_the_files_of_tls_change_without_a_restart(load: Any, place: Path) -> None:
    """Only whether there is TLS at all is decided at the start."""
    for name in ("cert", "key"):
        (place / f"other-{name}.pem").write_bytes((place / f"{name}.pem").read_bytes())
    tls = {"cert": "cert.pem", "key": "key.pem"}
    other = {"cert": "other-cert.pem", "key": "other-key.pem", "client_ca": "cert.pem"}
    old = load({"listen": {"tls": tls}}, ENVIRON).config
    new = load({"listen": {"tls": {**other, "client_auth": "optional"}}}, ENVIRON).config
    assert needs_restart(old, new) == []
    assert needs_restart(old, load({}, ENVIRON).config) == ["listen.tls"]


def test_a_secret_that_changed_needs_a_restart(load: Any) -> None:
    """The reference is the same and the token is not: the old one must not go on quietly."""
    over = {"admin": {"token": "env:TOKEN"}}
    old = load(over, ENVIRON).config
    new = load(over, {"TOKEN": "another token of some length"}).config
    assert old.effective == new.effective
    assert needs_restart(old, new) == ["admin.token"]


def test_the_hash_is_of_what_counts(load: Any, place: Path) -> None:
    """Notation, comments and secrets do not change it; any value that counts does."""
    head = "upstream: {url: 'http://h'}\nissuers: [{id: a, keys: 'file:jwks.json'}]\n"
    text = head + "gate: {profile: L1}\npassport: {clock_skew: 60s}\nadmin: {token: env:TOKEN}\n"
    same = "# words\n" + text.replace("60s", "1m") + "limits: {headers: 100}\n"
    first = build_policy(load(text, ENVIRON).config).hash
    assert len(bytes.fromhex(first)) == 32
    assert build_policy(load(same, {"TOKEN": "another token of some length"}).config).hash == first
    for other in ("61s", "0s"):
        assert build_policy(load(text.replace("60s", other), ENVIRON).config).hash != first


def test_relative_paths_start_at_the_file(
    load: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the gate is started, the same files are meant."""
    config = load({"catalog": {"file": "catalog.yaml"}}).config
    monkeypatch.chdir(place)
    again = load_config(Path("gate.yaml"), {}).config
    for loaded in (config, again):
        assert loaded.gate.data_dir == place / "passgate-data"
        assert loaded.issuers[0].keys.location == str(place / "jwks.json")
        assert loaded.catalog.file == place / "catalog.yaml"
