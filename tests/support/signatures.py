"""HTTP message signatures for tests: good unless one thing is made wrong."""

from base64 import b64encode
from typing import Any

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from tests.craft import NOW, OTHER_SEED, THUMBPRINT

COVERED = '"@method" "@authority" "@path" "@query" "authorization"'
VALUES = {
    "@method": "GET",
    "@authority": "api.example",
    "@path": "/v1/search",
    "@query": "?",
}


def parameters(**changes: Any) -> str:
    """`;created=…` and what else a signature says of itself; None leaves a parameter out."""
    said = {
        "created": int(NOW.wall),
        "keyid": THUMBPRINT,
        "tag": "agent-passport",
        **changes,
    }
    return "".join(
        f';{name}="{value}"' if isinstance(value, str) else f";{name}={value}"
        for name, value in said.items()
        if value is not None
    )


def signature(
    values: dict[str, str],
    covered: str = COVERED,
    seed: bytes = OTHER_SEED,
    label: str = "sig1",
    **changes: Any,
) -> tuple[tuple[bytes, bytes], ...]:
    """The two header lines of a signature over `covered`, whose components have these `values`."""
    said = f"({covered}){parameters(**changes)}"
    known = {**VALUES, **values}
    names = [each for each in covered.split(" ") if each]
    lines = [f"{name}: {known[name.split(';')[0].strip(chr(34))]}" for name in names]
    base = "\n".join([*lines, f'"@signature-params": {said}']).encode()
    octets = crypto_sign(base, crypto_sign_seed_keypair(seed)[1])[:64]
    return (
        (b"Signature-Input", f"{label}={said}".encode()),
        (b"Signature", f"{label}=:{b64encode(octets).decode()}:".encode()),
    )
