"""Minting: turns what an operator grants into a signed passport of contract section 1.1."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from passgate.authority.keys import Signer, check_id
from passgate.core.constraints import parse_constraints
from passgate.core.formats.jwt import read_jwt
from passgate.core.permissions import is_pattern
from passgate.core.verification import MAX_CREDENTIAL_BYTES
from passgate.ulid import encode_ulid

PASSPORT_TYP: Final = "passport+jwt"
DEFAULT_TTL_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Minted:
    """A passport as minted: the compact JWS, the claims that it signs, and its id.

    `unknown` are the constraints that a gate of this version does not know: it refuses each request
    with this passport.
    """

    token: str
    claims: Mapping[str, Any]
    unknown: tuple[str, ...]

    @property
    def id(self) -> str:
        """The `jti`: `pass_` and a ULID."""
        return str(self.claims["jti"])


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
    holder: Mapping[str, str] | None = None,
    may_delegate: bool = False,
    pins: Mapping[str, tuple[int, str]] | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Minted:
    """A passport for `agent` by the issuer of `signer`, valid from `now` for `ttl_s` seconds.

    `holder` is the public JWK that the passport is bound to: whoever presents it proves to have the
    private one. Only a bound one may delegate, so `may_delegate` needs it.
    `pins` are the versions of catalogs that it keeps, by the ids of their gates: number and hash.
    It is read back as a gate reads it: `ValueError`, with a sentence, for whatever a gate would
    call malformed, such as a constraint's value of the wrong kind. Unknown constraints are minted.
    """
    check_id("the agent id", agent)
    if ttl_s <= 0:
        raise ValueError("the lifetime must be positive")
    for permission in permissions:
        pattern = permission if isinstance(permission, str) else permission.get("permission_key")
        if not isinstance(pattern, str) or not is_pattern(pattern):
            raise ValueError(f"a permission is a key, `*` or ends in `:*`, unlike {pattern!r}")
    if may_delegate and holder is None:
        raise ValueError("a passport that may delegate is bound to its holder's key")
    unknown = parse_constraints(constraints or {}).unknown
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
    if holder is not None:
        claims["cnf"] = {"jwk": dict(holder)}
    if may_delegate:
        claims["may_delegate"] = True
    if pins:
        claims["catalogs"] = {
            gate: {"version": version, "content_hash": content_hash}
            for gate, (version, content_hash) in pins.items()
        }
    token = signer.sign(PASSPORT_TYP, claims)
    if len(token) > MAX_CREDENTIAL_BYTES:
        raise ValueError(f"the passport would be larger than the {MAX_CREDENTIAL_BYTES} bytes read")
    read_jwt(token.encode())
    return Minted(token, claims, unknown)
