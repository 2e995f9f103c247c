"""How many signatures are verified for one request: the work that an agent can ask for."""

import pytest
from tests.craft import KEY, NOW, OTHER_KEY, SEED, credential, jwk_of
from tests.support.decisions import Scene, verdict
from tests.support.proofs import proof

from passgate.client import Holder, delegate
from passgate.core import keys, signatures
from passgate.core.ed25519 import signature_fits
from passgate.core.verified_cache import VerifiedCache

pytestmark = pytest.mark.interpreted(reason="it counts the calls of a function within the core")

PASSPORT = credential({"permissions": ["api:*"], "cnf": {"jwk": jwk_of(OTHER_KEY)}})


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was verified, by the real function."""
    seen: list[bytes] = []

    def counted(signature: bytes, message: bytes, key: bytes) -> bool:
        seen.append(message)
        return signature_fits(signature, message, key)

    monkeypatch.setattr(keys, "signature_fits", counted)
    monkeypatch.setattr(signatures, "signature_fits", counted)
    return seen


def scene(jti: str) -> Scene:
    headers = (
        (b"Authorization", b"DPoP " + PASSPORT.encode()),
        (b"DPoP", proof(PASSPORT, jti=jti).encode()),
    )
    return Scene(presents=False).but(headers=headers)


def test_a_proof_costs_one_verification_and_a_passport_one_once(verified: list[bytes]) -> None:
    """Two for what was never seen, one for a new proof with a passport that was."""
    cache = VerifiedCache()

    assert scene("a").decide(cache).proven is not None
    assert len(verified) == 2
    assert scene("b").decide(cache).proven is not None
    assert len(verified) == 3


def test_a_proof_by_another_key_is_not_verified(verified: list[bytes]) -> None:
    """The thumbprint is compared first: nobody chooses which key the gate works with."""
    jwk = jwk_of(KEY)
    other = (
        (b"Authorization", b"DPoP " + PASSPORT.encode()),
        (b"DPoP", proof(PASSPORT, {"jwk": jwk}, SEED).encode()),
    )

    assert verdict(Scene(presents=False).but(headers=other).judge()) == "proof_invalid"
    assert len(verified) == 1


def test_a_chain_of_five_is_verified_once(verified: list[bytes]) -> None:
    """Each link of it, and none again while it is kept."""
    holder = Holder.generate()
    token = credential({"permissions": ["api:*"], "cnf": {"jwk": holder.jwk}, "may_delegate": True})
    for depth in range(4):
        below = Holder.generate()
        last = depth == 3
        token = delegate(
            token,
            holder,
            name="below",
            permissions=["api:*"],
            now=NOW.wall,
            child=None if last else below.jwk,
            may_delegate=not last,
        )
        holder = below
    headers = ((b"Authorization", b"Passport " + token.encode()),)
    cache = VerifiedCache()

    for _ in range(3):
        Scene(presents=False).but(headers=headers).decide(cache)
        assert len(verified) == 5
