"""Parses locations in S3: ``s3://bucket/key``, with the key literal, not percent-encoded."""

from __future__ import annotations

import re

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

__all__ = ["MAX_KEY_SIZE", "shown", "split_location", "split_path"]

MAX_KEY_SIZE = 1024
"""The most bytes of UTF-8 in a key: Amazon S3 User Guide, "Naming Amazon S3 objects"."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shown(path: str) -> str:
    """Return the location of ``bucket/key`` for messages and logs."""
    return redact_url(f"s3://{path}")


def split_path(path: str) -> tuple[str, str]:
    """Return the bucket and the key of ``bucket/key``; the key is literal and may be empty."""
    bucket, _, key = path.removeprefix("s3://").lstrip("/").partition("/")
    return bucket, key


def split_location(location: str) -> tuple[str, str]:
    """Return the bucket and the key of ``s3://bucket/key``, or of a folder: ``s3://bucket/key/`` or ``s3://bucket/``.

    The key is the same in the location and in the bucket: ``%``, ``?``, ``#``, spaces and the rest of Unicode are
    literal.

    Raises:
        InvalidLocation: it has another scheme, no bucket, no key, user information, or a key that servers or
            libraries would change on the way.

    >>> split_location("s3://clinic/2026/50% of patients?.csv")
    ('clinic', '2026/50% of patients?.csv')
    """
    scheme, separator, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    problem = None
    if not separator or scheme.lower() != "s3":
        problem = "it does not start with s3://"
    elif "@" in bucket:
        problem = "it contains user information; put that into the credentials document"
    elif bucket.startswith("arn:"):
        problem = "it names an access point by its ARN; use the access point's alias in place of the bucket"
    elif bucket.endswith(".amazonaws.com"):
        problem = "it has a host in place of the bucket; use only the bucket's name"
    elif not bucket:
        problem = "it does not name a bucket"
    elif not _BUCKET.fullmatch(bucket):
        problem = "its bucket has an invalid name; use letters, digits, dots, hyphens and underscores"
    else:
        problem = _key_problem(key, whole_bucket=rest == f"{bucket}/")
    if problem:
        message = f"a location in S3 is s3://bucket/key, and {redact_url(location)!r} is not: {problem}"
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
