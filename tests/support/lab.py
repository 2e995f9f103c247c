"""A gate as a file of vectors describes it: configuration, keys, lists; judged without any I/O."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from passgate.config import build_issuers, build_policy, load_config
from passgate.core.constraints import refusal_for
from passgate.core.decision import conclude, decide
from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.kills import Kill, Kills, kills_of
from passgate.core.policy import Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Wire, canonical_request
from passgate.core.revocation import read_revocation_list
from passgate.core.trust import Issuer, KeySet, Trust
from passgate.ledger.memory import MemoryLedger
from passgate.ledger.protocol import Shortfall

PEER = "192.0.2.1"


class Lab:
    """The gate of a file of vectors, as its configuration makes it."""

    def __init__(self, document: dict[str, Any], directory: Path) -> None:
        self.at: int = document["at"]
        for name, content in document["files"].items():
            (directory / name).write_text(content)
        file = directory / "gate.yaml"
        file.write_text(json.dumps(document["config"]))  # JSON is YAML
        config = load_config(file, {}).config
        self.policy: Policy = build_policy(config)
        self.issuers = list(zip(build_issuers(config), config.issuers, strict=True))
        self.directory = directory

    def trust(self, read_at: Instant) -> Trust:
        return Trust(
            {
                entry.id: self._learnt(entry, json.dumps(settings.keys.document), read_at)
                for entry, settings in self.issuers
            }
        )

    def _learnt(self, entry: Issuer, jwks: str, read_at: Instant) -> Issuer:
        keys = parse_jwks(jwks.encode())
        listed = (self.directory / f"{entry.id}.jwt").read_bytes()
        revoked = read_revocation_list(listed, entry.id, keys, now=self.at, plain_allowed=False)
        return replace(entry, keys=KeySet(keys, "1", read_at), revocations=revoked.read_at(read_at))

    def judge(self, asked: dict[str, Any], ledger: MemoryLedger) -> dict[str, str]:
        """What the gate decides, as the vectors expect it."""
        at = asked.get("at", self.at)
        headers = [(name.encode(), value.encode()) for name, value in asked["headers"]]
        wire = Wire(asked["method"], asked["target"].encode(), headers, asked.get("peer", PEER))
        request = canonical_request(wire, self.policy.request_rules)
        if isinstance(request, Refusal):
            return _shown("block", request)
        now = Instant(at, 1e6 + at)
        read_at = asked.get("read_at", at)
        trust = replace(
            self.trust(Instant(read_at, 1e6 + read_at)), kills=_kills(asked.get("kills", []))
        )
        plan = decide(request, self.policy, trust, now)
        if plan.needs_body and plan.refusal is None:
            request.body = asked.get("body", "").encode()
            plan = decide(request, self.policy, trust, now)
        decision = conclude(plan, None)
        if decision.decision == "allow":
            taken = ledger.reserve(plan.charges, now)
            if isinstance(taken, Shortfall):
                decision = conclude(plan, refusal_for(taken.charge, taken.retry_after_s))
        return _shown(decision.decision, decision.refusal)


def _kills(orders: list[dict[str, str]]) -> Kills:
    return kills_of(
        Kill("kill_1", order["kind"], order.get("id", ""), order.get("issuer", ""), "", "ann", 0)
        for order in orders
    )


def _shown(decision: str, refusal: Refusal | None) -> dict[str, str]:
    shown = {"decision": decision}
    if refusal is not None:
        shown["code"] = refusal.code
        if refusal.constraint:
            shown["constraint"] = refusal.constraint
    return shown
