"""Google Cloud Storage as a backend of `connectors`.

Importing this costs next to nothing: the libraries that speak HTTP and get tokens are loaded by the first connection.
"""

from __future__ import annotations

from connectors_gcs.backend import GcsBackend
from connectors_gcs.credentials import GcsCredentials

__all__ = ["GcsBackend", "GcsCredentials"]
