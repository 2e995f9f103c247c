"""Makes `csp.json`: csp tokens at a gate, allowed, with one fault each, and with two.

Deterministic: run `python -m tests.vectors.make_csp` and commit what changed; a test holds the file
to what is made here. Of two faults the gate names the one of the lower check. The keys are for
tests alone.
"""

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.craft import KEY, OTHER_SEED, SEED, UNSET, b64, compact_json, raw_credential
from tests.csp_craft import HEADER, claims_of, named, token
from tests.vectors.make_decisions import allowed, refused, vector

FILE = Path(__file__).with_name("csp.json")
AT = 1_800_000_000
_P: Final = int(
    "d2d93eb32aba2d5d08576842033150e00138002d1407799b1298a55b2b163f82fae6f48e4d1f3ae212011f"
    "ce80e75d140bc0a64bcfad76653ae2a41c057b1602b40a88d2bc4cb74f0bd5cb3f2bd211a47980a8e1d941"
    "0411f166bde721065b8ab8a62d47cdc6a60dd034379c81693d32ad0eeadc9652e87c21f06f2d8db88685",
    16,
)
_Q: Final = int(
    "c50e85dc71f449e7a449f903077b217868e03256ccffd026128bc88d6455574db7dbae5e830dd99ed6b07e"
    "c7c09ea0938752e55a773ca905ab8de2f2801b28ac9e47fe6304e88a59a56a59a420c497cce644bc426c2b"
    "3059635b795a96f211ee671d8db2358b6e77548c00eefe4e4578f5579e913bd090339ee910bff359cf23",
    16,
)

RSA_KEY: Final = rsa.RSAPrivateNumbers(
    p=_P,
    q=_Q,
    d=pow(65537, -1, (_P - 1) * (_Q - 1)),
    dmp1=pow(65537, -1, _P - 1),
    dmq1=pow(65537, -1, _Q - 1),
    iqmp=pow(_Q, -1, _P),
    public_numbers=rsa.RSAPublicNumbers(65537, _P * _Q),
).private_key()
EC_KEY: Final = ec.derive_private_key(7, ec.SECP256R1())
_POINT: Final = EC_KEY.public_key().public_numbers()


def _revoked(issuer: str, *ids: str) -> str:
    entries = [{"kind": "passport", "id": name, "at": AT, "reason": ""} for name in ids]
    claims = {"iss": issuer, "iat": AT - 60, "exp": AT + 86_400, "revoked": entries}
    header = {"alg": "EdDSA", "kid": "key-1", "typ": "revocations+jwt"}
    return raw_credential(compact_json(header), compact_json(claims))


_ED25519 = {"kty": "OKP", "crv": "Ed25519", "kid": "key-1", "x": b64(KEY)}
_RSA = {"kty": "RSA", "kid": "rsa", "n": b64((_P * _Q).to_bytes(256, "big")), "e": "AQAB"}
_EC = {
    "kty": "EC",
    "kid": "ec",
    "crv": "P-256",
    "x": b64(_POINT.x.to_bytes(32, "big")),
    "y": b64(_POINT.y.to_bytes(32, "big")),
}
CONFIG: dict[str, Any] = {
    "gate": {"id": "gate_a", "profile": "L2"},
    "upstream": {"url": "http://127.0.0.1:8000"},
    "passport": {"formats": ["jwt", "csp"]},
    "issuers": [
        {
            "id": "iss_lab",
            "keys": {"keys": [_ED25519, _RSA, _EC]},
            "revocations": "file:iss_lab.jwt",
            "formats": ["csp"],
            "assurance": {"ial": 1},
        },
        {
            "id": "iss_open",
            "keys": {"keys": [_ED25519]},
            "revocations": "file:iss_open.jwt",
            "formats": ["csp"],
            "catch_all": True,
            "permissions": ["api:*"],
        },
        {
            "id": "iss_native",
            "keys": {"keys": [_ED25519]},
            "revocations": "file:iss_native.jwt",
        },
    ],
    "actions": {
        "routes": [
            {"match": "GET /v1/search", "action": "api:search"},
            {"match": "POST /v1/orders", "action": "shop:order"},
        ]
    },
}
ROOT = claims_of("alice", tool_scope=["api:*", "shop:buy"])
CHILD = claims_of("bob", ROOT, tool_scope=["api:*"])
LEAF = claims_of("carol", CHILD)
ACTORS = LEAF["act"]


def other(claims: Mapping[str, Any], alg: str, kid: str) -> str:
    """The token of these claims by the RSA or the elliptic key, as `alg` says."""
    head = b64(compact_json({**HEADER, "alg": alg, "kid": kid}))
    signed = f"{head}.{b64(compact_json(named(claims)))}"
    if alg == "RS256":
        raw = RSA_KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(EC_KEY.sign(signed.encode(), algorithm))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{signed}.{b64(raw)}"


def but(claims: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not UNSET}


def asked(leaf: str, *parents: str, method: str = "GET", target: str = "/v1/search") -> Any:
    """A request with a leaf and its parents, as their texts."""
    headers = [["Host", "api.example"], ["X-Agent-Passport", leaf]]
    if parents:
        headers.append(["X-Agent-Passport-Chain", ", ".join(parents)])
    return {"method": method, "target": target, "headers": headers}


def chained(*links: Mapping[str, Any]) -> Any:
    """A request with the last of these claims, the others above it."""
    *parents, leaf = [token(link) for link in links]
    return asked(leaf, *parents)


def of_leaf(**changes: Any) -> Any:
    return chained(ROOT, CHILD, but(LEAF, **changes))


def passing() -> list[dict[str, Any]]:
    top = but(ROOT, tool_scope=["*"])
    deep = [ROOT]
    for agent in "bcdef":
        deep.append(claims_of(agent, deep[-1], tool_scope=["api:*"]))
    return [
        vector("A root passes for what its scope covers", allowed(chained(ROOT))),
        vector("A child and a grandchild pass with their parents in order",
               allowed(chained(ROOT, CHILD)), allowed(of_leaf())),
        vector("Five parents are followed, the most that there may be", allowed(chained(*deep))),
        vector("A key verifies by its own algorithm, and links may be signed by several",
               allowed(asked(other(ROOT, "RS256", "rsa"))),
               allowed(asked(other(ROOT, "ES256", "ec"))),
               allowed(asked(other(CHILD, "ES256", "ec"), other(ROOT, "RS256", "rsa")))),
        vector("A child that says it outlives its parent lives as long as that",
               allowed(of_leaf(exp=AT + 9_000)),
               refused({**of_leaf(exp=AT + 9_000), "at": AT + 931}, "passport_expired")),
        vector("Levels may fall along a chain, and need not be told",
               allowed(of_leaf(ial=1)), allowed(of_leaf(aal=UNSET, fal=UNSET))),
        vector("A parent is for whoever its agent called",
               allowed(chained(but(ROOT, aud="elsewhere"), but(CHILD, aud="there"), LEAF))),
        vector("A scope is a pattern over actions, also with classes in it",
               *(allowed(chained(but(ROOT, tool_scope=[scope])))
                 for scope in ("api:search", "api:s*", "*:search", "a[op]i:s?arch", "[!b]*:s*"))),
        vector("A parent may have a catch-all where the leaf names what it may do",
               allowed(chained(top, CHILD))),
        vector("An issuer that may write catch-alls grants what it may grant",
               allowed(chained(but(top, iss="iss_open"))),
               refused({**asked(token(but(top, iss="iss_open")), method="POST",
                                target="/v1/orders")}, "permission_denied")),
    ]  # fmt: skip


LEAF_FAULTS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "a claim that is missing": (4, "passport_malformed", {"agent_model": UNSET}),
    "a claim that nobody enforces": (4, "passport_unsupported", {"cnf": {"jkt": "x"}}),
    "an issuer that nobody listed": (5, "issuer_unknown", {"iss": "iss_z"}),
    "too little assurance": (5, "issuer_untrusted", {"ial": UNSET}),
    "an end that has come": (7, "passport_expired", {"exp": AT - 60}),
    "a beginning that has not": (7, "passport_not_yet_valid", {"nbf": AT + 60}),
    "another audience": (8, "audience_mismatch", {"aud": "gate_b"}),
    "a revoked id": (9, "passport_revoked", {"jti": "jti-gone"}),
    "another person": (10, "chain_invalid", {"sub": "person-2"}),
    "a wider scope": (10, "chain_widened", {"tool_scope": ["api:search", "shop:buy"]}),
    "no scope": (13, "permission_denied", {"tool_scope": UNSET}),
}
"""What can be wrong with a leaf: the number of the check, its code, and the claims that do it."""


def faulty() -> list[dict[str, Any]]:
    signed = token(LEAF)
    above = (token(ROOT), token(CHILD))
    act = {"sub": "carol", "act": {"sub": "z"}}
    refusals: dict[str, list[tuple[str, Any]]] = {
        "A token that is none is malformed": [
            ("passport_malformed", asked(signed.replace(".", "-"), *above)),
            ("passport_malformed", asked(signed, "x")),
            ("passport_malformed", asked(signed, *above, "")),
            ("passport_malformed", of_leaf(ial="2")),
            ("passport_malformed", of_leaf(ial=None)),
            ("passport_malformed", of_leaf(aud=["gate_a"])),
            ("passport_malformed", of_leaf(tool_scope="api:*")),
            ("passport_malformed", of_leaf(act={"sub": "z"})),
        ],
        "What this gate cannot enforce in a token is not read over": [
            ("passport_unsupported", asked(token(LEAF, {"alg": "none"}), *above)),
            ("passport_unsupported", asked(token(LEAF, {"alg": "Ed25519"}), *above)),
            ("passport_unsupported", asked(token(LEAF, {"jwk": {}}), *above)),
            ("passport_unsupported", of_leaf(permissions=["*"])),
            ("passport_unsupported", of_leaf(act={**ACTORS, "iss": "x"})),
            ("passport_unsupported", of_leaf(tool_scope=["a"] * 129)),
        ],
        "A key of another issuer, kind or owner does not verify": [
            ("key_unknown", asked(token(LEAF, {"kid": "key-9"}), *above)),
            ("key_unknown", asked(other(but(ROOT, iss="iss_open"), "RS256", "rsa"))),
            ("signature_invalid", asked(token(LEAF, seed=OTHER_SEED), *above)),
            ("signature_invalid", asked(signed, token(ROOT, seed=OTHER_SEED), above[1])),
            ("signature_invalid", asked(token(ROOT, {"kid": "ec"}))),
            ("signature_invalid", asked(other(ROOT, "ES256", "rsa"))),
        ],
        "An issuer is trusted for its formats alone": [
            ("issuer_untrusted", asked(token(but(ROOT, iss="iss_native")))),
        ],
        "Parents swapped, dropped, repeated or added are not those of the leaf": [
            ("chain_invalid", asked(signed)),
            ("chain_invalid", asked(signed, *reversed(above))),
            ("chain_invalid", asked(signed, above[0])),
            ("chain_invalid", asked(signed, above[1])),
            ("chain_invalid", asked(signed, above[0], *above)),
            ("chain_invalid", asked(signed, *above, above[1])),
            ("chain_invalid", asked(signed, *above, token(claims_of("zoe")))),
            ("chain_invalid", asked(token(ROOT), token(claims_of("zoe")))),
            ("chain_too_deep", asked(signed, *above * 3)),
        ],
        "A chain is about one person, told the same by every link": [
            ("chain_invalid", of_leaf(sub="person-2")),
            ("chain_invalid", of_leaf(acr="x")),
            ("chain_invalid", of_leaf(act=act)),
            ("chain_invalid", of_leaf(ial=3)),
            ("chain_invalid", chained(but(ROOT, aal=UNSET), CHILD)),
            ("chain_invalid", chained(but(ROOT, iss="iss_open"), CHILD)),
            ("chain_invalid", chained(but(ROOT, parent_jti="x"), CHILD)),
            ("chain_invalid", of_leaf(jti="a/b")),
        ],
        "A child holds no more than its parent, by csp's own rule": [
            ("chain_widened", of_leaf(tool_scope=["*"])),
            ("chain_widened", of_leaf(tool_scope=["api:s*"])),
            ("chain_widened", of_leaf(tool_scope=["shop:buy"])),
        ],
        "An ancestor that expired or was revoked ends what is below it": [
            ("passport_expired", chained(but(ROOT, exp=AT - 60), CHILD, LEAF)),
            ("passport_not_yet_valid", chained(ROOT, but(CHILD, nbf=AT + 60), LEAF)),
            ("passport_revoked",
             chained(but(ROOT, jti="jti-gone"), but(CHILD, parent_jti="jti-gone"))),
        ],
        "A leaf that may do everything in any spelling may do nothing": [
            ("permission_denied", chained(but(ROOT, tool_scope=[scope])))
            for scope in ("*", "**", "*:*", "?*", "[!x]*", "[a-z]*")
        ],
    }  # fmt: skip
    return [
        vector(title, *(refused(request, code) for code, request in requests))
        for title, requests in refusals.items()
    ]


def mixed() -> list[dict[str, Any]]:
    """Two faults of one leaf: nobody learns of a later check what an earlier one refuses."""
    singles = [
        vector(
            f"With one fault a leaf is refused for it: {what}", refused(of_leaf(**changes), code)
        )
        for what, (_, code, changes) in LEAF_FAULTS.items()
    ]
    pairs = []
    for (what, one), (also, another) in combinations(LEAF_FAULTS.items(), 2):
        if one[2].keys() & another[2].keys() or one[0] == another[0]:
            continue
        _, code, _ = min(one, another, key=lambda fault: fault[0])
        both = of_leaf(**one[2], **another[2])
        pairs.append(vector(f"Of two faults the earlier: {what}, and {also}", refused(both, code)))
    return singles + pairs


def document() -> dict[str, Any]:
    return {
        "about": "csp tokens at a gate. Headers are as they were sent; `at` is the time in Unix"
        " seconds.",
        "at": AT,
        "config": CONFIG,
        "files": {
            "iss_lab.jwt": _revoked("iss_lab", "jti-gone", "jti-alice/jti-bob/jti-gone"),
            "iss_open.jwt": _revoked("iss_open"),
            "iss_native.jwt": _revoked("iss_native"),
        },
        "seeds": {"key-1": SEED.hex()},
        "vectors": [*passing(), *faulty(), *mixed()],
    }


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
