"""The real csp-agent-passport's tokens over HTTP, through a running gate."""

import json
import time
from pathlib import Path

from tests.craft import UNSET
from tests.support.csp_package import ISSUER, Package, Tokens, changed, minutes
from tests.support.running_gate import Answer, RunningGate, eventually, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream


def revoke(directory: Path, *ids: str) -> None:
    """csp has no lists of its own, so the operator keeps a plain one."""
    temporary = directory / "new"
    temporary.write_text(json.dumps({"passport_ids": list(ids)}))
    temporary.replace(directory / "revoked.json")


def ask(gate: RunningGate, tokens: Tokens) -> Answer:
    headers = {"X-Agent-Passport": tokens.leaf}
    if tokens.parents:
        headers["X-Agent-Passport-Chain"] = ",".join(tokens.parents)
    return gate.request("GET", "/v1/search", headers=headers)


def code(gate: RunningGate, tokens: Tokens) -> str:
    answer = ask(gate, tokens)
    return "allow" if answer.status == 200 else str(answer.json["code"])


def test_tokens_of_the_package_at_a_running_gate(tmp_path: Path) -> None:
    """Allowed where honest; refused by name where tampered, expired, widened or replayed."""
    package = Package(time.time())
    revoke(tmp_path)
    config = {
        "passport": {"formats": ["jwt", "csp"]},
        "issuers": [
            {
                "id": ISSUER,
                "keys": package.jwks,
                "revocations": f"file:{tmp_path}/revoked.json",
                "formats": ["csp"],
                "refresh": "1s",
                "assurance": {"ial": 1},
            }
        ],
        "gate": {"id": "gate_a", "data_dir": str(tmp_path / "data")},
    }
    root = package.root(("api:*",))
    bob = package.below(root, "bob", ("api:*",))
    carol = package.below(bob, "carol", ("api:search",))
    other = package.below(package.root(("api:*",)), "bob", ("api:*",))
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url, config=config) as gate:
        for tokens in (root, bob, carol):
            assert code(gate, tokens) == "allow"
        seen = {name.lower(): value for name, value in upstream.seen[-1].headers}
        assert seen["x-passport-agent"] == "carol"
        assert seen["x-passport-principal"] == "person-1"
        assert seen["x-passport-assurance"] == "ial=2,aal=2,fal=2"
        assert not [name for name in seen if name.startswith("x-agent-passport")]

        tampered = Tokens(carol.leaf[:-8] + "AAAAAAAA", carol.parents)
        expired = Tokens(changed(package, root.leaf, exp=int(package.at) - 60))
        widened = Tokens(changed(package, carol.leaf, tool_scope=["*"]), carol.parents)
        raised = Tokens(changed(package, carol.leaf, ial=3), carol.parents)
        unassured = Tokens(changed(package, root.leaf, ial=UNSET))
        elsewhere = package.root(ttl=minutes(5))
        elsewhere = Tokens(changed(package, elsewhere.leaf, aud="gate_b"))
        for tokens, expected in (
            (tampered, "signature_invalid"),
            (expired, "passport_expired"),
            (widened, "chain_widened"),
            (raised, "chain_invalid"),
            (unassured, "issuer_untrusted"),
            (elsewhere, "audience_mismatch"),
            (Tokens(carol.leaf), "chain_invalid"),
            (Tokens(carol.leaf, carol.parents[1:]), "chain_invalid"),
            (Tokens(carol.leaf, (*other.parents, other.leaf)), "chain_invalid"),
        ):
            assert code(gate, tokens) == expected

        (line,) = [
            line
            for line in map(dict, read_lines(gate.log_directory))
            if line.get("agent_id") == "carol" and line.get("decision") == "allow"
        ]
        assert line["facts"]["principal"] == "person-1"
        assert line["facts"]["assurance"] == "ial=2,aal=2,fal=2"
        revoke(tmp_path, line["chain"][1])
        eventually(lambda: code(gate, carol) == "passport_revoked")
        assert code(gate, bob) == "passport_revoked"
        assert code(gate, root) == "allow"
        assert gate.stop() == 0
