"""deploy/kubernetes: what `kubectl apply -k` would send is valid, closed, and fits the gate."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.kustomize import render
from tests.support.projected import project

from passgate import __version__
from passgate.config import LoadedConfig, load_config
from passgate.core.jwks import parse_jwks
from passgate.core.revocation import read_revocation_list

PROJECT = Path(__file__).parents[3]
KUBERNETES = PROJECT / "deploy" / "kubernetes"
KUBECTL = shutil.which("kubectl")
VERSIONS = ("1.29", "1.32", kubernetes_validate.latest_version().removesuffix(".0"))
"""The oldest with native sidecars switched on, one between, and the newest that is known."""


def rendered(kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        document
        for document in render(KUBERNETES)
        if (document["kind"], document["metadata"]["name"]) == (kind, name)
    )
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = rendered("StatefulSet", "api")["spec"]["template"]["spec"]
    return spec


def sidecar() -> dict[str, Any]:
    (gate,) = pod()["initContainers"]
    assert isinstance(gate, dict)
    return gate


def app() -> dict[str, Any]:
    (api,) = pod()["containers"]
    assert isinstance(api, dict)
    return api


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What the sidecar sees as /etc/passgate."""
    project(
        pod(),
        "config",
        {(d["kind"], d["metadata"]["name"]): d for d in render(KUBERNETES)},
        tmp_path,
    )
    return tmp_path


@pytest.fixture
def loaded(etc: Path) -> LoadedConfig:
    return load_config(etc / "gate.yaml", {})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", render(KUBERNETES), ids=lambda document: f"{document['kind']}")
def test_every_document_is_valid(document: dict[str, Any], version: str) -> None:
    """Strictly: a field that this version of Kubernetes does not know is an error."""
    assert kubernetes_validate.validate(document, version, strict=True) == version


@pytest.mark.skipif(KUBECTL is None, reason="needs kubectl, which renders without a cluster")
def test_kustomize_itself_renders_the_same() -> None:
    """What these tests look at is what would be sent."""
    assert KUBECTL is not None
    wanted = [KUBECTL, "kustomize", str(KUBERNETES)]
    sent = subprocess.run(wanted, capture_output=True, timeout=60, check=True).stdout

    def by_name(documents: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        return {(d["kind"], d["metadata"]["name"]): d for d in documents}

    assert by_name(yaml.safe_load_all(sent)) == by_name(render(KUBERNETES))


def test_a_wrong_document_is_noticed() -> None:
    """The strict schemas refuse a misspelt field, so the tests above can fail."""
    wrong = rendered("Service", "api")
    wrong["spec"]["ports"][0]["targetport"] = 8080

    with pytest.raises(kubernetes_validate.ValidationError, match="targetport"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_everything_is_in_the_one_namespace() -> None:
    """The Namespace itself has the name that all others carry, and enforces the strictest level."""
    documents = render(KUBERNETES)
    (namespace,) = (document for document in documents if document["kind"] == "Namespace")

    assert {d["metadata"].get("namespace", namespace["metadata"]["name"]) for d in documents} == {
        "passgate-example"
    }
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_shipped_files_are_all_used() -> None:
    """No manifest lies beside the kustomization without being part of it."""
    wanted = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    used = {"README.md", "kustomization.yaml", *wanted["resources"]}
    for generator in wanted["configMapGenerator"] + wanted["secretGenerator"]:
        used |= set(generator["files"])

    assert {str(p.relative_to(KUBERNETES)) for p in KUBERNETES.rglob("*") if p.is_file()} == used


def test_the_gate_is_a_native_sidecar() -> None:
    """An init container that keeps running: before the API at the start, after it at the end."""
    assert sidecar()["restartPolicy"] == "Always"
    assert sidecar()["image"] == f"passgate:{__version__}"
    assert sidecar()["args"] == ["serve", "--config", "/etc/passgate/gate.yaml"]


def test_every_container_is_confined() -> None:
    """Pod Security `restricted`, and a read-only root besides."""
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["runAsUser"] == 65532
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    for container in (sidecar(), app()):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_only_the_data_directory_can_be_written(loaded: LoadedConfig) -> None:
    """Every other mount of the gate is read-only, and the volume is where the gate writes."""
    writable = [m["mountPath"] for m in sidecar()["volumeMounts"] if not m.get("readOnly")]

    assert writable == [str(loaded.config.gate.data_dir)]
    (claim,) = rendered("StatefulSet", "api")["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_probes_ask_the_admin_port_of_the_configuration(loaded: LoadedConfig) -> None:
    """On all of the pod's addresses, for the kubelet does not ask loopback."""
    ports = {port["name"]: port["containerPort"] for port in sidecar()["ports"]}

    assert (loaded.config.listen.address.host, loaded.config.admin.address.host) == (
        "0.0.0.0",
        "0.0.0.0",
    )
    assert ports == {
        "gate": loaded.config.listen.address.port,
        "gate-admin": loaded.config.admin.address.port,
    }
    paths = {
        probe: sidecar()[probe]["httpGet"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": {"path": "/livez", "port": "gate-admin"},
        "livenessProbe": {"path": "/livez", "port": "gate-admin"},
        "readinessProbe": {"path": "/readyz", "port": "gate-admin"},
    }


def test_the_api_is_on_loopback_only_and_the_gate_leads_there(loaded: LoadedConfig) -> None:
    """It names no port, listens on 127.0.0.1, and is asked from inside."""
    (upstream,) = loaded.config.upstream.urls
    assert (upstream.scheme, upstream.host, upstream.port) == ("http", "127.0.0.1", 8000)
    assert "ports" not in app()
    assert '("127.0.0.1", 8000)' in app()["args"][-1]
    assert list(app()["readinessProbe"]) == ["exec", "periodSeconds", "timeoutSeconds"]


def test_the_service_and_the_policy_lead_to_the_gate_alone(loaded: LoadedConfig) -> None:
    """By number: the names of a sidecar's ports work from Kubernetes 1.32 on."""
    gate, admin = loaded.config.listen.address.port, loaded.config.admin.address.port
    (port,) = rendered("Service", "api")["spec"]["ports"]
    assert port["targetPort"] == gate

    policy = rendered("NetworkPolicy", "api")["spec"]
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    from_anywhere, from_monitoring = policy["ingress"]
    assert from_anywhere == {"ports": [{"protocol": "TCP", "port": gate}]}
    assert from_monitoring["ports"] == [{"protocol": "TCP", "port": admin}]
    assert from_monitoring["from"]


def test_selectors_find_the_pod() -> None:
    """Service, policy, budget and set all mean the labels that the pod has."""
    labels = rendered("StatefulSet", "api")["spec"]["template"]["metadata"]["labels"]

    selectors = [
        rendered("Service", "api")["spec"]["selector"],
        rendered("StatefulSet", "api")["spec"]["selector"]["matchLabels"],
        rendered("NetworkPolicy", "api")["spec"]["podSelector"]["matchLabels"],
        rendered("PodDisruptionBudget", "api")["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)


def test_one_gate_and_nobody_takes_it_away() -> None:
    """Two would grant each budget twice; an eviction would take the API away."""
    assert rendered("StatefulSet", "api")["spec"]["replicas"] == 1
    assert rendered("PodDisruptionBudget", "api")["spec"]["maxUnavailable"] == 0


def test_the_pod_lives_long_enough_to_drain(loaded: LoadedConfig) -> None:
    """The API's preStop and the gate's drain both fit."""
    (_, pause) = app()["lifecycle"]["preStop"]["exec"]["command"]

    drain = loaded.config.limits.drain_timeout_s
    assert pod()["terminationGracePeriodSeconds"] > int(pause) + drain


def test_trust_is_a_secret_that_only_the_group_reads() -> None:
    """Mounted 0440, owned by root, in the group of the gate."""
    (volume,) = (v for v in pod()["volumes"] if v["name"] == "config")
    assert volume["projected"]["defaultMode"] == 0o440
    assert pod()["securityContext"]["fsGroup"] == 65532
    assert rendered("Secret", "gate-trust")["type"] == "Opaque"


def secrets() -> Iterator[bytes]:
    for document in render(KUBERNETES):
        if document["kind"] == "Secret":
            yield from (base64.b64decode(value) for value in document["data"].values())


def test_nothing_secret_and_nobody_to_trust_is_shipped(etc: Path, loaded: LoadedConfig) -> None:
    """No default password, no key whose private part somebody may have: closed until filled."""
    assert sorted(secrets()) == [b'{"keys": []}\n', b'{"passport_ids": []}\n']
    assert parse_jwks((etc / "trust" / "jwks.json").read_bytes()) == {}
    assert loaded.config.admin.tokens == ()
    assert all("env" not in container for container in (sidecar(), app()))


def test_the_configuration_loads_and_warns_of_the_admin_port_alone(loaded: LoadedConfig) -> None:
    """README.md says what to do about it."""
    assert loaded.config.gate.profile == "L2"
    assert all("admin.address can be reached from outside" in line for line in loaded.warnings)


def test_the_shipped_list_never_expires(etc: Path) -> None:
    """A plain one; a signed one would make a fresh clone stop after 30 days."""
    raw = (etc / "trust" / "revocations").read_bytes()
    found = read_revocation_list(raw, "iss_lab", {}, now=0, plain_allowed=True)

    assert found.expires_at is None
    assert json.loads(raw) == {"passport_ids": []}
