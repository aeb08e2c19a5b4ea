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
        """Return a filesystem of the account's objects, and ``container/name``, of a folder without its last slash.

        No request is made yet.

        Raises:
            InvalidLocation: the location is none of Azure's, or names another account than the credentials.
            InvalidCredentials: neither of the two names an account.
            ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
        """
        place = split_location(location)
        account = account_of(credentials, place)
        from connectors_azure.filesystem import AzureFileSystem  # noqa: PLC0415 - takes some time to import

        return AzureFileSystem(account, credentials), place.path.rstrip("/")

    def presign(self, location: str, credentials: AzureCredentials, method: str, expires: int) -> str:
        """Return a URL that needs no credentials to GET or PUT the object, for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800.
            NotSupported: another method, or credentials that sign nothing.
            InvalidLocation: the location is none of Azure's, or a folder's.
            AccessDenied, StorageUnavailable: Azure does not give the key that the URL is to be signed with.
        """
        from connectors_azure.presigning import presign  # noqa: PLC0415

        return presign(location, credentials, method, expires)
