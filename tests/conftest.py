"""Shared by every test; deliberately almost empty."""

import pytest
from hypothesis import settings

from passgate.build import COMPILED

# A machine that is slow or busy is no failure; what takes too long is told by `tests/pace.py`.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out, of a compiled gate, what puts something else in the place of its parts."""
    if COMPILED:
        for item in items:
            mark = item.get_closest_marker("interpreted")
            if mark is not None:
                item.add_marker(pytest.mark.skip(reason=mark.kwargs["reason"]))
