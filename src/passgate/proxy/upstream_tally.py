"""What is counted about the upstream since the gate started, across reloads."""

from typing import Final

FAILURE_KINDS: Final = ("connect", "timeout", "answer")
"""No connection; a connection but no answer in time; an answer that is none, or breaks off."""


class UpstreamTally:
    """Plain numbers; one event loop writes and reads them.

    `retries` are by what was another one: the `address`, or the `connection`.
    """

    __slots__ = ("ejections", "failures", "resolutions_failed", "retries")

    def __init__(self) -> None:
        self.failures = dict.fromkeys(FAILURE_KINDS, 0)
        self.ejections = 0
        self.retries = {"address": 0, "connection": 0}
        self.resolutions_failed = 0
