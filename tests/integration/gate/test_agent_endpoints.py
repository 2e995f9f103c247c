"""The gate's own endpoints, asked over the wire as an agent would."""

import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl.bindings import crypto_sign_open
from tests.support.running_gate import RunningGate, running_gate

from passgate.core.jwks import thumbprint
from passgate.core.reasons import REASONS
from passgate.log import read_lines
from passgate.testing import FakeUpstream, mint

PREFIX = "/.well-known/passgate"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    config = {
        "anonymous": {"enabled": True, "allowed_actions": ["public"]},
        "limits": {"refusals_per_second": 1000},
    }
    with running_gate(tmp_path_factory.mktemp("gate"), upstream.url, config=config) as running:
        yield running


def check(gate: RunningGate, passport: str | None, **asked: Any) -> Any:
    answer = gate.request(
        "POST",
        f"{PREFIX}/check",
        passport,
        {"Content-Type": "application/json"},
        json.dumps(asked).encode(),
    )
    assert answer.status == 200, answer.body
    return answer.json


def test_the_root_says_where_everything_is(gate: RunningGate, upstream: FakeUpstream) -> None:
    """Each link works, and none of it reaches the upstream."""
    before = len(upstream.seen)
    passport = mint(issuer=gate.issuer)

    body = gate.request("GET", f"{PREFIX}/").json
    assert (body["gate_id"], body["profile"], body["formats"]) == ("gate_test", "L2", ["jwt"])
    for name, link in body["links"].items():
        method = "POST" if name == "check" else "GET"
        answer = gate.request(method, link, passport)
        assert answer.status in (200, 415), name
    assert gate.request("GET", f"{PREFIX}/nothing", passport).status == 404
    assert len(upstream.seen) == before


def test_the_keys_verify_the_checkpoint(gate: RunningGate) -> None:
    """Whoever keeps the key can prove later what the log said now."""
    assert gate.request("GET", "/v1/search", mint(issuer=gate.issuer)).status == 200
    (jwk,) = gate.request("GET", f"{PREFIX}/keys").json["keys"]
    answer = gate.request("GET", f"{PREFIX}/checkpoint")

    public = base64.urlsafe_b64decode(jwk["x"] + "=")
    text, _, line = answer.body.decode().partition("\n\n")
    name, _, encoded = line.removeprefix("\u2014 ").strip().partition(" ")
    signature = base64.b64decode(encoded)[4:]
    assert jwk["kid"] == thumbprint(public)
    assert name == text.split("\n")[0] == "passgate/gate_test"
    assert crypto_sign_open(signature + text.encode() + b"\n", public)
    assert int(text.split("\n")[1]) >= 1


def test_the_passport_shows_what_is_left(gate: RunningGate) -> None:
    """Before and after a request that takes from it."""
    passport = mint(
        issuer=gate.issuer,
        permissions=["api:*"],
        constraints={"core:rate:max_per_minute": 2, "core:cost:max_cumulative": 100},
    )

    def left() -> list[int]:
        body = gate.request("GET", f"{PREFIX}/passport", passport).json
        return [row["remaining"] for row in body["actions"]["api:export"]["left"]]

    assert left() == [2, 100]
    assert gate.request("POST", "/v1/export", passport).status == 200
    assert left() == [1, 50]


@pytest.mark.parametrize(
    ("options", "asked", "request_"),
    [
        (None, {"action": "api:search"}, ("GET", "/v1/search")),
        (None, {"action": "public", "target": "/public/x"}, ("GET", "/public/x")),
        ({}, {"action": "api:search"}, ("GET", "/v1/search")),
        ({"permissions": ["shop:*"]}, {"action": "api:search"}, ("GET", "/v1/search")),
        ({"claims": {"catalogs": {"gate_test": {"version": 1, "content_hash": "x"}}}},
         {"action": "api:search"}, ("GET", "/v1/search")),
        ({"constraints": {"core:cost:max_cumulative": 49}}, {"action": "api:export"},
         ("POST", "/v1/export")),
        ({"constraints": {"core:approval:required": True}}, {"action": "api:export"},
         ("POST", "/v1/export")),
        ({"constraints": {"core:rate:max_per_minute": 0}}, {"action": "api:search"},
         ("GET", "/v1/search")),
        ({"constraints": {"core:scope:ip_allowlist": ["192.0.2.0/24"]}}, {"action": "api:search"},
         ("GET", "/v1/search")),
    ],
)  # fmt: skip
def test_a_dry_run_is_what_then_really_happens(
    gate: RunningGate,
    options: dict[str, Any] | None,
    asked: dict[str, Any],
    request_: tuple[str, str],
) -> None:
    """The same decision, code and constraint; and the asking itself is not on record."""
    passport = None if options is None else mint(issuer=gate.issuer, **options)

    said = check(gate, passport, **asked)
    answer = gate.request(*request_, passport)

    assert answer.headers["passport-decision"] == said["decision"]
    really = {} if answer.status == 200 else answer.json
    assert really.get("code") == said.get("code")
    assert really.get("constraint") == said.get("constraint")


def test_a_dry_run_leaves_nothing_behind(gate: RunningGate) -> None:
    """No line in the log, no charge."""
    passport = mint(issuer=gate.issuer, passport_id="pass_asking")
    for _ in range(3):
        assert check(gate, passport, action="api:search")["decision"] == "allow"

    assert not any(
        line.get("passport_id") == "pass_asking" for line in read_lines(gate.log_directory)
    )


def test_the_reasons_are_those_of_the_table(gate: RunningGate) -> None:
    """And each refusal's `type` leads there."""
    body = gate.request("GET", f"{PREFIX}/reasons").json
    refused = gate.request("GET", "/v1/search")

    assert [row["code"] for row in body["reasons"]] == list(REASONS)
    assert refused.json["type"] == f"{PREFIX}/reasons#passport_missing"


def test_a_wrong_method_and_a_head_over_the_wire(gate: RunningGate) -> None:
    """405 names what there is; HEAD has the length and no body, and the connection goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    try:
        connection.request("DELETE", f"{PREFIX}/keys")
        wrong = connection.getresponse()
        wrong.read()
        connection.request("HEAD", f"{PREFIX}/keys")
        head = connection.getresponse()
        assert head.read() == b""
        connection.request("GET", f"{PREFIX}/keys")
        whole = connection.getresponse()
        body = whole.read()
    finally:
        connection.close()

    assert (wrong.status, wrong.getheader("Allow")) == (405, "GET, HEAD")
    assert (head.status, head.getheader("Content-Length")) == (200, str(len(body)))


def test_a_question_that_is_too_long_is_refused(gate: RunningGate) -> None:
    """Whoever asks."""
    answer = gate.request(
        "POST",
        f"{PREFIX}/check",
        mint(issuer=gate.issuer),
        {"Content-Type": "application/json"},
        b" " * 20_000,
    )

    assert answer.status == 413


def test_a_bad_credential_learns_only_why(gate: RunningGate, tmp_path: Path) -> None:
    """Not even that its question was none."""
    answer = gate.request("POST", f"{PREFIX}/check", "x.y.z", body=b"not a question")

    assert answer.status == 401
    assert answer.json["code"] == "passport_malformed"
    assert "checks" not in answer.json
