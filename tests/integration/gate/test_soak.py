"""A few seconds of what `make soak` does for minutes, and that its books notice what is wrong."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.soak.__main__ import soak
from tests.soak.accounts import Accounts, Logged, differences


def test_nothing_is_unaccounted_for(tmp_path: Path) -> None:
    """Good and bad traffic while everything changes: clients, metrics, log and upstream agree."""
    soaked = asyncio.run(soak(tmp_path, 4, 25, 1, fill=False))

    assert soaked.wrong == []
    assert soaked.accounts.total > 100


def test_each_book_that_differs_is_named() -> None:
    """A decision that one does not know, one too many, and one that never ended."""
    heard = Accounts(decided=Counter({("allow", ""): 2}), allowed={"a", "b"})
    metrics = Counter({("allow", ""): 2})
    logged = Logged(
        decided=Counter({("allow", ""): 1}), outcomes=Counter({"completed": 1}), allowed={"a"}
    )

    assert differences(heard, metrics, logged, ["a", "c"]) == [
        "allow : clients 2, metrics 2, log 1",
        "1 requests reached the upstream unrecorded",
        "1 allowed decisions are not in the log",
    ]
    logged.outcomes.clear()
    assert "1 requests allowed, 0 outcomes" in differences(heard, metrics, logged, [])
