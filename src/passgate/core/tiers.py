"""Trust tiers: how far an operator trusts an issuer, by the name that configurations use."""

from typing import Final

TIERS: Final[tuple[str, ...]] = ("L0", "L1", "L2", "L3")
"""Trust tiers, least first."""
