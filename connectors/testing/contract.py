"""The contract of every backend for single objects: all smaller contracts together."""

from __future__ import annotations

from connectors.testing.access import AccessContract
from connectors.testing.capabilities import CapabilityContract
from connectors.testing.committing import CommitContract
from connectors.testing.reading import ReadingContract
from connectors.testing.writing import WritingContract

__all__ = ["BackendContract"]


class BackendContract(ReadingContract, WritingContract, CommitContract, AccessContract, CapabilityContract):
    """The contract of every backend for single objects. A subclass provides the fixture `store`.

    Attributes:
        big: plain size of an object that is larger than any part the backend sends at once.
    """
