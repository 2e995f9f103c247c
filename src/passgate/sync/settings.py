"""What the keeper is told about each issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from passgate.core.trust import Issuer

Location: TypeAlias = str | Mapping[str, Any]
"""Where something is learnt: `file:/absolute/path`, an `http(s)://` URL, or a JWKS itself.

Keys also from `oidc:` with the URL of an OpenID issuer, and from a `did:web:…`. `bundle` stands
for what comes in trust bundles.
"""


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One issuer to follow.

    `issuer` is what the operator allows it; its `keys`, `revocations` and `passports` are None and
    are filled in as they are learnt. `refresh_s` is the longest time between two readings of a
    source.
    `insecure_http` allows `http://` beyond the loopback interface; `keys_origin` is where else than
    at its own origin an OpenID issuer may say that its keys are. `revocations_push`
    is the URL of the events by which the issuer adds to its list.
    """

    issuer: Issuer
    keys: Location
    revocations: Location | None
    refresh_s: float = 60.0
    insecure_http: bool = False
    keys_origin: str | None = None
    revocations_push: str | None = None
    passports: Location | None = None
