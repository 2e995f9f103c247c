"""Makes `refusals.json`: what every reason code looks like on the wire; a test compares.

Run `python -m tests.vectors.make_refusals` after a wanted change, read what changed, and commit it.
"""

import json
from pathlib import Path
from typing import Any

from passgate.core.reasons import REASONS, Refusal
from passgate.proxy.refusals import Surface, render

FILE = Path(__file__).with_name("refusals.json")
DECISION_ID = "att_01HZX0000000000000000000AA"
SURFACE = Surface(
    realm="gate_lab",
    profile="L2",
    schemes=("Passport", "Bearer"),
    reasons_url="https://api.example/.well-known/passgate/reasons",
    upgrade_url="https://api.example/signup",
    upgrade_message="Get a passport",
)
# What refusals of a code usually carry besides it.
DETAILS: dict[str, dict[str, Any]] = {
    "passport_missing": {"required_permissions": ("api:search",)},
    "permission_denied": {"required_permissions": ("api:search",)},
    "trust_stale": {"retry_after_s": 10},
    "constraint_violated": {"constraint": "core:scope:method_allowlist"},
    "constraint_unknown": {"constraint": "core:no:such"},
    "rate_limited": {"constraint": "core:rate:max_per_minute", "retry_after_s": 17},
    "budget_exhausted": {"constraint": "core:cost:max_cumulative", "retry_after_s": 3600},
    "concurrency_limited": {"constraint": "core:rate:max_concurrent"},
    "approval_required": {"constraint": "core:approval:required"},
}


def rendered(code: str) -> dict[str, Any]:
    refusal = Refusal(code, **DETAILS.get(code, {}))
    anonymous = code in ("passport_missing", "action_unknown")
    answer = render(refusal, SURFACE, decision_id=DECISION_ID, anonymous=anonymous)
    return {
        "status": answer.status,
        "headers": answer.headers.decode("ascii").split("\r\n")[:-1],
        "body": json.loads(answer.body),
    }


def text() -> str:
    return json.dumps({code: rendered(code) for code in REASONS}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
