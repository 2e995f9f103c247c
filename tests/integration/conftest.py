"""What tests over real sockets share: the API that stands behind a gate."""

from collections.abc import Iterator

import pytest

from passgate.testing import FakeUpstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """An API behind the gate, which remembers what it was asked by the tests of one file."""
    with FakeUpstream() as running:
        yield running
