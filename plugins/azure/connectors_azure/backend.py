"""The Azure backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.storage import BucketBackend
from connectors_azure.account import account_of
from connectors_azure.credentials import AzureCredentials
from connectors_azure.location import LOCATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import BucketPlace
    from connectors_azure.filesystem import AzureFileSystem

__all__ = ["AzureBackend"]


class AzureBackend(BucketBackend):
    """Block blobs in Azure Storage: ``az://container/name``."""

    name = "azure"
    location = LOCATION
    schemes = LOCATION.schemes
    Credentials = AzureCredentials
    aliases: ClassVar[Mapping[str, str]] = {"wasb": "abfs", "wasbs": "abfss", "blob": "az"}

    def filesystem(self, place: BucketPlace, credentials: AzureCredentials) -> AzureFileSystem:
        """Return a filesystem of the account's sealed objects.

        Raises:
            InvalidLocation: the location names another account than the credentials.
            InvalidCredentials: neither the location nor the credentials name an account.
            ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
        """
        account = account_of(credentials, place)
        from connectors_azure.filesystem import AzureFileSystem  # noqa: PLC0415 - takes a while to import

        return AzureFileSystem(account, credentials)

    def sign_url(self, place: BucketPlace, credentials: AzureCredentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT a blob; see `presign`."""
        from connectors_azure.presigning import presign  # noqa: PLC0415

        return presign(place, credentials, method, expires)
