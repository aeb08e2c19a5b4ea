"""The Azure Blob Storage backend of `connectors`.

Importing this package is cheap: what sends requests is loaded by the first connection.
"""

from __future__ import annotations

from connectors_azure.backend import AzureBackend
from connectors_azure.credentials import AzureCredentials

__all__ = ["AzureBackend", "AzureCredentials"]
