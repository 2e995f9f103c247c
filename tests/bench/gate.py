"""The gate's side of the bench: an issuer, its passports, and a configuration with every check."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers import free_port

from passgate.authority.keys import KeySigner, new_issuer
from passgate.authority.minting import PASSPORT_TYP, mint_passport
from passgate.authority.revoking import new_list
from passgate.ulid import encode_ulid

_TTL_S = 86_400


@dataclass(frozen=True)
class Issued:
    """An issuer's public side, and a file with the passports that it minted, one a line."""

    issuer: str
    jwks: str
    directory: Path
    signer: KeySigner

    def passports(self, count: int) -> Path:
        """A file of `count` different passports of about 600 bytes; minted once, then kept.

        Each has limits that count but never end.
        """
        path = self.directory / f"passports-{count}.txt"
        if path.exists():
            return path
        now = time.time()
        # One is minted as operators do it, which reads it back; the others differ in their ids.
        pattern = mint_passport(
            self.signer,
            agent="agent_0",
            permissions=["api:search"],
            constraints={
                "core:rate:max_per_minute": 1_000_000,
                "core:cost:max_cumulative": 100_000_000,
                "core:scope:method_allowlist": ["GET", "POST"],
            },
            audience=["gate_bench"],
            now=now,
            ttl_s=_TTL_S,
        ).claims
        with path.open("w") as file:
            for number in range(count):
                ids = {
                    "sub": f"agent_{number}",
                    "jti": "pass_" + encode_ulid(int(now * 1000), os.urandom(10)),
                }
                file.write(self.signer.sign(PASSPORT_TYP, {**pattern, **ids}) + "\n")
        return path

    def one(self) -> str:
        """One good passport."""
        return self.passports(1).read_text().strip()


def issue(directory: Path) -> Issued:
    """A new issuer with an empty revocation list, in `directory`."""
    at = directory / "issuer"
    signer = new_issuer(at, "iss_bench")
    new_list(at, signer, time.time())
    return Issued("iss_bench", (at / "jwks.json").read_text(), at, signer)


def spoilt(passport: str) -> str:
    """The same passport with another signature."""
    head, payload, signature = passport.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@dataclass(frozen=True)
class GateFiles:
    """A gate.yaml and where its gate will be found."""

    config: Path
    port: int
    admin_port: int
    data_dir: Path


def gate_config(
    directory: Path, upstream: int, issued: Issued, durability: str, **sections: Any
) -> GateFiles:
    """A gate.yaml for one durability, with the embedded ledger and the log on this disk.

    `sections` replace those written here.
    """
    port, admin_port = free_port(), free_port()
    data_dir = directory / f"data-{port}"
    config = {
        "gate": {"id": "gate_bench", "data_dir": str(data_dir)},
        "listen": {"address": f"127.0.0.1:{port}"},
        "admin": {"address": f"127.0.0.1:{admin_port}"},
        "upstream": {"url": f"http://127.0.0.1:{upstream}"},
        "issuers": [
            {
                "id": issued.issuer,
                "keys": f"file:{issued.directory}/jwks.json",
                "revocations": f"file:{issued.directory}/revocations.jwt",
            }
        ],
        "actions": {
            "routes": [{"match": "GET /v1/search", "action": "api:search", "cost_cents": 1}]
        },
        "audit": {"durability": durability},
    } | sections
    path = directory / f"gate-{port}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return GateFiles(path, port, admin_port, data_dir)
