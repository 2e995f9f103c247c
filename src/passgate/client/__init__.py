"""CARRIES: what an agent uses to present a passport, prove it its own, and hand on less."""

from passgate.client.auth import PassportAuth
from passgate.client.delegating import delegate
from passgate.client.holder import Holder

__all__ = ["Holder", "PassportAuth", "delegate"]
