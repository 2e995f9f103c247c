"""Letters: what a webhook is told of a hold, and how the one who gets it knows that it is true.

A letter is an event as JSON, fixed when it happens. It travels with `Passgate-Signature: t=T,v1=H`,
where H is the hex HMAC-SHA-256 of `T.BODY` under the shared secret. Whoever gets one recomputes H
over the bytes of the body as they came, compares in constant time, refuses a T more than five
minutes away, and remembers the ids of that time: a letter may come twice.
"""

import hmac
import json
from typing import Any, Final

import msgspec

from passgate.approvals.held import Held

REPLAY_WINDOW_S: Final = 300
"""How old a signature may be for whoever checks it."""


class Letter(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One event on its way: `body` as it is sent each time, `attempts` that failed, and why.

    `due_wall` is when it is tried next, in Unix seconds; a `dead` one is tried no more.
    """

    id: str
    event: str
    hold_id: str
    body: str
    wall: float
    due_wall: float
    attempts: int = 0
    error: str = ""
    dead: bool = False

    def told(self) -> dict[str, Any]:
        """What an operator sees of it."""
        return {
            "id": self.id,
            "event": self.event,
            "hold_id": self.hold_id,
            "at": int(self.wall),
            "attempts": self.attempts,
            "error": self.error,
            "dead": self.dead,
        }


def write_letter(letter_id: str, event: str, gate_id: str, held: Held, wall: float) -> Letter:
    """The letter about what has just become of `held`: never its query, its body or a passport."""
    said = {"id": letter_id, "event": event, "at": int(wall), "gate_id": gate_id}
    body = json.dumps({**said, "hold": held.told()}, separators=(",", ":"))
    return Letter(id=letter_id, event=event, hold_id=held.id, body=body, wall=wall, due_wall=wall)


def signature(secret: bytes, body: bytes, at: int) -> str:
    """The value of `Passgate-Signature` for `body` at Unix time `at`."""
    signed = hmac.digest(secret, b"%d." % at + body, "sha256").hex()
    return f"t={at},v1={signed}"


def verify_signature(value: str, secret: bytes, body: bytes, now: int) -> bool:
    """Whether `value` signs `body`, now or at most five minutes ago or ahead."""
    stamp, comma, _ = value.partition(",")
    text = stamp.removeprefix("t=")
    if not comma or not (text.isascii() and text.isdigit()) or len(text) > 12:
        return False
    at = int(text)
    if abs(now - at) > REPLAY_WINDOW_S:
        return False
    return hmac.compare_digest(signature(secret, body, at).encode(), value.encode())
