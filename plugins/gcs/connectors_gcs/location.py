"""Parses locations in Google Cloud Storage: ``gs://bucket/key``, with the key literal, not percent-encoded."""

from __future__ import annotations

import re

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

__all__ = ["GOOGLE", "MAX_KEY_SIZE", "shown", "split_location"]

GOOGLE = "https://storage.googleapis.com"
"""The endpoint of Google Cloud Storage."""
MAX_KEY_SIZE = 1024
"""The most bytes of UTF-8 in a key: Cloud Storage documentation, "Objects", "Object naming requirements"."""

# Cloud Storage documentation, "Buckets", "Bucket name requirements"; a name with dots may have 222 characters.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shown(path: str) -> str:
    """Return the location of ``bucket/key`` for messages and logs."""
    return redact_url(f"gs://{path}")


def split_location(location: str) -> tuple[str, str]:
    """Return the bucket and the key of ``gs://bucket/key``, or of a folder: ``gs://bucket/key/`` or ``gs://bucket/``.

    The key is the same in the location and in the bucket: ``%``, ``?``, ``#``, spaces and the rest of Unicode are
    literal.

    Raises:
        InvalidLocation: it has another scheme, no bucket, no key, user information, or a key that servers or
            libraries would change on the way.

    >>> split_location("gs://clinic/2026/50% of patients?.csv")
    ('clinic', '2026/50% of patients?.csv')
    """
    scheme, separator, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    problem = None
    if not separator or scheme.lower() not in ("gs", "gcs"):
        problem = "it does not start with gs://"
    elif "@" in bucket:
        problem = "it contains user information; put that into the credentials document"
    elif bucket == "storage.googleapis.com":
        problem = "it has a host in place of the bucket; the bucket is what follows the host"
    elif not bucket:
        problem = "it does not name a bucket"
    elif not _BUCKET.fullmatch(bucket):
        problem = "its bucket has an invalid name; use lower-case letters, digits, dots, hyphens and underscores"
    else:
        problem = _key_problem(key, whole_bucket=rest == f"{bucket}/")
    if problem:
        message = (
            f"a location in Google Cloud Storage is gs://bucket/key, and {redact_url(location)!r} is not: {problem}"
        )
        raise InvalidLocation(message)
    return bucket, key


def _key_problem(key: str, *, whole_bucket: bool) -> str | None:
    if not key:
        return None if whole_bucket else "it does not name a key; for the whole bucket, put a slash at the end"
    if _CONTROL.search(key):
        return "its key contains control characters"
    # HTTP clients, proxies and file-based stores resolve these segments, some of them to a path outside the bucket.
    if {".", ".."} & set(key.split("/")):
        return "its key contains a segment . or .."
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its key is not Unicode text"
    return f"its key has {size} bytes; the limit is {MAX_KEY_SIZE}" if size > MAX_KEY_SIZE else None
