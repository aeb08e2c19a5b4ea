"""The Azure Blob Storage backend of `connectors`, and its key sources Azure Key Vault and secure key release.

Importing this package is cheap: what sends requests is loaded by the first connection, and a key source when it is
first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from connectors_azure.backend import AzureBackend
from connectors_azure.credentials import AzureCredentials

if TYPE_CHECKING:
    from connectors_azure.key_release import SecureKeyRelease
    from connectors_azure.key_vault import AzureKeyVault

__all__ = ["AzureBackend", "AzureCredentials", "AzureKeyVault", "SecureKeyRelease"]

_HOMES = {"AzureKeyVault": "key_vault", "SecureKeyRelease": "key_release"}

if not TYPE_CHECKING:  # hidden from type checkers, so that they report unknown names

    def __getattr__(name: str) -> object:
        """Import a key source when it is first used."""
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(importlib.import_module(f"connectors_azure.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
