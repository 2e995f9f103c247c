"""deploy/compose.yaml: only the gate is reachable, and its configuration loads as shipped."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from passgate import __version__
from passgate.config import LoadedConfig, load_config
from passgate.core.jwks import parse_jwks
from passgate.core.revocation import read_revocation_list

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.fixture
def gate(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["gate"]
    return service


@pytest.fixture
def api(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["api"]
    return service


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    """From a copy, as /etc/passgate in the container is: without what lies beside it here."""
    shutil.copytree(DEPLOY / "gate", tmp_path / "passgate")
    return load_config(tmp_path / "passgate" / "gate.yaml", {})


def test_the_api_can_be_reached_by_the_gate_alone(
    compose: dict[str, Any], gate: dict[str, Any], api: dict[str, Any]
) -> None:
    """It publishes no port, and its only network is internal and shared with nobody else."""
    assert {"ports", "expose", "network_mode", "links"} & api.keys() == set()
    assert api["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert sorted(gate["networks"]) == ["inside", "outside"]
    assert set(compose["services"]) == {"gate", "api"}


def test_the_gate_publishes_its_one_port_on_loopback(
    gate: dict[str, Any], loaded: LoadedConfig
) -> None:
    """Not the admin port; and whoever opens it to the world does so knowingly."""
    assert loaded.config.listen.address.host == "0.0.0.0"
    assert gate["ports"] == [f"127.0.0.1:8080:{loaded.config.listen.address.port}"]
    assert loaded.config.admin.address.host == "127.0.0.1"


def test_the_gate_leads_to_the_api(api: dict[str, Any], loaded: LoadedConfig) -> None:
    """By its service's name, at the port where it listens."""
    (upstream,) = loaded.config.upstream.urls
    assert (upstream.scheme, upstream.host) == ("http", "api")
    assert str(upstream.port) in api["command"]


def test_both_are_confined(gate: dict[str, Any], api: dict[str, Any]) -> None:
    """Read-only, without capabilities, without a way to get more, and without a scratch place."""
    for service in (gate, api):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"tmpfs", "privileged", "cap_add", "pid", "ipc"} & service.keys() == set()


def test_only_the_data_directory_can_be_written(
    compose: dict[str, Any], gate: dict[str, Any], loaded: LoadedConfig
) -> None:
    """A named volume, where the configuration says; the configuration itself is read-only."""
    assert gate["volumes"] == [
        "./gate:/etc/passgate:ro",
        f"data:{loaded.config.gate.data_dir}",
    ]
    assert compose["volumes"] == {"data": {}}
    assert "user" not in gate  # the image's own, which is not root


def test_the_configuration_loads_without_a_warning(loaded: LoadedConfig) -> None:
    """As shipped, with the files that are shipped beside it."""
    assert loaded.warnings == ()
    assert loaded.config.gate.profile == "L2"


def test_nobody_is_trusted_as_shipped() -> None:
    """An empty key set, an empty list that never expires, and nothing else to leak."""
    trust = DEPLOY / "gate" / "trust"
    assert {path.name for path in trust.iterdir()} == {"jwks.json", "revocations"}
    assert parse_jwks((trust / "jwks.json").read_bytes()) == {}
    raw = (trust / "revocations").read_bytes()
    assert read_revocation_list(raw, "any", {}, now=0, plain_allowed=True).expires_at is None


def test_it_is_given_time_to_drain(gate: dict[str, Any], loaded: LoadedConfig) -> None:
    """Compose waits longer than the gate does."""
    seconds = int(gate["stop_grace_period"].removesuffix("s"))
    assert seconds > loaded.config.limits.drain_timeout_s


def test_the_image_is_built_here_and_is_this_version(gate: dict[str, Any]) -> None:
    """The context is the project, where the Dockerfile is."""
    assert gate["image"] == f"passgate:{__version__}"
    assert (DEPLOY / gate["build"]["context"] / "Dockerfile").is_file()
