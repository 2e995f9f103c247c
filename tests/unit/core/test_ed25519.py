"""Ed25519 by the strict rule, against the keys and signatures that verifiers disagree on."""

from hashlib import sha512

import pytest
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_sign,
    crypto_sign_seed_keypair,
)

from passgate.core.ed25519 import key_problem, signature_fits

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SEED = bytes(range(32))
KEY, SECRET = crypto_sign_seed_keypair(SEED)
MESSAGE = b"what was signed"
SIGNATURE = crypto_sign(MESSAGE, SECRET)[:64]
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")

# Every encoding of a point of small order: the eight points, the sign bit where x is 0, and y + p
# where that fits (RFC 8032 decoding; the same list as libsodium's and Dalek's).
SMALL_ORDER = {
    "1, neutral": 1,
    "p - 1, order 2": P - 1,
    "0, order 4": 0,
    "order 8": int.from_bytes(ORDER_8, "little"),
    "order 8, other": P - int.from_bytes(ORDER_8, "little"),
    "p, non-canonical 0": P,
    "p + 1, non-canonical 1": P + 1,
}


@pytest.mark.parametrize("sign", [0, 1 << 255], ids=["", "sign bit"])
@pytest.mark.parametrize("y", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_keys_of_small_order_are_refused(y: int, sign: int) -> None:
    """No encoding of a small-order point is acceptable as a key."""
    assert key_problem((y | sign).to_bytes(32, "little")) is not None


@pytest.mark.parametrize("excess", range(19))
def test_keys_that_are_not_canonical_are_refused(excess: int) -> None:
    """A y of p or more says the same point twice."""
    assert key_problem((P + excess).to_bytes(32, "little")) == "is not canonically encoded"


def test_a_key_with_a_torsion_part_is_refused() -> None:
    """A key outside the prime-order subgroup makes verifiers with and without cofactor disagree."""
    assert key_problem(crypto_core_ed25519_add(KEY, ORDER_8)) is not None


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"\0", KEY.hex().encode()])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    """Only 32 bytes are a key."""
    assert key_problem(key) == "is not 32 bytes long"


def test_a_key_off_the_curve_is_refused() -> None:
    """Half of all y belong to no point."""
    assert key_problem((2).to_bytes(32, "little")) is not None


def test_an_honest_key_and_signature_are_accepted() -> None:
    """RFC 8032 section 7.1, test 2, and a signature of our own."""
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )

    assert key_problem(key) is None
    assert signature_fits(signature, b"\x72", key)
    assert key_problem(KEY) is None
    assert signature_fits(SIGNATURE, MESSAGE, KEY)


def test_another_message_or_key_does_not_fit() -> None:
    """A signature is for one message under one key."""
    assert not signature_fits(SIGNATURE, MESSAGE + b" ", KEY)
    assert not signature_fits(SIGNATURE, MESSAGE, crypto_sign_seed_keypair(bytes(32))[0])


def test_s_of_the_group_order_or_more_does_not_fit() -> None:
    """S + L satisfies the equation and is refused (RFC 8032 section 5.1.7: malleability)."""
    s = int.from_bytes(SIGNATURE[32:], "little")

    for factor in range(1, 9):
        forged = SIGNATURE[:32] + (s + factor * L).to_bytes(32, "little")
        assert not signature_fits(forged, MESSAGE, KEY)


@pytest.mark.parametrize("y", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_r_of_small_order_does_not_fit(y: int) -> None:
    """R of small order, also not canonical, is refused although the signer made it so."""
    r = y.to_bytes(32, "little")
    k = int.from_bytes(sha512(r + KEY + MESSAGE).digest(), "little")

    assert not signature_fits(r + (k * _secret_scalar() % L).to_bytes(32, "little"), MESSAGE, KEY)


def test_r_with_a_torsion_part_does_not_fit() -> None:
    """A cofactored verifier would take this one of the key's own holder; the gate does not."""
    nonce = 987654321
    honest = crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))

    assert signature_fits(_signed_with(honest, nonce), MESSAGE, KEY)
    assert not signature_fits(
        _signed_with(crypto_core_ed25519_add(honest, ORDER_8), nonce), MESSAGE, KEY
    )


def _secret_scalar() -> int:
    scalar = int.from_bytes(sha512(SEED).digest()[:32], "little")
    return scalar & ((1 << 254) - 8) | 1 << 254


def _signed_with(r: bytes, nonce: int) -> bytes:
    k = int.from_bytes(sha512(r + KEY + MESSAGE).digest(), "little")
    return r + ((nonce + k * _secret_scalar()) % L).to_bytes(32, "little")
