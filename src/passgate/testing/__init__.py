"""For tests of passgate and of programs that stand behind it: passports, a clock, an upstream.

Shipped, and never imported by the gate itself.
"""

from passgate.testing.clock import ManualClock
from passgate.testing.passports import REMOVED, TestIssuer, mint, revocations
from passgate.testing.upstream import FakeUpstream, Reply, Seen

__all__ = [
    "REMOVED",
    "FakeUpstream",
    "ManualClock",
    "Reply",
    "Seen",
    "TestIssuer",
    "mint",
    "revocations",
]
