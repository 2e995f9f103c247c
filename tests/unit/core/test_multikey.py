"""An Ed25519 key has one multikey, and a multikey one key."""

import pytest
from tests.craft import KEY

from passgate.core.multikey import read_multikey, write_multikey

# The did:key method's own example, and the key that it encodes.
EXAMPLE = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
EXAMPLE_KEY = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"


def test_a_multikey_is_its_key() -> None:
    """There and back, also for the published example."""
    assert read_multikey(EXAMPLE).hex() == EXAMPLE_KEY
    assert write_multikey(bytes.fromhex(EXAMPLE_KEY)) == EXAMPLE
    assert read_multikey(write_multikey(KEY)) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        EXAMPLE[1:],
        EXAMPLE[:-1],
        EXAMPLE + "1",
        EXAMPLE + "\n",
        "u" + EXAMPLE[1:],
        EXAMPLE.replace("T", "0"),
        EXAMPLE.replace("T", "l"),
        "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",  # X25519, for encryption
        "zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169",  # P-256
        "z6Mk" + "z" * 44,  # its bytes begin with another prefix
        "z6Mk" + "1" * 44,
        "z" * 100_000,
    ],
)
def test_another_key_or_spelling_is_refused(text: str) -> None:
    """Other kinds, bases and lengths are no multikey of an Ed25519 key."""
    with pytest.raises(ValueError, match="not the multikey of an Ed25519 key"):
        read_multikey(text)


@pytest.mark.parametrize("weak", [bytes(32), b"\xff" * 32, (2**255 - 18).to_bytes(32, "little")])
def test_a_weak_key_is_refused(weak: bytes) -> None:
    """Small order and non-canonical keys are refused here too."""
    with pytest.raises(ValueError, match=r"canonically|prime order"):
        read_multikey(write_multikey(weak))
