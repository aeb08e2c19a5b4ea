"""Azure Blob Storage as a backend of `connectors`.

Importing this costs next to nothing: the libraries that speak to Azure are loaded by the first connection.
"""

from __future__ import annotations

from connectors_azure.backend import AzureBackend
from connectors_azure.credentials import AzureCredentials

__all__ = ["AzureBackend", "AzureCredentials"]
