"""What the admin listener may ask of a running gate."""

from dataclasses import dataclass
from typing import Any, Protocol

from passgate.admin.metrics import Measured
from passgate.approvals.desk import NotDecided
from passgate.core.kills import Kill


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the gate can decide now, and each thing that this depends on, with its age."""

    ready: bool
    dependencies: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to: nothing in `problems` means that the new world is in force."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which log lines to show: the newest `limit` that match everything given."""

    limit: int = 50
    decision: str = ""
    reason: str = ""
    agent: str = ""
    decision_id: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What an order to the kill switch came to; `new` is False where this was stopped already.

    Each of `warnings` is a sentence on what it may not do as it was meant.
    """

    kill: Kill
    new: bool
    warnings: tuple[str, ...] = ()


class Operations(Measured, Protocol):
    """The running gate, seen by its operator."""

    def readiness(self) -> Readiness:
        """The gate's own judgement of itself; asks nobody."""

    def trust_status(self) -> list[dict[str, Any]]:
        """One entry per issuer and kind of source: where from, how old, what went wrong last."""

    async def records(self, query: RecordQuery) -> list[dict[str, Any]]:
        """Lines of the log, newest first."""

    def kills(self) -> tuple[Kill, ...]:
        """What is stopped, in the order in which it was."""

    async def stop(self, kind: str, target: str, issuer: str, reason: str, by: str) -> Stopped:
        """Stop something, as `KillSwitch.stop` does and raises; `by` is whoever orders it."""

    async def lift(self, name: str, by: str) -> Kill:
        """Lift a kill, as `KillSwitch.lift` does and raises."""

    async def usage(self, agent: str, issuer: str) -> dict[str, Any]:
        """What an agent has used, of one issuer or ("") of each that has such an agent.

        Raises `LookupError` where the gate knows of none.
        """

    def holds(self, state: str) -> list[dict[str, Any]]:
        """What is held, in one state or in all, the newest first."""

    def hold(self, hold_id: str) -> dict[str, Any] | None:
        """One hold; None where none of that id is remembered."""

    async def decide_hold(
        self, hold_id: str, *, approve: bool, approver: str, reason: str
    ) -> dict[str, Any] | NotDecided:
        """A person's word on a hold: what it is now, or why it is as it was."""

    def letters(self) -> list[dict[str, Any]]:
        """Events that the webhook has not taken, the oldest first."""

    async def resend(self, letter: str) -> list[str]:
        """Send dead letters again, as `Courier.send_again` does and raises."""

    async def reload(self) -> Reloaded:
        """Read the configuration again: all of it comes into force, or nothing does."""
