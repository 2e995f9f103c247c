"""The gate's side of the bench: an issuer, its passports, and a configuration with every check."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers import free_port

from passgate.authority.keys import new_issuer
from passgate.authority.minting import mint_passport
from passgate.authority.revoking import new_list


@dataclass(frozen=True)
class Issued:
    """An issuer's public side and the passports that it minted."""

    issuer: str
    jwks: str
    passports: list[str]
    directory: Path


def issue(directory: Path, count: int) -> Issued:
    """`count` different passports of about 600 bytes, each with limits that count but never end."""
    at = directory / "issuer"
    signer = new_issuer(at, "iss_bench")
    now = time.time()
    new_list(at, signer, now)
    passports = [
        mint_passport(
            signer,
            agent=f"agent_{number}",
            permissions=["api:search"],
            constraints={
                "core:rate:max_per_minute": 1_000_000,
                "core:cost:max_cumulative": 100_000_000,
                "core:scope:method_allowlist": ["GET", "POST"],
            },
            audience=["gate_bench"],
            now=now,
            ttl_s=86_400,
        ).token
        for number in range(count)
    ]
    return Issued("iss_bench", (at / "jwks.json").read_text(), passports, at)


def gate_config(directory: Path, port: int, upstream: int, issued: Issued, durability: str) -> Path:
    """A gate.yaml for one durability, with the embedded ledger and the log on this disk."""
    path = directory / f"gate-{durability}.yaml"
    config = {
        "gate": {"id": "gate_bench", "data_dir": str(directory / f"data-{durability}")},
        "listen": {"address": f"127.0.0.1:{port}"},
        "admin": {"address": f"127.0.0.1:{free_port()}"},
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
    }
    path.write_text(json.dumps(config))  # JSON is YAML
    return path
