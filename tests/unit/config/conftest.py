"""A directory with everything that configurations name, and loading from it."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nacl.signing import SigningKey

from passgate.config import Config, LoadedConfig, load_config
from passgate.errors import ConfigError

ISSUER = {"id": "iss_lab", "keys": "file:jwks.json", "revocations": "file:revocations.jwt"}
BASE: dict[str, Any] = {"upstream": {"url": "http://127.0.0.1:8000"}, "issuers": [ISSUER]}


def jwks() -> dict[str, Any]:
    key = base64.urlsafe_b64encode(bytes(SigningKey(bytes(32)).verify_key)).rstrip(b"=").decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": key}]}


def _key_pair() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gate.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="session")
def key_pair() -> tuple[bytes, bytes]:
    """A certificate and its key, PEM."""
    return _key_pair()


@pytest.fixture
def place(tmp_path: Path, key_pair: tuple[bytes, bytes]) -> Path:
    """A directory with a key set, a list, a certificate, a catalog, secrets."""
    (tmp_path / "jwks.json").write_text(json.dumps(jwks()))
    (tmp_path / "revocations.jwt").write_text("not read by the configuration")
    (tmp_path / "cert.pem").write_bytes(key_pair[0])
    (tmp_path / "key.pem").write_bytes(key_pair[1])
    (tmp_path / "catalog.yaml").write_text(
        "permissions:\n- {key: 'api:search', description: Search.}\n"
    )
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length\n")
    secret.chmod(0o600)
    return tmp_path


Load = Callable[..., LoadedConfig]


@pytest.fixture
def load(place: Path) -> Load:
    """Loads a text, or what is to be merged over a small valid configuration."""

    def loading(
        content: str | bytes | Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> LoadedConfig:
        file = place / "gate.yaml"
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif isinstance(content, str):
            file.write_text(content)
        else:
            file.write_text(yaml.safe_dump(merged(BASE, content), sort_keys=False))
        return load_config(file, environ or {})

    return loading


@pytest.fixture
def problems_of(load: Load, place: Path) -> Callable[..., list[str]]:
    """The problems of a configuration, without the directory in their names."""

    def problems(
        content: str | bytes | Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(content, environ)
        return [problem.replace(f"{place}/", "") for problem in caught.value.problems]

    return problems


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `over`, section by section."""
    result = dict(base)
    for key, value in over.items():
        inside = result.get(key)
        both = isinstance(value, Mapping) and isinstance(inside, Mapping)
        result[key] = merged(inside, value) if both else value
    return result


def meaning(config: Config) -> tuple[Any, ...]:
    """All of a Config but how it is shown and where it lay."""
    names = [name for name in config.__dataclass_fields__ if name not in ("effective", "file")]
    return tuple(getattr(config, name) for name in names)


@pytest.fixture(name="merged")
def _merged() -> Callable[..., dict[str, Any]]:
    return merged


@pytest.fixture(name="meaning")
def _meaning() -> Callable[[Config], tuple[Any, ...]]:
    return meaning


@pytest.fixture
def issuer() -> dict[str, Any]:
    """The entry of the issuer in every small configuration."""
    return dict(ISSUER)


@pytest.fixture(name="jwks")
def _jwks() -> dict[str, Any]:
    return jwks()
