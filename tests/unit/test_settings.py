"""From the configuration to what each room is told: files count by what they hold."""

import json
from pathlib import Path

import pytest
from tests.support.certificates import Authority

from passgate.config import Config, load_config
from passgate.settings import proxy_settings, watched_files
from passgate.testing import TestIssuer

CONFIG = """
listen:
  trusted_proxies: [10.0.0.0/8, unix]
  proxy_protocol: v2
  proxy_protocol_from: [192.0.2.1]
  tls: {cert: gate.pem, key: gate.key, client_ca: ca.pem, client_auth: optional}
upstream:
  url: https://api.test
  tls: {ca: ca.pem, cert: client.pem, key: client.key}
issuers:
  - {id: iss_lab, keys: "file:jwks.json", revocations: "file:revocations.jwt"}
catalog: {file: catalog.yaml}
limits: {connections_per_client: 7}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    authority, issuer = Authority(tmp_path), TestIssuer()
    authority.issue("gate")
    authority.issue("client")
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks))
    (tmp_path / "revocations.jwt").write_text("not read here")
    (tmp_path / "catalog.yaml").write_text("permissions: []\n")
    (tmp_path / "gate.yaml").write_text(CONFIG)
    return load_config(tmp_path / "gate.yaml", {}).config


def test_the_data_plane_is_told_all_about_its_listener(config: Config) -> None:
    settings = proxy_settings(config)
    assert settings.listen_tls is not None
    assert settings.listen_tls.client_optional
    assert settings.limits.per_client == 7
    assert settings.proxy_protocol
    assert "192.0.2.1" in settings.proxy_protocol_from
    assert "unix" not in settings.proxy_protocol_from
    assert "unix" in settings.trusted_proxies
    assert "10.1.1.1" in settings.trusted_proxies


def test_every_file_that_is_named_is_watched(config: Config, tmp_path: Path) -> None:
    """But those of issuers, which the keeper follows."""
    names = {file.relative_to(tmp_path).as_posix() for file in watched_files(config)}
    tls = {"ca.pem", "gate.pem", "gate.key", "client.pem", "client.key"}
    assert names == {"gate.yaml", "catalog.yaml"} | tls


@pytest.mark.parametrize("name", ["gate.pem", "gate.key", "ca.pem", "client.pem", "client.key"])
def test_a_changed_file_makes_other_settings(config: Config, tmp_path: Path, name: str) -> None:
    """The side that reads it is told anew, and only that one."""
    before = proxy_settings(config)
    same = proxy_settings(config)
    assert (before.listen_tls, before.upstream) == (same.listen_tls, same.upstream)
    other = (tmp_path / name).with_suffix(".new")
    other.write_bytes((tmp_path / name).read_bytes())
    other.replace(tmp_path / name)
    after = proxy_settings(config)
    assert (after.listen_tls != before.listen_tls) is not name.startswith("client")
    assert (after.upstream != before.upstream) is not name.startswith("gate")
