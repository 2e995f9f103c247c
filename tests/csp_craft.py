"""Tokens of csp-agent-passport made by hand, right or wrong in exactly one way; for tests only."""

from collections.abc import Mapping
from typing import Any

from tests.craft import KEY, KID, NOW, SEED, UNSET, compact_json, issuer, key_set, raw_credential

from passgate.core.formats.csp import NAMESPACE
from passgate.core.presented import with_parents
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import Acceptance

AT = int(NOW.wall)
ACCEPT = Acceptance(frozenset({"jwt", "csp"}))
HEADER: dict[str, Any] = {"typ": "JWT", "alg": "EdDSA", "kid": KID}
AGENT_MEMBERS = ("agent_id", "agent_model", "tool_scope", "task_purpose", "parent_jti")


def claims_of(agent: str, above: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What csp's issuer would write for `agent`, below the claims of its parent if there is one.

    The agent's own claims are named without their namespace.
    """
    act: dict[str, Any] = {"sub": agent}
    if above is not None:
        act["act"] = above["act"]
    claims: dict[str, Any] = {
        "iss": "iss_lab",
        "sub": "person-1",
        "aud": "gate_a",
        "iat": AT - 60,
        "exp": AT + 900,
        "nbf": AT - 60,
        "jti": f"jti-{agent}",
        "act": act,
        "acr": "http://idmanagement.gov/ns/assurance/ial/2",
        "ial": 2,
        "aal": 2,
        "fal": 2,
        "agent_id": agent,
        "agent_model": "model-1",
        "tool_scope": ["api:search"] if above else ["api:*", "shop:*"],
    }
    if above is not None:
        claims["parent_jti"] = above["jti"]
    claims |= changes
    return {name: value for name, value in claims.items() if value is not UNSET}


def named(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the namespace before the agent's own claims."""
    return {
        NAMESPACE + name if name in AGENT_MEMBERS else name: value for name, value in claims.items()
    }


def token(
    claims: Mapping[str, Any], header: Mapping[str, Any] | None = None, seed: bytes = SEED
) -> str:
    """The signed token of these claims, with these changes to its header."""
    head = {name: v for name, v in {**HEADER, **(header or {})}.items() if v is not UNSET}
    return raw_credential(compact_json(head), compact_json(named(claims)), seed)


def root(**changes: Any) -> str:
    """A token of alice's, with these changes."""
    return token(claims_of("alice", **changes))


def chain(*links: Mapping[str, Any]) -> str:
    """The credential of the last of these claims, the others beside it."""
    *parents, leaf = [token(link) for link in links]
    return with_parents(leaf, ",".join(parents))


ALICE = claims_of("alice", tool_scope=["api:*", "shop:buy"])
BOB = claims_of("bob", ALICE, tool_scope=["api:*"])
CAROL = claims_of("carol", BOB, aud="gate_a")


def csp_issuer(issuer_id: str = "iss_lab", **settings: Any) -> Issuer:
    """An issuer of csp tokens with `KEY`."""
    settings.setdefault("keys", key_set({KID: KEY}))
    return issuer(issuer_id, formats=("jwt", "csp"), **settings)


def csp_trust(*entries: Issuer) -> Trust:
    """Trust in these issuers, or in `iss_lab`."""
    return Trust({entry.id: entry for entry in entries or (csp_issuer(),)})
