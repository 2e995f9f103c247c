"""Minting csp tokens: what readers of csp-agent-passport verify, signed with an issuer's key."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from passgate.authority.keys import Signer, check_id
from passgate.authority.minting import Minted
from passgate.core.csp_chain import implied
from passgate.core.formats.base import Unverified
from passgate.core.formats.csp import NAMESPACE, read_csp
from passgate.core.jwks import read_key
from passgate.core.keys import fits
from passgate.core.presented import BESIDE
from passgate.ulid import encode_ulid

DEFAULT_TTL_S: Final = 900
"""How long one lives by default: nothing but its end takes it back at csp's own readers."""

LEVELS: Final = ("ial", "aal", "fal")
"""The levels of assurance, in their order."""


def mint_csp(
    signer: Signer,
    *,
    person: str,
    agent: str,
    model: str,
    audience: str,
    scope: Sequence[str],
    now: float,
    ttl_s: int = DEFAULT_TTL_S,
    assurance: Mapping[str, int] | None = None,
    acr: str | None = None,
    purpose: str | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Minted:
    """A root token for `agent`, which acts for `person`, by the issuer of `signer`.

    `assurance` are levels of 1 to 3 by their names in `LEVELS`; a level that is not known is left
    out. It is read back as a gate reads it: `ValueError`, with a sentence, for whatever a gate
    would call malformed. csp's readers take it with the key of `signer` as an EdDSA key.
    """
    about: dict[str, Any] = {"sub": person, "act": {"sub": agent}}
    if acr is not None:
        about["acr"] = acr
    about |= {name: level for name, level in (assurance or {}).items() if _is_level(name)}
    return _minted(signer, about, agent, model, audience, scope, purpose, now, ttl_s, entropy)


def delegate_csp(
    signer: Signer,
    parent: str,
    *,
    agent: str,
    model: str,
    audience: str,
    scope: Sequence[str],
    now: float,
    ttl_s: int = 300,
    purpose: str | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Minted:
    """A token for `agent` below `parent`, which the same issuer signed; person and levels are its.

    The caller presents it with the parent, and with the parent's parents. Raises `ValueError` for a
    parent that this issuer did not sign, and for a scope that the parent's does not imply.
    """
    above = _own(signer, parent)
    assert above.principal is not None
    assert above.succession is not None
    act: dict[str, Any] = {}
    for actor in reversed(above.succession.actors):
        act = {"sub": actor, "act": act} if act else {"sub": actor}
    about: dict[str, Any] = {"sub": above.principal.subject, "act": {"sub": agent, "act": act}}
    if above.succession.acr is not None:
        about["acr"] = above.succession.acr
    levels = zip(LEVELS, above.principal.assurance, strict=True)
    about |= {name: level for name, level in levels if level is not None}
    about[NAMESPACE + "parent_jti"] = above.id
    minted = _minted(signer, about, agent, model, audience, scope, purpose, now, ttl_s, entropy)
    if not implied(read_csp(minted.token.encode()).permissions, above.permissions):
        raise ValueError("the scope holds what the parent's does not imply")
    return minted


def _is_level(name: str) -> bool:
    if name not in LEVELS:
        raise ValueError(f"a level of assurance is one of {', '.join(LEVELS)}, unlike {name!r}")
    return True


def _own(signer: Signer, parent: str) -> Unverified:
    """What the parent says, if it is this issuer's."""
    if BESIDE in parent:
        raise ValueError("the parent is one token, without its own parents")
    read = read_csp(parent.encode())
    key = read_key(dict(signer.public_jwk), "the issuer's key")
    if read.issuer != signer.issuer or not fits(key, read.signature, read.message):
        raise ValueError("the parent is not signed by this issuer")
    return read


def _minted(
    signer: Signer,
    about: Mapping[str, Any],
    agent: str,
    model: str,
    audience: str,
    scope: Sequence[str],
    purpose: str | None,
    now: float,
    ttl_s: int,
    entropy: Callable[[int], bytes],
) -> Minted:
    check_id("the agent id", agent)
    if ttl_s <= 0:
        raise ValueError("the lifetime must be positive")
    issued_at = int(now)
    claims: dict[str, Any] = {
        "iss": signer.issuer,
        "aud": audience,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + ttl_s,
        "jti": "pass_" + encode_ulid(int(now * 1000), entropy(10)),
        **about,
        NAMESPACE + "agent_id": agent,
        NAMESPACE + "agent_model": model,
        NAMESPACE + "tool_scope": list(scope),
    }
    if purpose is not None:
        claims[NAMESPACE + "task_purpose"] = purpose
    token = signer.sign("JWT", claims)
    read_csp(token.encode())
    return Minted(token, claims, ())
