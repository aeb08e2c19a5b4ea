"""The Azure backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.storage import Backend
from connectors_azure.account import account_of
from connectors_azure.credentials import AzureCredentials
from connectors_azure.location import SCHEMES, split_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors_azure.filesystem import AzureFileSystem

__all__ = ["AzureBackend"]


class AzureBackend(Backend):
    """Block blobs in Azure Storage: ``az://container/name``."""

    name = "azure"
    schemes = SCHEMES
    Credentials = AzureCredentials
    aliases: ClassVar[Mapping[str, str]] = {"wasb": "abfs", "wasbs": "abfss", "blob": "az"}

    def connect(self, location: str, credentials: AzureCredentials) -> tuple[AzureFileSystem, str]:
        """Return a filesystem of the account's sealed objects, and ``container/name`` without a trailing slash.

        Makes no request.

        Raises:
            InvalidLocation: this is not a location in Azure, or it names another account than the credentials.
            InvalidCredentials: neither the location nor the credentials name an account.
            ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
        """
        place = split_location(location)
        account = account_of(credentials, place)
        from connectors_azure.filesystem import AzureFileSystem  # noqa: PLC0415 - takes a while to import

        return AzureFileSystem(account, credentials), place.path.rstrip("/")

    def presign(self, location: str, credentials: AzureCredentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT the object without credentials for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800.
            NotSupported: another method, or credentials that cannot sign URLs.
            InvalidLocation: this is not a location in Azure, or it is a folder.
            AccessDenied, StorageUnavailable: Azure does not provide the user delegation key that signs the URL.
        """
        from connectors_azure.presigning import presign  # noqa: PLC0415

        return presign(location, credentials, method, expires)
