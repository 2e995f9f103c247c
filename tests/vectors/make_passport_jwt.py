"""Makes `passport-jwt.json`: native passports against requests, with the reason code expected.

Deterministic: run `python -m tests.vectors.make_passport_jwt` and commit what changed; a test
compares. The private seeds are in the file, so that anyone can add a case. One vector is one
credential, and each of its requests names what differs from the `gate` block: the time, the action,
and what the request declares. `expect` is a reason code of the contract, `allow`, or
`approval_required` for a hold.
"""

import json
from pathlib import Path
from typing import Any

from tests.craft import (
    CLAIMS,
    HEADER,
    OTHER_SEED,
    SEED,
    UNSET,
    b64,
    compact_json,
    credential,
    raw_credential,
    sign_parts,
)

SELF_ISSUER = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
FILE = Path(__file__).with_name("passport-jwt.json")
AT = 1_800_000_000
DAY = 86_400

ISSUERS: dict[str, Any] = {
    "iss_lab": {"seeds": {"key-1": SEED.hex(), "key-2": OTHER_SEED.hex()}, "permissions": ["*"]},
    "iss_small": {"seeds": {"key-1": SEED.hex()}, "permissions": ["api:*"]},
    "iss_revoked": {"seeds": {"key-1": SEED.hex()}, "permissions": ["*"], "issuer_revoked": True},
    "iss_envelopes": {
        "seeds": {"key-1": SEED.hex()},
        "permissions": ["*"],
        "formats": ["envelope"],
    },
    "iss_stale": {"seeds": {"key-1": SEED.hex()}, "permissions": ["*"], "read_s_ago": 3601},
    "iss_unread": {"permissions": ["*"]},
    "iss_listless": {"seeds": {"key-1": SEED.hex()}, "permissions": ["*"], "list": False},
}
REVOKED = {
    "passports": ["pass_revoked"],
    "agents": ["agent-revoked"],
    "keys": ["key-2"],
}
GATE = {
    "id": "gate_lab",
    "audience": ["https://api.example"],
    "clock_skew_s": 30,
    "max_lifetime_s": 90 * DAY,
    "max_stale_s": 3600,
    "max_credential_bytes": 65_536,
    "at": AT,
    "action": "api:search",
}


def request(expect: str, **differs: Any) -> dict[str, Any]:
    return {**differs, "expect": expect}


def vector(title: str, passport: str, *requests: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "passport": passport, "requests": list(requests)}


def one(title: str, expect: str, **claims: Any) -> dict[str, Any]:
    """A passport that differs from the least one by these claims, and one request."""
    return vector(title, credential(claims), request(expect))


def header(title: str, expect: str, **members: Any) -> dict[str, Any]:
    """A passport that differs by these header members, and one request."""
    return vector(title, credential(header=members), request(expect))


def shapes() -> list[dict[str, Any]]:
    head, body, tail = credential().split(".")
    payload = compact_json(CLAIMS)
    least = compact_json(HEADER)
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[tail[-1]]
    room = GATE["max_credential_bytes"] - len(credential({"agent_name": ""}))  # type: ignore[operator]  # an int
    long_name = "x" * (room * 3 // 4 - 1)
    return [
        vector("not a credential", "hello", request("passport_malformed")),
        vector("two parts", f"{head}.{body}", request("passport_malformed")),
        vector("four parts", f"{head}.{body}.{tail}.{tail}", request("passport_malformed")),
        vector("padded base64url", f"{head}.{body}.{tail}==", request("passport_malformed")),
        vector(
            "unused bits set", f"{head}.{body}.{tail[:-1]}{last}", request("passport_malformed")
        ),
        vector("newline after", f"{head}.{body}.{tail}\n", request("passport_malformed")),
        vector("payload detached", f"{head}..{tail}", request("passport_malformed")),
        vector(
            "padded payload, signed so", sign_parts(head, body + "="), request("passport_malformed")
        ),
        vector(
            "duplicate claim, signed so",
            raw_credential(least, payload[:-1] + b',"permissions":["*"]}'),
            request("passport_malformed"),
        ),
        vector(
            "duplicate member deep inside",
            raw_credential(least, payload[:-1] + b',"metadata":{"a":[{"b":1,"b":2}]}}'),
            request("passport_malformed"),
        ),
        vector(
            "duplicate header member",
            raw_credential(b'{"alg":"none","alg":"EdDSA","kid":"key-1"}', payload),
            request("passport_malformed"),
        ),
        vector(
            "nested five thousand deep",
            raw_credential(
                least, payload[:-1] + b',"metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
            ),
            request("passport_malformed"),
        ),
        vector(
            "as large as the gate reads",
            credential({"agent_name": long_name}),
            request("allow"),
        ),
        vector("larger than the gate reads", "A" * 65_537, request("passport_too_large")),
        vector(
            "envelope format",
            b64(b'{"passport_json":{"schema_version":2},"signature":"AAAA"}'),
            request("passport_unsupported"),
        ),
        header("alg none", "passport_unsupported", alg="none"),
        header("alg HS256", "passport_unsupported", alg="HS256"),
        header("alg Ed25519, the newer name", "allow", alg="Ed25519"),
        header("alg in lower case", "passport_unsupported", alg="eddsa"),
        header("typ absent", "allow", typ=UNSET),
        header("typ JWT", "allow", typ="JWT"),
        header("typ of a revocation list", "passport_malformed", typ="revocations+jwt"),
        header("kid absent", "passport_malformed", kid=UNSET),
        header("crit", "passport_unsupported", crit=["exp"]),
        header("jku", "passport_unsupported", jku="https://evil.example/jwks"),
        header("x5u", "passport_unsupported", x5u="https://evil.example/x5u"),
        header("embedded jwk", "passport_unsupported", jwk={"kty": "OKP"}),
        header("b64 false", "passport_unsupported", b64=False),
        one("exp as text", "passport_malformed", exp="1800003600"),
        one("exp as boolean", "passport_malformed", exp=True),
        one("exp with a fraction", "passport_malformed", exp=1800003600.5),
        one("sub with a newline", "passport_malformed", sub="agent\n7"),
        one("sub of 257 bytes", "passport_malformed", sub="a" * 257),
        one("jti absent", "passport_malformed", jti=UNSET),
        one("permissions absent", "passport_malformed", permissions=UNSET),
        one("permissions as one string", "passport_malformed", permissions="api:search"),
        one("star inside a permission", "passport_malformed", permissions=["api:*:x"]),
        one("empty audience", "passport_malformed", aud=[]),
        one(
            "constraint of a wrong type",
            "passport_malformed",
            constraints={"core:rate:max_per_minute": "ten"},
        ),
        one("half of the catalog trio", "passport_malformed", gate_id="gate_lab"),
        one("cnf with half a thumbprint", "passport_malformed", cnf={"jkt": "abc"}),
        one("empty chain", "passport_malformed", chain=[]),
        one("status by another mechanism", "passport_unsupported", status={"assertion": {}}),
        one("status without a place", "passport_malformed", status={"status_list": {"idx": 0}}),
        one(
            "status in a list that the gate does not know",
            "trust_stale",
            status={"status_list": {"idx": 0, "uri": "https://issuer.example/statuses/1"}},
        ),
        one("act", "passport_unsupported", act={"sub": "agent-8"}),
        one("scope", "passport_unsupported", scope="api:search"),
        one("may_delegate true, which no other agent uses", "allow", may_delegate=True),
        one("may_delegate false", "allow", may_delegate=False),
        one("may_delegate as a number", "passport_malformed", may_delegate=1),
        one("a claim nobody knows", "passport_unsupported", only_on_sundays=True),
    ]


def issuers_and_signatures() -> list[dict[str, Any]]:
    head, body, tail = credential().split(".")
    wider = b64(compact_json({**CLAIMS, "permissions": ["*"]}))
    return [
        one("unknown issuer", "issuer_unknown", iss="iss_nobody"),
        one("self-issued", "issuer_unknown", iss=SELF_ISSUER),
        one("issuer not trusted for this format", "issuer_untrusted", iss="iss_envelopes"),
        one("revoked issuer", "issuer_revoked", iss="iss_revoked"),
        one("issuer whose keys were never read", "trust_stale", iss="iss_unread"),
        one("issuer whose keys are too old", "trust_stale", iss="iss_stale"),
        one("issuer whose compulsory list was never read", "trust_stale", iss="iss_listless"),
        header("unknown key", "key_unknown", kid="key-9"),
        vector("claims exchanged", f"{head}.{wider}.{tail}", request("signature_invalid")),
        vector("signed by another key", credential(seed=OTHER_SEED), request("signature_invalid")),
        vector(
            "signature of zeros", f"{head}.{body}.{b64(bytes(64))}", request("signature_invalid")
        ),
    ]


def validity() -> list[dict[str, Any]]:
    return [
        vector(
            "times and skew",
            credential({"iat": AT, "nbf": AT + 100, "exp": AT + 1000}),
            request("passport_not_yet_valid", at=AT + 69),
            request("allow", at=AT + 70),
            request("allow", at=AT + 1029),
            request("passport_expired", at=AT + 1030),
        ),
        one("lives as long as may be", "allow", iat=AT, exp=AT + 90 * DAY),
        one("lives a second longer", "passport_lifetime", iat=AT, exp=AT + 90 * DAY + 1),
        one("for this gate by id", "allow", aud="gate_lab"),
        one("for this gate by another name", "allow", aud=["x", "https://api.example"]),
        one("for another gate", "audience_mismatch", aud=["gate_other"]),
        one("revoked passport", "passport_revoked", jti="pass_revoked"),
        one("revoked agent", "passport_revoked", sub="agent-revoked"),
        vector(
            "revoked key",
            credential(header={"kid": "key-2"}, seed=OTHER_SEED),
            request("passport_revoked"),
        ),
        one(
            "stale, but revoked all the same",
            "passport_revoked",
            iss="iss_stale",
            jti="pass_revoked",
        ),
    ]


def permitted() -> list[dict[str, Any]]:
    grants = [
        {
            "resource": "shop",
            "allowedActions": ["buy", "list"],
            "blockedActions": ["sell"],
            "maxAmount": 7.42,
            "allowedVendors": ["acme.example"],
        },
        {"resource": "mail", "requiresApproval": True, "expiresAt": "2027-01-15T08:10:00Z"},
        {"resource": "old", "blockedActions": ["burn"], "expiresAt": "2020-01-01T00:00:00Z"},
    ]
    acme = {"vendor": "acme.example"}
    return [
        vector(
            "permission patterns",
            credential({"permissions": ["api:search", "shop:*"]}),
            request("allow"),
            request("permission_denied", action="api:export"),
            request("permission_denied", action="api:searching"),
            request("allow", action="shop:buy"),
            request("allow", action="shop:orders:buy"),
            request("permission_denied", action="shop"),
            request("permission_denied", action="shopping:buy"),
        ),
        vector(
            "no permission at all", credential({"permissions": []}), request("permission_denied")
        ),
        vector(
            "everything, from an issuer that may grant api only",
            credential({"iss": "iss_small", "permissions": ["*"]}),
            request("allow"),
            request("permission_denied", action="shop:buy"),
        ),
        vector(
            "grants restrict",
            credential({"permissions": ["*"], "grants": grants}),
            request("allow", action="api:search"),
            request("allow", action="shop:buy", amount="7.42", **acme),
            request("allow", action="shop:buy", amount="7.4200", **acme),
            request("constraint_violated", action="shop:buy", amount="7.43", **acme),
            request("constraint_violated", action="shop:buy", **acme),
            request("constraint_violated", action="shop:buy", amount="1"),
            request("constraint_violated", action="shop:buy", amount="1", vendor="evil.example"),
            request("permission_denied", action="shop:refund", amount="1", **acme),
            request("action_blocked", action="shop:sell", amount="1", **acme),
            request("action_blocked", action="api:sell"),
            request("action_blocked", action="api:burn"),
            request("permission_denied", action="old:list"),
            request("permission_denied", action="api:search", resource="old"),
            request("approval_required", action="mail:send"),
            request("permission_denied", action="mail:send", at=AT + 600),
        ),
    ]


def document() -> dict[str, Any]:
    return {
        "about": (
            "Native passports (compact JWS) against requests. Seeds are Ed25519 private seeds by "
            "kid, in hex. What an issuer's entry leaves out: formats [jwt], keys and revocations "
            "read just now, the list below for each. Where seeds are missing, keys were never read."
        ),
        "gate": GATE,
        "issuers": ISSUERS,
        "revoked": REVOKED,
        "vectors": [*shapes(), *issuers_and_signatures(), *validity(), *permitted()],
    }


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
