"""What one HTTP/2 connection may ask of the gate without asking for anything: budgets for frames.

An HTTP/2 frame costs its sender a few bytes and the gate a hundred times that, so whatever carries
no request, no body and no answer further is paid from a budget that fills again over time. Who has
spent it is sent away with ENHANCE_YOUR_CALM; honest clients never come near.
"""

from typing import Final

# Each is a burst and what comes back a second. Whole numbers: mypyc takes a constant pair of floats
# for one that was never set.
_RESETS: Final = (200, 20)
_ASIDES: Final = (1000, 100)
_UPDATES: Final = (1000, 100)
_BYTES_AN_UPDATE: Final = 512.0


class Budget:
    """A number of units that fills up to `burst` at `rate` a second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now

    def spend(self, cost: float, now: float) -> bool:
        """Takes `cost`; False where there is not that much left (it is taken all the same)."""
        if now > self._at:
            if self._left < self._burst:
                self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        self._left -= cost
        return self._left >= 0.0

    def earn(self, units: float) -> None:
        """Gives `units`, also beyond the burst."""
        self._left += units


class Patience:
    """The budgets of one connection. Each method is False once its budget is spent.

    `now` is the plane's clock in seconds; `leniency` says how many times as much an upstream may do
    as any client.
    """

    __slots__ = ("_asides", "_resets", "_updates")

    def __init__(self, now: float, leniency: float = 1.0) -> None:
        self._resets = Budget(*_RESETS, now)
        self._asides = Budget(_ASIDES[0] * leniency, _ASIDES[1] * leniency, now)
        self._updates = Budget(_UPDATES[0] * leniency, _UPDATES[1] * leniency, now)

    def reset(self, now: float) -> bool:
        """A stream came to nothing by the client's doing: it reset the stream, or made the gate do
        so (CVE-2023-44487, CVE-2025-8671)."""
        return self._resets.spend(1.0, now)

    def aside(self, now: float, cost: float = 1.0) -> bool:
        """A frame that moves nothing: PING, SETTINGS, PRIORITY, empty DATA, unknown frames, frames
        for streams that are over (CVE-2019-9512, -9513, -9515, -9518)."""
        return self._asides.spend(cost, now)

    def update(self, now: float) -> bool:
        """A WINDOW_UPDATE. What was sent pays for them, byte by byte (CVE-2019-9511)."""
        return self._updates.spend(1.0, now)

    def moved(self) -> None:
        """A frame of a body went either way: servers measure the path by a PING for each."""
        self._asides.earn(1.0)

    def sent(self, size: int) -> None:
        """So many bytes of DATA went out, and the client may take note of them."""
        self._updates.earn(size / _BYTES_AN_UPDATE)
