"""Proof of possession before a real gate: it passes once, also across a restart and a kill."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519
from tests.support.counter_server import running
from tests.support.proofs import ath
from tests.support.running_gate import Answer, RunningGate

from passgate.client.holder import Holder
from passgate.testing import FakeUpstream, mint

HOLDER = Holder.generate()
PREFIX = "/.well-known/passgate"


def proof(gate: RunningGate, passport: str, path: str = "/v1/search", **claims: Any) -> str:
    """A proof made by an independent library."""
    body = {
        "jti": os.urandom(8).hex(),
        "htm": "GET",
        "htu": f"http://127.0.0.1:{gate.port}{path}",
        "iat": int(time.time()),
        "ath": ath(passport),
        **claims,
    }
    headers = {"typ": "dpop+jwt", "jwk": HOLDER.jwk}
    return jwt.encode(body, HOLDER.key, algorithm="EdDSA", headers=headers)


class Keys(HTTPSignatureKeyResolver):
    """The holder's key for the library that signs."""

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        assert key_id == HOLDER.thumbprint
        return HOLDER.key


@dataclass
class Message:
    """A request as the library wants it."""

    method: str
    url: str
    headers: dict[str, str]


def ask(gate: RunningGate, passport: str, made: str, path: str = "/v1/search") -> Answer:
    headers = {"Authorization": f"DPoP {passport}", "DPoP": made}
    return gate.request("GET", path, headers=headers)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_proof_passes_once_whatever_becomes_of_the_gate(tmp_path: Path, stop: int) -> None:
    """The log remembers it, as it does every charge; passport and proof stay with the gate."""
    with FakeUpstream() as upstream:
        gate = RunningGate(tmp_path, upstream.url).start()
        try:
            passport = mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}})
            made = proof(gate, passport)
            assert gate.request("GET", "/v1/search", passport).json["code"] == "proof_missing"
            assert ask(gate, passport, made).status == 200
            seen = upstream.seen[-1]
            assert not {"dpop", "authorization"} & {name.lower() for name, _ in seen.headers}
            assert ask(gate, passport, made).json["code"] == "proof_replayed"
            assert gate.process is not None
            gate.process.send_signal(stop)
            gate.process.wait()
            gate.start()
            assert ask(gate, passport, made).json["code"] == "proof_replayed"
            assert ask(gate, passport, proof(gate, passport)).status == 200
        finally:
            gate.stop()


def test_a_proof_passes_once_at_all_gates_that_share_counters(tmp_path: Path) -> None:
    """Also one that came with a question; without the server the request is not judged at all."""
    with running(tmp_path / "server") as server, FakeUpstream() as upstream:
        (tmp_path / "gates").mkdir()
        config = {"ledger": {"kind": "valkey", "url": server.url}}
        gate = RunningGate(tmp_path / "gates", upstream.url, config=config).start()
        try:
            passport = mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}})
            shared = gate.admin("GET", "/readyz").json["dependencies"]
            assert [row["gates"] for row in shared if row["name"] == "shared ledger"] == [1]
            made = proof(gate, passport)
            assert ask(gate, passport, made).status == 200
            assert ask(gate, passport, made).json["code"] == "proof_replayed"
            where = f"{PREFIX}/passport"
            shown = proof(gate, passport, where)
            assert ask(gate, passport, shown, where).json["agent"] == "agent_test"
            assert ask(gate, passport, shown, where).json["code"] == "proof_replayed"
            server.kill()
            refused = ask(gate, passport, proof(gate, passport))
            assert (refused.status, refused.json["code"]) == (503, "ledger_unavailable")
            asked = ask(gate, passport, proof(gate, passport, where), where)
            assert (asked.status, asked.json["code"]) == (503, "ledger_unavailable")
        finally:
            gate.stop()


def test_a_nonce_is_given_out_and_asked_for(tmp_path: Path) -> None:
    """The refusal gives one, the allowed answer the next; the endpoints take proofs likewise."""
    config = {"passport": {"proof": "required", "proof_nonce": True}}
    with FakeUpstream() as upstream:
        gate = RunningGate(tmp_path, upstream.url, config=config).start()
        try:
            passport = mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}})
            refused = ask(gate, passport, proof(gate, passport))
            assert (refused.status, refused.json["code"]) == (401, "proof_invalid")
            assert 'error="use_dpop_nonce"' in refused.headers["www-authenticate"]
            nonce = refused.headers["dpop-nonce"]
            allowed = ask(gate, passport, proof(gate, passport, nonce=nonce))
            assert allowed.status == 200
            assert allowed.headers["dpop-nonce"] == nonce
            unbound = gate.request("GET", "/v1/search", mint(issuer=gate.issuer))
            assert unbound.json["code"] == "proof_missing"
            where = f"{PREFIX}/passport"
            shown = proof(gate, passport, where, nonce=nonce)
            assert ask(gate, passport, shown, where).json["agent"] == "agent_test"
            assert ask(gate, passport, shown, where).json["code"] == "proof_replayed"
            assert gate.request("GET", where, passport).json["code"] == "proof_missing"
        finally:
            gate.stop()


def test_signatures_of_another_implementation_pass(tmp_path: Path) -> None:
    """Made by http-message-signatures; over a judged body, too, by its digest."""
    routes = [
        {"match": "GET /v1/search", "action": "api:search"},
        {"match": "POST /v1/orders", "action": "shop:buy", "amount": "body:/amount"},
    ]
    signer = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=Keys())
    with FakeUpstream() as upstream:
        gate = RunningGate(tmp_path, upstream.url, config={"actions": {"routes": routes}}).start()
        try:
            passport = mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}})

            def made(method: str, path: str, body: bytes | None) -> dict[str, str]:
                url = f"http://127.0.0.1:{gate.port}{path}"
                headers = {"Authorization": f"Passport {passport}"}
                if body is not None:
                    headers["Content-Type"] = "application/json"
                message = Message(method, url, headers)
                signer.sign(
                    message,
                    key_id=HOLDER.thumbprint,
                    tag="web-bot-auth",
                    nonce=os.urandom(8).hex(),
                    covered_component_ids=("@method", "@target-uri", "authorization"),
                    body=body,
                )
                return message.headers

            signed = made("GET", "/v1/search?q=a%20b", None)
            assert gate.request("GET", "/v1/search?q=a%20b", headers=signed).status == 200
            again = gate.request("GET", "/v1/search?q=a%20b", headers=signed)
            assert again.json["code"] == "proof_replayed"
            body = b'{"amount": 7}'
            signed = made("POST", "/v1/orders", body)
            assert gate.request("POST", "/v1/orders", headers=signed, body=body).status == 200
            signed = made("POST", "/v1/orders", body)
            changed = gate.request("POST", "/v1/orders", headers=signed, body=b'{"amount": 9}')
            assert changed.json["code"] == "proof_invalid"
            signed = made("POST", "/v1/orders", None) | {"Content-Type": "application/json"}
            bare = gate.request("POST", "/v1/orders", headers=signed, body=body)
            assert bare.json["detail"].startswith("The signature must cover Content-Digest")
        finally:
            gate.stop()
