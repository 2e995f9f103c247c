"""Delegating: a holder hands a part of its passport to another agent, without asking the issuer."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from passgate.client.holder import Holder
from passgate.core.delegation import judge_chain
from passgate.core.formats.jwt import MAX_DEPTH, read_jwt
from passgate.core.jws import PASSPORT_TYPES, read
from passgate.core.verification import MAX_CREDENTIAL_BYTES
from passgate.ulid import encode_ulid

PASSPORT_TYP: Final = "passport+jwt"


def delegate(
    parent: str,
    holder: Holder,
    *,
    name: str,
    permissions: Sequence[str | Mapping[str, Any]],
    now: float,
    ttl_s: int | None = None,
    constraints: Mapping[str, Any] | None = None,
    child: Mapping[str, str] | None = None,
    may_delegate: bool = False,
    entropy: Callable[[int], bytes] = os.urandom,
) -> str:
    """A passport for agent `<parent's agent>/<name>`, below `parent` and signed by its `holder`.

    It lives `ttl_s` seconds from `now`, at most as long as the parent, which is also the default.
    `child` is the public JWK that it is bound to; without one whoever has it can use it, and it
    can delegate no further. It is judged as a gate would: `ValueError`, with a sentence, for what
    would be refused there, such as a permission that the parent has not.
    """
    if not parent.isascii():
        raise ValueError("a passport is ASCII text")
    elder = read_jwt(parent.encode("ascii"))
    if elder.holder is None or elder.holder.key is None:
        raise ValueError("the passport is not bound to a key, so it cannot be delegated from")
    if elder.holder.thumbprint != holder.thumbprint:
        raise ValueError("the passport is bound to another key than this one")
    if not elder.may_delegate:
        raise ValueError("the passport may not delegate")
    if may_delegate and child is None:
        raise ValueError("a passport that may delegate is bound to its holder's key")
    if len(elder.parents) >= MAX_DEPTH:
        raise ValueError(f"the passport has {MAX_DEPTH} parents already, the most that may be")
    issued_at = int(now)
    expires_at = min(each.expires_at for each in (*elder.parents, elder))
    if ttl_s is not None:
        expires_at = min(expires_at, issued_at + ttl_s)
    if expires_at <= issued_at:
        raise ValueError("the passport has expired, or would live no second")
    claims: dict[str, Any] = {
        "iss": elder.issuer,
        "sub": f"{elder.agent}/{name}",
        "jti": "pass_" + encode_ulid(int(now * 1000), entropy(10)),
        "iat": issued_at,
        "exp": expires_at,
        "permissions": list(permissions),
        "chain": [*_chain_of(parent), parent],
    }
    if constraints:
        claims["constraints"] = dict(constraints)
    if child is not None:
        claims["cnf"] = {"jwk": dict(child)}
    if may_delegate:
        claims["may_delegate"] = True
    token = holder.sign(PASSPORT_TYP, claims)
    if len(token) > MAX_CREDENTIAL_BYTES:
        raise ValueError(f"the passport would be larger than the {MAX_CREDENTIAL_BYTES} bytes read")
    made = read_jwt(token.encode("ascii"))
    flaw = judge_chain((*made.parents, made))
    if flaw is not None:
        raise ValueError(flaw.detail)
    return token


def _chain_of(passport: str) -> list[str]:
    chain: list[str] = read(passport.encode("ascii"), PASSPORT_TYPES).claims.get("chain", [])
    return chain
