"""What every backend promises of single objects, as tests: all of the smaller contracts."""

from __future__ import annotations

from connectors.testing.access import AccessContract
from connectors.testing.capabilities import CapabilityContract
from connectors.testing.reading import ReadingContract
from connectors.testing.writing import WritingContract

__all__ = ["BackendContract"]


class BackendContract(ReadingContract, WritingContract, AccessContract, CapabilityContract):
    """What every backend promises of single objects. A subclass gives the fixture `store`.

    Attributes:
        big: plain bytes of the object that is to be larger than any part the backend sends at once.
    """
