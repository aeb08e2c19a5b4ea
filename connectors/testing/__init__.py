"""The contract that every backend keeps, as tests: what an author of one subclasses, and runs with pytest.

::

    class TestShelf(BackendContract, FolderContract):
        @pytest.fixture
        def store(self, shelf_server):
            return ShelfStore(shelf_server)  # a `Store`

`BackendContract` is about single objects. `FolderContract` is for storages that list, and `PresignContract` for those
that sign URLs. A store of workflow documents has its own, in `connectors.testing.document_store`, which needs the extra
for workflows too. Needs pytest: ``pip install "enclave-connectors[testing]"``.
"""

from __future__ import annotations

from connectors.testing.contract import BackendContract
from connectors.testing.folders import FolderContract
from connectors.testing.presigning import PresignContract
from connectors.testing.store import Connection, Store
from connectors.testing.tools import overrides_contract

__all__ = ["BackendContract", "Connection", "FolderContract", "PresignContract", "Store", "overrides_contract"]
