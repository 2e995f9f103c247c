"""How the passports of a chain are told apart: by the path of ids from the root."""

from collections.abc import Sequence
from typing import Final

from passgate.core.reasons import Refusal

_SLASH: Final = Refusal(
    "chain_invalid", "An id in the chain holds a slash, which joins ids to a path."
)
_TWICE: Final = Refusal("chain_invalid", "A passport stands in the chain twice.")


def judge_ids(ids: Sequence[str]) -> Refusal | None:
    """Whether these can be joined to a path that is one link's alone: no slash, and none twice."""
    if any("/" in each for each in ids):
        return _SLASH
    return _TWICE if len(set(ids)) < len(ids) else None
