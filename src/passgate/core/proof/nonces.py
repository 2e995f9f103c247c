"""Nonces that the gate gives out for proofs (RFC 9449 section 9), and knows without a list."""

import hmac
from dataclasses import dataclass

from passgate.core.instant import Instant
from passgate.core.jws import encode_base64url


@dataclass(frozen=True, slots=True)
class Nonces:
    """Nonces of one gate: each is for `lifetime_s` seconds, and good for as long again.

    `key` makes them unpredictable; gates with the same key take each other's.
    """

    key: bytes
    lifetime_s: int = 300

    def current(self, now: Instant) -> str:
        """The nonce to give out now."""
        return self._of(int(now.wall) // self.lifetime_s)

    def is_good(self, nonce: str, now: Instant) -> bool:
        """Whether `nonce` is one that was given out lately."""
        period = int(now.wall) // self.lifetime_s
        presented = nonce.encode("utf-8", "surrogatepass")
        return any(
            hmac.compare_digest(presented, self._of(each).encode()) for each in (period, period - 1)
        )

    def _of(self, period: int) -> str:
        whole = hmac.digest(self.key, b"passgate nonce %d" % period, "sha256")
        return encode_base64url(whole[:16]).decode()
