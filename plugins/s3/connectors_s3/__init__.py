"""Amazon S3 and compatible stores as a backend of `connectors`.

Importing this costs next to nothing: the libraries that speak S3 are loaded by the first connection.
"""

from __future__ import annotations

from connectors_s3.backend import S3Backend
from connectors_s3.credentials import S3Credentials

__all__ = ["S3Backend", "S3Credentials"]
