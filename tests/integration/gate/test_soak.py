"""A few seconds of what `make soak` does for minutes, and that its books notice what is wrong."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.soak.__main__ import soak
from tests.soak.accounts import Accounts, Logged, differences


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_nothing_is_unaccounted_for(tmp_path: Path, tls: bool) -> None:
    """Good and bad traffic while everything changes: clients, metrics, log and upstream agree."""
    soaked = asyncio.run(soak(tmp_path, 3, 30, 1, fill=False, tls=tls))

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
