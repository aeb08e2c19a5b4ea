"""The backend contract as pytest tests: subclass them to test your own backend.

::

    class TestShelf(BackendContract, FolderContract):
        @pytest.fixture
        def store(self, shelf_server):
            return ShelfStore(shelf_server)  # a `Store`

`BackendContract` tests single objects, `FolderContract` storages that can list, and `PresignContract` storages that can
sign URLs. `KeySourceContract` tests key sources, with a `KeyService`. The contract of workflow document stores is in
`connectors.testing.document_store`, which also needs the extra for workflows.
Needs pytest: ``pip install "enclave-connectors[testing]"``.
"""

from __future__ import annotations

from connectors.testing.contract import BackendContract
from connectors.testing.folders import FolderContract
from connectors.testing.keys import KeyService, KeySourceContract
from connectors.testing.presigning import PresignContract
from connectors.testing.store import Connection, Store
from connectors.testing.tools import overrides_contract

__all__ = [
    "BackendContract",
    "Connection",
    "FolderContract",
    "KeyService",
    "KeySourceContract",
    "PresignContract",
    "Store",
    "overrides_contract",
]
