"""What an operator must know of a translation: nothing is left out, or made wider, in silence."""

from dataclasses import dataclass
from typing import Final

KINDS: Final = {
    "left_out": "not routed: the gate answers 404",
    "conflict": "not routed: its requests are judged as another action",
    "widened": "routed by a pattern that matches more than the document says",
    "ambiguous": "two routes match the same request; the first one wins",
    "renamed": "its action has another name than it asks for",
    "other_server": "the document says that another server answers it",
    "unread": "a part of the document that says nothing about routes here, or cannot be read",
}
"""Every kind of note, and what it means."""


@dataclass(frozen=True, slots=True)
class Note:
    """One of `KINDS`, where in the document, and a sentence."""

    kind: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.sentence}"
