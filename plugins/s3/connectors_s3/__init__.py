"""The Amazon S3 backend of `connectors`, also for compatible stores.

Importing this package is cheap: the S3 libraries are loaded by the first connection.
"""

from __future__ import annotations

from connectors_s3.backend import S3Backend
from connectors_s3.credentials import S3Credentials

__all__ = ["S3Backend", "S3Credentials"]
