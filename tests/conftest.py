"""Shared by every test; deliberately almost empty."""

import pytest

from passgate.build import COMPILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out, of a compiled gate, what puts something else in the place of its parts."""
    if COMPILED:
        for item in items:
            mark = item.get_closest_marker("interpreted")
            if mark is not None:
                item.add_marker(pytest.mark.skip(reason=mark.kwargs["reason"]))
