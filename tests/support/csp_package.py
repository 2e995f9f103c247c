"""The real csp-agent-passport: its issuer, its verifier, and its tokens mutated and signed anew."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from csp_agent_passport.errors import AgentPassportError
from csp_agent_passport.issuer import DelegationRequest, IssuanceRequest, Issuer
from csp_agent_passport.keys import InMemoryKeyStore
from csp_agent_passport.oidc.base import OIDCAssertion, ial_acr_mapping
from csp_agent_passport.policy import VerificationPolicy
from csp_agent_passport.verifier import VerifiedPassport, Verifier
from joserfc.jwk import RSAKey
from tests.craft import UNSET, b64, compact_json
from tests.csp_craft import AGENT_MEMBERS

from passgate.core.formats.csp import NAMESPACE

ISSUER = "https://issuer.example"
AUDIENCE = "gate_a"
ACR = "http://idmanagement.gov/ns/assurance/ial/2"
_KEYS = {name: rsa.generate_private_key(65537, 2048) for name in ("issuer", "stranger")}


class Provider:
    """An OIDC provider that knows one person, in the form that the package asks for."""

    def __init__(self, acr: str | None = ACR) -> None:
        self.acr = acr

    def validate(self, id_token: str) -> OIDCAssertion:
        levels = None if self.acr is None else ial_acr_mapping(self.acr)
        ial, aal, fal = (None,) * 3 if levels is None else (levels.ial, levels.aal, levels.fal)
        return OIDCAssertion("https://idp.example", id_token, "client", self.acr, ial, aal, fal, {})


@dataclass(frozen=True)
class Tokens:
    """A leaf and its parents, root first."""

    leaf: str
    parents: tuple[str, ...] = ()


class Package:
    """One issuer and one verifier of the package, at one moment."""

    def __init__(self, at: float, acr: str | None = ACR) -> None:
        self.at = at
        self.rsa_key = RSAKey.import_key(_private_jwk(_KEYS["issuer"]))
        self.issuer = Issuer(ISSUER, self.rsa_key, Provider(acr), now=self._now)
        self.kid = self.issuer.kid

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.at, tz=UTC)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key, as an operator would publish it for this issuer."""
        public = self.rsa_key.as_dict(private=False)
        jwk = {name: public[name] for name in ("kty", "n", "e")}
        return {"keys": [{**jwk, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def verifier(self, key_store: InMemoryKeyStore | None = None, **policy: Any) -> Verifier:
        store = key_store or InMemoryKeyStore({self.kid: self.issuer.public_jwk})
        settings: dict[str, Any] = {
            "issuers": frozenset({ISSUER}),
            "audience": AUDIENCE,
            "required_scope": "api:search",
        }
        return Verifier(VerificationPolicy(**(settings | policy)), store, now=self._now)

    def root(self, scope: Sequence[str] = ("api:*",), agent: str = "alice", **more: Any) -> Tokens:
        """A token that the package minted."""
        request = IssuanceRequest("person-1", AUDIENCE, agent, "model-1", list(scope), **more)
        return Tokens(self.issuer.issue(request))

    def below(
        self, parent: Tokens, agent: str, scope: Sequence[str] = ("api:*",), **more: Any
    ) -> Tokens:
        """A token that the package delegated, below one that its own verifier took."""
        verified = self._verified(parent)
        audience = more.pop("audience", AUDIENCE)
        request = DelegationRequest(verified, audience, agent, "model-2", list(scope), **more)
        return Tokens(self.issuer.delegate(request), (*parent.parents, parent.leaf))

    def _verified(self, tokens: Tokens) -> VerifiedPassport:
        anyone = {"required_scope": None, "allow_wildcard_scope": True}
        return self.verifier(**anyone).verify(tokens.leaf, tokens.parents)

    def judged(self, tokens: Tokens, **policy: Any) -> str:
        """`ok`, or the name of the error that the package's verifier raises."""
        try:
            self.verifier(**policy).verify(tokens.leaf, tokens.parents)
        except AgentPassportError as error:
            return type(error).__name__
        return "ok"

    def signed(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """These claims under the issuer's key, whatever they say."""
        head = {"typ": "JWT", "alg": "RS256", "kid": self.kid} | dict(header or {})
        return sign(claims, {name: v for name, v in head.items() if v is not UNSET})


def sign(claims: Mapping[str, Any] | bytes, header: Mapping[str, Any], by: str = "issuer") -> str:
    """A compact JWS by RS256."""
    body = claims if isinstance(claims, bytes) else compact_json(claims)
    signed = f"{b64(compact_json(header))}.{b64(body)}"
    raw = _KEYS[by].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{b64(raw)}"


def claims_in(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def changed(package: Package, token: str, **changes: Any) -> str:
    """The token with these claims in place of its own, signed anew; `UNSET` takes one out.

    The agent's own claims are named without their namespace.
    """
    claims = claims_in(token)
    for name, value in changes.items():
        claims[NAMESPACE + name if name in AGENT_MEMBERS else name] = value
    return package.signed({name: value for name, value in claims.items() if value is not UNSET})


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def _private_jwk(key: rsa.RSAPrivateKey) -> dict[str, str | list[str]]:
    numbers = key.private_numbers()
    parts = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        **{name: getattr(numbers, name) for name in ("d", "p", "q")},
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }
    encoded: dict[str, str | list[str]] = {
        name: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        for name, value in parts.items()
    }
    return {"kty": "RSA", **encoded}
