"""The real modei-python: its keys, issuer, delegation and verifier."""

import json
from datetime import timedelta
from typing import Any

from modei.passport import (
    AgentCredentials,
    DelegationBuilder,
    PassportIssuer,
    PassportVerifier,
    SignedPassport,
)
from tests.craft import b64

DAY = timedelta(days=1)


def carrier_of(made: SignedPassport) -> dict[str, Any]:
    """What a request carries of a passport of the package."""
    return {
        "passport_json": made.envelope.model_dump(mode="json"),
        "signature": made.signature,
    }


def credential_of(carrier: dict[str, Any]) -> str:
    return b64(json.dumps(carrier).encode())


def permitting(*keys: str, **constraints: Any) -> list[dict[str, Any]]:
    return [{"permission_key": key, "constraints": constraints} for key in keys]


def self_issued(
    keys: AgentCredentials, *permissions: dict[str, Any], lives: timedelta = DAY
) -> SignedPassport:
    """A passport of the package that may delegate."""
    issuer = PassportIssuer(keys, "agent@dev.local")
    return issuer.self_issue(list(permissions), lives, delegation_authority=True)


def handed_on(
    parent: SignedPassport,
    by: AgentCredentials,
    to: AgentCredentials,
    *permissions: dict[str, Any],
    may_delegate: bool = True,
) -> SignedPassport:
    """A child of the package."""
    builder = DelegationBuilder(parent, by).authorize(to).with_permissions(list(permissions))
    return builder.with_delegation_authority(may_delegate).sign()


def vendor_says(carrier: dict[str, Any]) -> str:
    """`ok`, or the reason code of the package's own verifier."""
    found = PassportVerifier().verify(carrier["passport_json"], carrier["signature"])
    return "ok" if found.valid else str(found.reason_code)
