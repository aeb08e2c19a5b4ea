"""The locations in Azure: ``az://container/name``, or ``abfss://container@account.dfs.core.windows.net/name``."""

from __future__ import annotations

import re

from connectors.storage import BucketLocation

__all__ = ["ACCOUNT_HOST", "LOCATION"]

ACCOUNT_HOST = re.compile(
    r"(?P<account>[a-z0-9]{3,24})\.(?:blob|dfs)\."
    r"(?P<suffix>core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn)"
)
"""The hosts of accounts in Azure's clouds; all of them belong to Microsoft, whatever the account."""


def _misplaced(text: str) -> str | None:
    if not ACCOUNT_HOST.fullmatch(text.lower()):
        return None
    return (
        "it has the account's host in place of the container; leave out the host, and put the account into the "
        "credentials' account_name"
    )


def _unsafe(name: str) -> str | None:
    if re.search(r"[\x80-\x9f]", name):
        return "its name contains control characters"
    if "\\" in name:
        return "its name contains a backslash, which Azure treats as a slash"
    if any(segment.endswith(".") for segment in name.split("/")):
        return "a segment of its name ends in a dot, which Azure may remove"
    return None


LOCATION = BucketLocation(
    "Azure",
    ("az", "abfs", "abfss", "azure"),
    re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*|\$root|\$web|\$logs"),
    "3 to 63 lower-case letters, digits and hyphens",
    key_limit=1024,  # Azure Storage, "Naming and referencing containers, blobs, and metadata"
    key_unit="characters",
    words=("container", "name", "blob"),
    hosts=ACCOUNT_HOST,
    host_rule="the host of an account, such as account.dfs.core.windows.net",
    misplaced=_misplaced,
    unsafe=_unsafe,
)
"""The form of locations in Azure."""
