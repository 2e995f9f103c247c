"""gate.example.yaml has every key and loads; the schema and `config show` agree with the loader."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from passgate.config import load_config
from passgate.config.effective import effective_yaml
from passgate.config.keys import KEYS
from passgate.config.schema import json_schema

EXAMPLE = Path(__file__).parents[3] / "gate.example.yaml"
ENVIRON = {
    "PASSGATE_ADMIN_TOKEN": "a token of some length",
    "PASSGATE_METRICS_TOKEN": "another token of some length",
    "COUNTERS_PASSWORD": "a password of some length",
    "SENTINELS_PASSWORD": "another password",
    "PASSGATE_WEBHOOK_SECRET": "a secret of some length",
    "UPSTREAM_URL": "https://api.internal",
}


@pytest.fixture
def beside(place: Path) -> Path:
    """A directory with every file that the example names."""
    for directory in ("issuer", "tls", "secrets"):
        (place / directory).mkdir()
    (place / "issuer" / "jwks.json").write_bytes((place / "jwks.json").read_bytes())
    (place / "issuer" / "revocations.jwt").write_text("not read by the configuration")
    for name in ("cert.pem", "clients.pem", "ca.pem"):
        (place / "tls" / name).write_bytes((place / "cert.pem").read_bytes())
    (place / "tls" / "key.pem").write_bytes((place / "key.pem").read_bytes())
    secret = place / "secrets" / "mia"
    secret.write_text("a third token of some length\n")
    secret.chmod(0o600)
    (place / "catalog.yaml").write_text(
        "permissions:\n"
        + "".join(
            f"- {{key: '{key}'}}\n"
            for key in ("api:search", "api:export", "shop:purchase", "web:fetch", "public")
        )
    )
    return place


def uncommented(*, several: bool = False) -> str:
    """The example with its optional keys: a # right before a key is taken away."""
    text = re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", EXAMPLE.read_text())
    # Keys that can only be given beside another value than the default of another key.
    text = text.replace("assertion: none", "assertion: jwt")
    text = text.replace("kind: embedded", "kind: valkey")
    # Of these two only one can be given; the ledger's URL stands further down.
    return re.sub(r"(?m)^  url: .*\n" if several else r"(?m)^  urls: .*\n", "", text, count=1)


def test_the_example_loads_as_it_is(beside: Path) -> None:
    """With the files that `issuer new` makes, and nothing in the environment, there is no word."""
    (beside / "gate.yaml").write_text(EXAMPLE.read_text())
    loaded = load_config(beside / "gate.yaml", {})
    assert loaded.warnings == ()
    assert str(loaded.config.upstream.urls[0]) == "http://127.0.0.1:8000"


@pytest.mark.parametrize("several", [False, True])
def test_the_example_loads_with_every_optional_key(beside: Path, several: bool) -> None:
    """What is commented out is valid too."""
    text = uncommented(several=several)
    if several:
        text = text.replace("http://10.0.0", "https://10.0.0")
    (beside / "gate.yaml").write_text(text)
    loaded = load_config(beside / "gate.yaml", ENVIRON)
    assert loaded.warnings == ()
    assert loaded.config.listen.tls is not None
    assert loaded.config.upstream.tls is not None
    assert [token.name for token in loaded.config.admin.tokens] == ["admin", "mia"]


def test_the_example_has_every_key() -> None:
    """Each key of the table that this version takes stands in it."""
    paths: set[str] = set()

    def walk(value: Any, path: str) -> None:
        paths.add(path)
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, f"{path}.{'*' if path == 'admin.tokens' else name}".lstrip("."))
        elif isinstance(value, list):
            for item in value:
                walk(item, f"{path}[]")

    for several in (False, True):
        walk(yaml.safe_load(uncommented(several=several)), "")
    missing = [row.path for row in KEYS if not row.refused and row.path not in paths]
    assert missing == []


def test_the_example_shows_defaults_where_there_are_any(beside: Path) -> None:
    """What stands in it without a comment sign is the default, but for what is said to be else."""
    (beside / "gate.yaml").write_text(EXAMPLE.read_text())
    (beside / "small.yaml").write_text(
        "upstream: {url: 'http://127.0.0.1:8000'}\n"
        "issuers: [{id: iss_lab, keys: 'file:issuer/jwks.json', "
        "revocations: 'file:issuer/revocations.jwt'}]\n"
    )
    example = dict(load_config(beside / "gate.yaml", {}).config.effective)
    small = dict(load_config(beside / "small.yaml", {}).config.effective)
    example["actions"] = small["actions"]
    example["gate"] |= {name: small["gate"][name] for name in ("id", "name")}
    assert example == small


def test_what_is_shown_is_a_configuration_that_means_the_same(beside: Path, meaning: Any) -> None:
    """Loading the output of `config show` gives the same Config; no secret is in it."""
    (beside / "gate.yaml").write_text(
        uncommented().replace("name: My API ", "name: '014 $${no} ü: 1:30' ")
    )
    config = load_config(beside / "gate.yaml", ENVIRON).config
    assert config.gate.name == "014 ${no} ü: 1:30"
    shown = effective_yaml(config)
    assert "token of some length" not in shown + json.dumps(config.effective) + repr(config)
    elsewhere = beside / "shown"
    elsewhere.mkdir()
    (elsewhere / "gate.yaml").write_text(shown)
    # Secrets in files are named as they were written, from the directory of the file.
    (elsewhere / "secrets").symlink_to(beside / "secrets")
    again = load_config(elsewhere / "gate.yaml", ENVIRON).config
    assert meaning(again) == meaning(config)
    assert again.effective == config.effective


def test_the_schema_takes_the_example_and_refuses_what_the_loader_does() -> None:
    """Valid JSON Schema: it takes every key, and not unknown, refused or mistyped ones."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    document = yaml.safe_load(uncommented())
    assert list(validator.iter_errors(document)) == []
    for bad in (
        {},
        {"upstream": {"url": "http://h"}, "gatee": {}},
        {"upstream": {"url": "http://h"}, "gate": {"profile": "L4"}},
        {"upstream": {"url": "http://h"}, "gate": {"mode": "observe"}},
        {"upstream": {"url": "http://h"}, "approvals": {"ttl": 300}},
        {"upstream": {"url": "http://h"}, "passport": {"formats": ["paper"]}},
        {"upstream": {"url": "http://h"}, "passport": {"clock_skew": "30"}},
        {"upstream": {"url": "http://h"}, "limits": {"headers": "many"}},
        {"upstream": {"url": "http://h"}, "issuers": [{"id": "a"}]},
        {"upstream": {"url": "http://h"}, "admin": {"tokens": {"mia": {"role": "root"}}}},
    ):
        assert list(validator.iter_errors(bad)), bad
    for good in (
        {"upstream": {"url": "${URL}", "max_connections": "${N}"}},
        {"upstream": {"url": "http://h"}, "gate": None, "catalog": {"file": None}},
    ):
        assert list(validator.iter_errors(good)) == [], good
