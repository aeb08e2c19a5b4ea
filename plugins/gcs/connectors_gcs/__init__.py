"""The Google Cloud Storage backend of `connectors`.

Importing this package is cheap: the HTTP and token libraries are loaded by the first connection.
"""

from __future__ import annotations

from connectors_gcs.backend import GcsBackend
from connectors_gcs.credentials import GcsCredentials

__all__ = ["GcsBackend", "GcsCredentials"]
