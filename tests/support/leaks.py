"""A test that leaves a file, socket or pipe open fails, and not a later one in which the garbage is collected.

What a test leaves in reference cycles is collected after its teardown. Everything older is frozen meanwhile, which makes
that cheap; at the end of each file of tests, all is collected.
"""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["pytest_runtest_teardown"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Collect what the test and its fixtures leave, and report what was still open."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.unfreeze()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    gc.freeze()
    left = [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]
    if left:
        message = f"{item.nodeid} left open: {'; '.join(left)}"
        warnings.warn(
            pytest.PytestUnraisableExceptionWarning(message), stacklevel=1
        )  # an error, as pyproject.toml says
