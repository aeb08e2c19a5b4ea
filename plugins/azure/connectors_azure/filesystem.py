"""The fsspec filesystem of sealed objects in Azure Blob Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.storage import BucketFileSystem
from connectors_azure.location import LOCATION
from connectors_azure.store import PART_SIZES, AzureStore

if TYPE_CHECKING:
    from connectors.storage import PartSizes
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["AzureFileSystem"]


class AzureFileSystem(BucketFileSystem):
    """The sealed objects in Azure Blob Storage that one account's credentials give access to.

    Paths are ``container/name``, with the name unquoted. Containers are neither created nor removed.

    Args:
        account: the account.
        credentials: the account's credentials.
        part_sizes: the sizes of the blocks of a large object.

    Raises:
        ConfigError: azure-identity is needed and not installed.
    """

    schemes = LOCATION.schemes
    store: AzureStore

    def __init__(self, account: Account, credentials: AzureCredentials, part_sizes: PartSizes = PART_SIZES) -> None:
        super().__init__(AzureStore(account, credentials), part_sizes)

    @property
    def fsid(self) -> str:
        """The URL of the account's blob service."""
        return self.store.account.endpoint
