"""Profile L3 at a running gate: every passport is proved, each proof once, and lists are fresh."""

import os
import time
from pathlib import Path

import jwt
from tests.support.proofs import ath
from tests.support.running_gate import RunningGate, eventually

from passgate.client.holder import Holder
from passgate.testing import FakeUpstream, mint

HOLDER = Holder.generate()


def test_every_passport_is_proved_and_the_list_is_read_often(tmp_path: Path) -> None:
    """One that is bound to no key cannot be; a revocation counts; the surface says L3."""
    with FakeUpstream() as upstream:
        gate = RunningGate(tmp_path, upstream.url)
        gate.config["gate"] = {"profile": "L3"}
        gate.write_config()
        gate.start()
        try:
            free = gate.request("GET", "/v1/search", mint(issuer=gate.issuer))
            assert (free.status, free.json["code"]) == (401, "proof_missing")
            assert 'profile="L3"' in free.headers["www-authenticate"]
            bound = mint(issuer=gate.issuer, claims={"cnf": {"jwk": HOLDER.jwk}})

            def code(proof: str) -> str:
                headers = {"Authorization": f"DPoP {bound}", "DPoP": proof}
                try:
                    answer = gate.request("GET", "/v1/search", headers=headers)
                except ConnectionError:
                    return "cut"  # what is under way while its passport is revoked
                return "allow" if answer.status == 200 else str(answer.json["code"])

            def proof() -> str:
                claims = {
                    "jti": os.urandom(8).hex(),
                    "htm": "GET",
                    "htu": f"http://127.0.0.1:{gate.port}/v1/search",
                    "iat": int(time.time()),
                    "ath": ath(bound),
                }
                headers = {"typ": "dpop+jwt", "jwk": HOLDER.jwk}
                return jwt.encode(claims, HOLDER.key, algorithm="EdDSA", headers=headers)

            made = proof()
            assert [code(made), code(made)] == ["allow", "proof_replayed"]
            rows = gate.admin("GET", "/readyz").json["dependencies"]
            (listed,) = (row for row in rows if row["name"].endswith(" revocations"))
            assert (listed["ok"], listed["push"]) == (True, None)
            gate.revoke(("agent", "agent_test"))
            eventually(lambda: code(proof()) == "passport_revoked")
        finally:
            gate.stop()
