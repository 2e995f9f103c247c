"""Minting: turns what an operator grants into a signed passport of contract section 1.1."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from passgate.authority.keys import Signer, check_id
from passgate.ulid import encode_ulid

PASSPORT_TYP: Final = "passport+jwt"
DEFAULT_TTL_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Minted:
    """A passport as minted: the compact JWS and the claims that it signs."""

    token: str
    claims: Mapping[str, Any]


def mint_passport(
    signer: Signer,
    *,
    agent: str,
    permissions: Sequence[str | Mapping[str, Any]],
    now: float,
    ttl_s: int = DEFAULT_TTL_S,
    constraints: Mapping[str, Any] | None = None,
    audience: Sequence[str] = (),
    agent_name: str | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Minted:
    """A passport for `agent` by the issuer of `signer`, valid from `now` for `ttl_s` seconds.

    Its id is `pass_` and a ULID. The values of `constraints` are taken as they are; `check` them
    with `passgate.authority.granting` first. Raises `ValueError` for an agent id that no gate
    accepts and for a lifetime that is not positive.
    """
    check_id("the agent id", agent)
    if ttl_s <= 0:
        raise ValueError("the lifetime must be positive")
    issued_at = int(now)
    claims: dict[str, Any] = {
        "iss": signer.issuer,
        "sub": agent,
        "jti": "pass_" + encode_ulid(int(now * 1000), entropy(10)),
        "iat": issued_at,
        "exp": issued_at + ttl_s,
    }
    if audience:
        claims["aud"] = list(audience)
    if agent_name is not None:
        claims["agent_name"] = agent_name
    claims["permissions"] = list(permissions)
    if constraints:
        claims["constraints"] = dict(constraints)
    return Minted(signer.sign(PASSPORT_TYP, claims), claims)
