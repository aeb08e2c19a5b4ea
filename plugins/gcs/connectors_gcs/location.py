"""The locations in Google Cloud Storage: ``gs://bucket/key``."""

from __future__ import annotations

import re

from connectors.storage import BucketLocation

__all__ = ["GOOGLE", "LOCATION"]

GOOGLE = "https://storage.googleapis.com"
"""The endpoint of Google Cloud Storage."""


def _misplaced(text: str) -> str | None:
    if text == "storage.googleapis.com":
        return "it has a host in place of the bucket; the bucket is what follows the host"
    return None


LOCATION = BucketLocation(
    "Google Cloud Storage",
    ("gs", "gcs"),
    # Cloud Storage documentation, "Buckets", "Bucket name requirements"; a name with dots may have 222 characters.
    re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
    "lower-case letters, digits, dots, hyphens and underscores",
    key_limit=1024,  # Cloud Storage documentation, "Objects", "Object naming requirements"
    misplaced=_misplaced,
)
"""The form of locations in Google Cloud Storage."""
