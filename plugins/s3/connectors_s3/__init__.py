"""The Amazon S3 backend of `connectors`, also for compatible stores, and the key source `aws-kms`.

Importing this package is cheap: botocore is loaded by the first connection.
"""

from __future__ import annotations

from connectors_s3.backend import S3Backend
from connectors_s3.credentials import S3Credentials
from connectors_s3.kms import AwsKms

__all__ = ["AwsKms", "S3Backend", "S3Credentials"]
