"""The locations in S3: ``s3://bucket/key``."""

from __future__ import annotations

import re

from connectors.storage import BucketLocation

__all__ = ["LOCATION"]


def _misplaced(text: str) -> str | None:
    if text.startswith("arn:"):
        return "it names an access point by its ARN; use the access point's alias in place of the bucket"
    if text.endswith(".amazonaws.com"):
        return "it has a host in place of the bucket; use only the bucket's name"
    return None


LOCATION = BucketLocation(
    "S3",
    ("s3",),
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}"),
    "letters, digits, dots, hyphens and underscores",
    key_limit=1024,  # Amazon S3 User Guide, "Naming Amazon S3 objects"
    misplaced=_misplaced,
)
"""The form of locations in S3."""
