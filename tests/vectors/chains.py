"""Chains of delegated passports for `decisions.json`: what a child may, and what it may not."""

from hashlib import sha256
from typing import Any

from nacl.bindings import crypto_sign_seed_keypair
from tests.craft import UNSET, credential, jwk_of

from passgate.core.jwks import thumbprint


def seed_of(name: str) -> bytes:
    """The private seed of the holder of this name."""
    return sha256(f"holder {name}".encode()).digest()


def public(name: str) -> bytes:
    return crypto_sign_seed_keypair(seed_of(name))[0]


def bound(name: str) -> dict[str, Any]:
    """Claims that bind a passport to the key of `name` and let it delegate."""
    return {"cnf": {"jwk": jwk_of(public(name))}, "may_delegate": True}


def root(**claims: Any) -> str:
    """A passport of agent-7 that may delegate."""
    return credential({"jti": "pass_root", "permissions": ["api:*"], **bound("root"), **claims})


def below(*chain: str, by: str = "root", **claims: Any) -> str:
    """A child of the last passport in `chain`, signed by holder `by`, with these claims."""
    return credential(
        {
            "sub": "agent-7/a",
            "jti": "pass_a",
            "permissions": ["api:search"],
            "chain": list(chain),
            **claims,
        },
        {"kid": thumbprint(public(by))},
        seed_of(by),
    )


def allowed_chains() -> dict[str, str]:
    """What passes for `api:search`, by what is special about it."""
    top = root()
    second = below(top, permissions=["api:*"], **bound("a"))
    third = below(top, second, by="a", sub="agent-7/a/b", jti="pass_b", **bound("b"))
    bearer = below(top, second, third, by="b", sub="agent-7/a/b/c", jti="pass_c")
    return {
        "a child with a part of it": below(top),
        "a child with all of it": below(top, permissions=["api:*"]),
        "a great-grandchild": bearer,
        "a child that says it lives longer than its parent": below(top, exp=1_800_000_000 + 7200),
    }


def refused_chains() -> dict[str, tuple[str, str]]:
    """(reason code, passport) for what is wrong with a chain, by what that is."""
    top = root()
    second = below(top, permissions=["api:*"], **bound("a"))
    other = root(jti="pass_other")
    deep = [top]
    names = ["root"]
    for depth in range(4):
        name = f"d{depth}"
        agent = "agent-7/" + "/".join(f"d{n}" for n in range(depth + 1))
        deep.append(below(*deep, by=names[-1], sub=agent, jti=f"pass_{name}", **bound(name)))
        names.append(name)
    bare = root(cnf=UNSET)
    by_thumbprint = root(cnf={"jkt": thumbprint(public("root"))})
    return {
        "presented by its thief, a parent lacks the proof": ("proof_missing", top),
        "a bound child presented without its key": ("proof_missing", second),
        "wider than its parent": ("chain_widened", below(top, permissions=["*"])),
        "another namespace": ("chain_widened", below(top, permissions=["api:search", "shop:buy"])),
        "the namespace itself, which its parent's pattern does not cover": (
            "chain_widened",
            below(top, permissions=["api"]),
        ),
        "narrow below a narrow one, wide again below that": (
            "chain_widened",
            below(
                top,
                below(top, **bound("a")),
                by="a",
                sub="agent-7/a/b",
                jti="pass_b",
                permissions=["api:*"],
            ),
        ),
        "a parent that may not delegate": (
            "chain_invalid",
            below(root(may_delegate=False)),
        ),
        "a parent without a key": ("chain_invalid", below(bare)),
        "a parent that names its key by thumbprint alone": ("chain_invalid", below(by_thumbprint)),
        "an agent that is not below its parent": ("chain_invalid", below(top, sub="agent-8/a")),
        "the parent's own agent": ("chain_invalid", below(top, sub="agent-7")),
        "an agent two names below": ("chain_invalid", below(top, sub="agent-7/a/b")),
        "an agent with an empty name": ("chain_invalid", below(top, sub="agent-7/")),
        "another issuer than the root's": ("chain_invalid", below(top, iss="iss_small")),
        "a path with a slash in a name": ("chain_invalid", below(top, jti="x/y")),
        "an id that occurs twice": ("chain_invalid", below(top, jti="pass_root")),
        "a parent taken from another chain": (
            "chain_invalid",
            below(other, second, by="a", sub="agent-7/a/b", jti="pass_b"),
        ),
        "parents in the wrong order": (
            "chain_invalid",
            below(second, top, by="root", sub="agent-7/a/b", jti="pass_b"),
        ),
        "a parent left out": (
            "chain_invalid",
            below(second, by="a", sub="agent-7/a/b", jti="pass_b"),
        ),
        "signed by a key that is not the parent's": ("key_unknown", below(top, by="thief")),
        "signed by another key under the parent's name": (
            "signature_invalid",
            credential(
                {"sub": "agent-7/a", "jti": "pass_a", "chain": [top]},
                {"kid": thumbprint(public("root"))},
                seed_of("thief"),
            ),
        ),
        "a root that nobody signed": (
            "signature_invalid",
            below(top[:-8] + ("AAAAAAAA" if top[-8:] != "AAAAAAAA" else "BBBBBBBB")[:7] + "A"),
        ),
        "six parents": (
            "chain_too_deep",
            below(*deep, deep[-1], by=names[-1], sub="agent-7/x", jti="pass_x"),
        ),
        "an expired parent": (
            "passport_expired",
            below(root(iat=1_700_000_000, exp=1_700_000_001)),
        ),
        "a parent for later": ("passport_not_yet_valid", below(root(nbf=1_800_000_060))),
        "a parent for another gate": ("audience_mismatch", below(root(aud="gate_other"))),
        "a revoked parent": ("passport_revoked", below(root(jti="pass_gone"))),
        "a parent's revoked agent": (
            "passport_revoked",
            below(root(sub="agent-gone"), sub="agent-gone/a"),
        ),
        "a parent pinned to another catalog": (
            "catalog_mismatch",
            below(root(catalogs={"gate_lab": {"version": 9, "content_hash": "sha256:0"}})),
        ),
        "a parent's grant blocks": (
            "action_blocked",
            below(root(grants=[{"resource": "api", "blockedActions": ["search"]}])),
        ),
    }
