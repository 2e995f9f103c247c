"""Writes docs/reference/reasons.md from the table of reasons; prints it with --stdout."""

import sys
from pathlib import Path

from passgate.core.reasons import REASONS

PAGE = Path(__file__).parents[1] / "reference" / "reasons.md"

WHAT_TO_DO = {
    "request_malformed": "Send one plain HTTP/1.1 request: one Host, one length, a canonical path. `detail` names the fault.",
    "action_unknown": "Call a route that the gate knows. Operators: add it to `actions.routes`.",
    "passport_missing": "Present a passport. `upgrade_url` says where to get one.",
    "passport_ambiguous": "Send one credential, in one header.",
    "passport_unknown": "Present the passport itself rather than a reference to it.",
    "passport_malformed": "Ask the issuer for a new passport; this one is damaged or badly made.",
    "passport_unsupported": "Use a passport without that feature, or a gate that has it.",
    "passport_too_large": "Ask for a passport with fewer entries; 64 KiB is the most.",
    "issuer_unknown": "Use a passport of an issuer that this gate lists. Operators: `issuers`.",
    "issuer_untrusted": "The issuer is listed, but not for passports of this kind.",
    "issuer_revoked": "Get a passport from another issuer.",
    "key_unknown": "The issuer may have changed its keys: ask it for a new passport, or retry once the gate has read them.",
    "signature_invalid": "The passport was altered or made with another key. Ask the issuer for it again.",
    "passport_expired": "Ask the issuer for a new passport.",
    "passport_not_yet_valid": "Wait, or check the clocks: `nbf` or `iat` lies in the future.",
    "passport_lifetime": "Ask for a passport that lives shorter. Operators: `passport.max_lifetime`.",
    "audience_mismatch": "Ask for a passport whose `aud` names this gate.",
    "passport_revoked": "Stop using this passport; ask its issuer why.",
    "trust_stale": "Retry after `retry_after_s`. Operators: the issuer's keys or revocations were not read for longer than `max_stale`; see `/readyz`.",
    "killed": "Stop, and ask the operator of the gate: nothing that the agent can do will help. With 503 everything is stopped. Operators: `passgate kill list`.",
    "chain_invalid": "Delegate anew: each parent must be bound to a key, may delegate, and stand unchanged before its child.",
    "chain_widened": "Delegate anew, with permissions that the parent covers.",
    "chain_too_deep": "Delegate from a passport nearer to the root: five parents are the most.",
    "proof_missing": "Send a `DPoP` header with a proof by the key that the passport is bound to, or sign the request with it.",
    "proof_invalid": "`detail` says what is wrong; make a new proof for each request, with the nonce of `DPoP-Nonce` where the answer has one.",
    "proof_replayed": "Make a new proof, with another `jti`, for each request.",
    "catalog_mismatch": "Get a passport pinned to the catalog that this gate offers now.",
    "action_not_in_catalog": "Choose an action of the catalog.",
    "permission_denied": "Ask the issuer for the permission in `required_permissions`.",
    "action_blocked": "A grant of the passport forbids this action, whatever else allows it.",
    "constraint_violated": "`constraint` names the rule; change the request or ask for other terms.",
    "constraint_unknown": "`constraint` names a key that this version does not enforce; ask for a passport without it.",
    "rate_limited": "Retry after `retry_after_s`.",
    "budget_exhausted": "`constraint` names the limit; wait for its window or ask for a larger budget.",
    "concurrency_limited": "Let a running request end, then retry.",
    "approval_required": "A person must approve this request. `hold` says where it waits: ask `status_url`, or send the same request again, after `Retry-After`; `Prefer: wait=55` waits at the gate.",
    "approval_denied": "A person, or time, decided against this request; `detail` says why. It is remembered until `Retry-After` has passed.",
    "idempotency_conflict": "Make a new key for a new request; repeat the first one unchanged under its own.",
    "ledger_unavailable": "Retry later. Operators: the counters are out of reach.",
    "upstream_unreachable": "Retry later. Operators: `upstream.url` refuses connections.",
    "upstream_bad_response": "Operators: the upstream broke HTTP; its answer was not passed on.",
    "upgrade_unsupported": "Do not ask for an upgrade (WebSocket) here. Operators: with `upstream.http2` there is none.",
    "upstream_timeout": "Retry later. Operators: `upstream.first_byte_timeout`.",
    "log_unavailable": "Retry later. Operators: the log cannot be written; see `/readyz` and the free space.",
    "overloaded": "Retry later. Operators: `limits.connections` or `upstream.max_connections` is reached.",
    "internal_error": "Report the `decision_id`; the operator's log has the details.",
}
"""What the reader of a refusal can do, per code; a test holds it to the table."""


def page() -> str:
    """The whole page."""
    rows = [
        f'| <a id="{r.code}"></a>`{r.code}` | {r.check or "–"} | {r.status} '
        f"| {r.oauth or '–'} | {r.title} | {WHAT_TO_DO[r.code]} |"
        for r in REASONS.values()
    ]
    return "\n".join(
        [
            "# Reason codes",
            "",
            "Every refusal names one of these codes in `code`. The number is the check that gives it",
            "([the checks](../concepts/checks.md)); `error` is the word in `WWW-Authenticate`. A status",
            "may be more exact where HTTP has one (413, 414, 415, 431 for a malformed request).",
            "",
            "This page is made from the table in `passgate.core.reasons`.",
            "",
            "| code | check | status | error | what it says | what to do |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
