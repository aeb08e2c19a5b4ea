"""The Google Cloud Storage backend of `connectors`, and its key source Google Cloud KMS.

Importing this package is cheap: the HTTP and token libraries are loaded by the first connection, and the key source
when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from connectors_gcs.backend import GcsBackend
from connectors_gcs.credentials import GcsCredentials

if TYPE_CHECKING:
    from connectors_gcs.cloud_kms import GcpKms

__all__ = ["GcpKms", "GcsBackend", "GcsCredentials"]

if not TYPE_CHECKING:  # hidden from type checkers, so that they report unknown names

    def __getattr__(name: str) -> object:
        """Import the key source when it is first used."""
        if name != "GcpKms":
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = importlib.import_module("connectors_gcs.cloud_kms").GcpKms
        globals()[name] = value
        return value
