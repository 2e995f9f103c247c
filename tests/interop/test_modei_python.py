"""The real modei-python mints and delegates, the gate judges; and the other way round."""

import copy
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from modei.passport import AgentCredentials
from tests.craft import KEY, SEED, jwk_of
from tests.support.envelopes import Tree, below, envelope, fixture_root, platform, signed
from tests.support.modei_package import (
    carrier_of,
    credential_of,
    handed_on,
    permitting,
    self_issued,
    vendor_says,
)
from tests.support.proofs import proof
from tests.support.running_gate import RunningGate, eventually, running_gate

from passgate.client.envelopes import mint_envelope
from passgate.client.holder import Holder
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.jws import decode_base64url
from passgate.core.reasons import Refusal
from passgate.core.trust import Trust, self_issuer
from passgate.core.verification import Acceptance, verify
from passgate.testing import FakeUpstream

ACCEPT = Acceptance(frozenset({"envelope"}))
ANYONE = Trust({}, self_issued=self_issuer(ACCEPT.formats, ("*",), NO_CONSTRAINTS))


def gate_says(carrier: dict[str, Any]) -> str:
    found = verify(credential_of(carrier), ANYONE, ACCEPT)
    if isinstance(found, Refusal):
        return found.code
    return "ok" if found.flaw is None else found.flaw.code


def chain_of(depth: int) -> list[dict[str, Any]]:
    """The package's own passports, each below the one before."""
    keys = [AgentCredentials.generate() for _ in range(depth + 1)]
    made = [self_issued(keys[0], *permitting("api:search", max_daily_cost=100))]
    for by, to in pairwise(keys):
        made.append(handed_on(made[-1], by, to, *permitting("api:search", max_daily_cost=50)))
    return [carrier_of(each) for each in made]


def test_what_the_package_makes_passes_at_both() -> None:
    """Roots, and children to the greatest depth."""
    for carrier in chain_of(5):
        assert (vendor_says(carrier), gate_says(carrier)) == ("ok", "ok")


def test_what_passgate_mints_passes_at_the_package() -> None:
    """And its holder can delegate from it there."""
    credential = mint_envelope(
        Holder.generate(),
        permissions={"api:search": {"max_daily_cost": 100, "x": 0.5}},
        now=time.time(),
        ttl_s=3600,
        agent_name="agent@dev.local",
        may_delegate=True,
    )
    carrier = json.loads(decode_base64url(credential.encode()))
    assert (vendor_says(carrier), gate_says(carrier)) == ("ok", "ok")


def test_passgate_mints_nothing_that_it_would_refuse() -> None:
    with pytest.raises(ValueError, match="permission_key"):
        mint_envelope(Holder.generate(), permissions={"": {}}, now=0, ttl_s=60)
    name = "x" * 65536
    with pytest.raises(ValueError, match="larger"):
        mint_envelope(Holder.generate(), permissions={}, now=0, ttl_s=60, agent_name=name)


def altered(alter: Callable[[Tree], object], child: bytes = bytes(32)) -> dict[str, Any]:
    """The fixture by the key of `child`, changed before the root's key signs it."""
    tree = envelope(child)
    alter(tree)
    return signed(tree)


def _both(tree: Tree) -> None:
    tree["permissions"] = tree["permissions"] * 2


def _loose(tree: Tree) -> None:
    tree["delegation_authority"] = True
    tree["provenance"]["delegation_chain"] = None


def _own_parents(tree: Tree) -> None:
    tree["provenance"]["delegation_chain"] = [fixture_root()]


THIRD = bytes(range(2, 34))
LEAF = bytes(range(32))
ROOT = fixture_root()
LOOSE = below(ROOT, alter=_loose, name="pp_middle")
MALFORMED = "passport_malformed"
LAX: list[tuple[str, dict[str, Any], str]] = [
    ("a time", altered(lambda t: t["provenance"].update(issued_at="junk")), MALFORMED),
    ("an agent", altered(lambda t: t["identity"].update(agent_id="agent_x")), MALFORMED),
    ("an issuer", altered(lambda t: t["provenance"]["issuer"].update(id="self:x")), MALFORMED),
    ("a permission twice", altered(_both), MALFORMED),
    ("evidence", altered(lambda t: t.update(verification_evidence=[1])), "passport_unsupported"),
    ("parents of its own issuer", altered(_own_parents, LEAF), "chain_invalid"),
    ("other parents", below(ROOT, LOOSE, child=THIRD, by=LEAF), "chain_invalid"),
    ("an id twice", below(ROOT, name="pp_self_fixture_root"), "chain_invalid"),
]


@pytest.mark.parametrize(("carrier", "code"), [row[1:] for row in LAX], ids=[r[0] for r in LAX])
def test_where_the_package_is_lax_and_the_gate_is_not(carrier: dict[str, Any], code: str) -> None:
    """Each of these is valid there; should that change, this table is to follow."""
    assert (vendor_says(carrier), gate_says(carrier)) == ("ok", code)


def _says(gate: RunningGate, carrier: dict[str, Any]) -> str:
    headers = {"X-Agent-Passport": credential_of(carrier)}
    answer = gate.request("GET", "/v1/search", headers=headers)
    return "allow" if answer.status == 200 else str(answer.json["code"])


def test_passports_of_the_package_at_a_running_gate(tmp_path: Path) -> None:
    """Allowed where honest; refused by name where tampered, expired, widened or replayed."""
    config = {
        "gate": {"profile": "L1"},
        "passport": {"formats": ["jwt", "envelope"]},
        "allow_self_issued": True,
        "self_issued": {
            "permissions": ["api:search"],
            "constraints": {"core:rate:max_per_minute": 8},
        },
    }
    honest = chain_of(2)
    leaf = honest[-1]
    tampered = copy.deepcopy(leaf)
    tampered["passport_json"]["identity"]["agent_name"] = "somebody"
    keys = AgentCredentials.generate()
    root = carrier_of(self_issued(keys, *permitting("api:search")))
    times = {
        name: root["passport_json"]["provenance"][name] for name in ("issued_at", "expires_at")
    }

    def widen(tree: Tree) -> None:
        tree["permissions"] = permitting("api:search", "api:export")
        tree["provenance"].update(times)

    widened = below(root, by=keys.private_key_bytes, alter=widen)
    orphan = copy.deepcopy(leaf)
    orphan["passport_json"]["provenance"]["delegation_chain"] = honest[:1]
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url, config=config) as gate:
        for carrier in honest:
            assert _says(gate, carrier) == "allow"
        seen = {name.lower(): value for name, value in upstream.seen[-1].headers}
        assert seen["x-passport-tier"] == "L0"
        assert seen["x-passport-agent"] == leaf["passport_json"]["identity"]["agent_id"]
        for carrier, code in (
            (tampered, "signature_invalid"),
            (fixture_root(), "passport_expired"),
            (widened, "chain_widened"),
            (orphan, "signature_invalid"),
        ):
            assert _says(gate, carrier) == code
        # New keys are no new customers: all of them come from one address.
        codes = [_says(gate, chain_of(0)[0]) for _ in range(8)]
        assert codes.count("allow") == 5
        assert set(codes) == {"allow", "rate_limited"}
        assert gate.stop() == 0


def test_a_reference_at_a_running_gate(tmp_path: Path) -> None:
    """Allowed with the proof of the passport that it names, once for each."""
    tree = platform(permissions=permitting("api:search"))
    fresh = carrier_of(self_issued(AgentCredentials.generate(), *permitting("api:search")))
    for name in ("issued_at", "expires_at"):
        tree["provenance"][name] = fresh["passport_json"]["provenance"][name]
    listed = tmp_path / "passports.json"
    listed.write_text(json.dumps([credential_of(signed(tree, SEED))]))
    entry = {
        "id": "iss_lab",
        "keys": {"keys": [{**jwk_of(KEY), "kid": "key-1"}]},
        "passports": f"file:{listed}",
        "formats": ["envelope"],
        "refresh": "1s",
    }
    config = {
        "gate": {"profile": "L1"},
        "passport": {"formats": ["envelope"]},
        "issuers": [entry],
    }
    with FakeUpstream() as upstream, running_gate(tmp_path, upstream.url, config=config) as gate:

        def ask(name: str, proof_of_it: str | None) -> str:
            headers = {"X-Modei-Passport-ID": name}
            if proof_of_it is not None:
                headers["DPoP"] = proof_of_it
            answer = gate.request("GET", "/v1/search", headers=headers)
            return "allow" if answer.status == 200 else str(answer.json["code"])

        url = f"http://127.0.0.1:{gate.port}/v1/search"
        proven = proof("pp_1", {"jwk": jwk_of(KEY)}, SEED, htu=url, iat=int(time.time()))
        assert ask("pp_1", None) == "proof_missing"
        assert ask("pp_1", proven) == "allow"
        assert ask("pp_1", proven) == "proof_replayed"
        assert ask("pp_2", None) == "passport_unknown"
        listed.write_text("[]")
        eventually(lambda: ask("pp_1", None) == "passport_unknown")
        listed.write_text('["rubbish"]')
        assert gate.stop() == 0
