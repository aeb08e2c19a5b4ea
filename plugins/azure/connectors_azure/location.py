"""Parses locations in Azure: ``az://container/name``, with the name literal, not percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

__all__ = ["ACCOUNT_HOST", "MAX_NAME_SIZE", "SCHEMES", "Place", "name_problem", "shown", "split_location", "split_path"]

SCHEMES = ("az", "abfs", "abfss", "azure")
"""The schemes of locations; all mean the same."""
MAX_NAME_SIZE = 1024
"""Characters in the longest name: Azure Storage, "Naming and referencing containers, blobs, and metadata"."""

ACCOUNT_HOST = re.compile(
    r"(?P<account>[a-z0-9]{3,24})\.(?:blob|dfs)\."
    r"(?P<suffix>core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn)"
)
"""The hosts of accounts in Azure's clouds; all of them belong to Microsoft, whatever the account."""

_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*|\$root|\$web|\$logs")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Place:
    """The location of an object or a folder.

    Attributes:
        container: the container's name.
        name: the blob's name, unquoted, or the common prefix of a folder's names; empty for the whole container.
        account: the account, if the location names it, or None.
        suffix: the host without the account and the service, if the location names the account, or None.
    """

    container: str
    name: str
    account: str | None = None
    suffix: str | None = None

    @property
    def path(self) -> str:
        """``container/name``."""
        return f"{self.container}/{self.name}"

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder or a whole container."""
        return not self.name or self.name.endswith("/")


def shown(path: str) -> str:
    """Return the location of ``container/name`` for messages and logs."""
    return redact_url(f"az://{path}")


def split_path(path: str) -> tuple[str, str]:
    """Return the container and the name of ``container/name``; the name is literal and may be empty.

    Raises:
        InvalidLocation: the container or the name is invalid.
    """
    container, _, name = path.partition("/")
    problem = name_problem(name) if name else None
    if container and not _CONTAINER.fullmatch(container):
        problem = "it does not start with a container's name"
    if problem:
        message = f"{shown(path)!r} is not container/name: {problem}"
        raise InvalidLocation(message)
    return container, name


def split_location(location: str) -> Place:
    """Parse a location.

    It is ``az://container/name``, or ``abfss://container@account.dfs.core.windows.net/name``; that of a folder is
    ``az://container/name/`` or ``az://container/``. The name is the same in the location and in the container: ``%``,
    ``?``, ``#``, spaces and the rest of Unicode are literal.

    Raises:
        InvalidLocation: it has another scheme, no container, no name, a host that is not an account's, or a name that
            Azure or a library would change on the way.

    >>> split_location("az://clinic/2026/50% of patients?.csv")
    Place(container='clinic', name='2026/50% of patients?.csv', account=None, suffix=None)
    """
    scheme, separator, rest = location.partition("://")
    authority, slash, name = rest.partition("/")
    container, at, host = authority.partition("@")
    account = ACCOUNT_HOST.fullmatch(host.lower())
    problem = None
    if not separator or scheme.lower() not in SCHEMES:
        problem = f"it does not start with {', '.join(f'{one}://' for one in SCHEMES[:-1])} or {SCHEMES[-1]}://"
    elif ACCOUNT_HOST.fullmatch(container.lower()):
        problem = (
            "it has the account's host in place of the container; leave out the host, and put the account into the "
            "credentials' account_name"
        )
    elif not container:
        problem = "it does not name a container"
    elif not _CONTAINER.fullmatch(container):
        problem = "its container has an invalid name; use 3 to 63 lower-case letters, digits and hyphens"
    elif at and not account:
        problem = "the part after the @ is not the host of an account, such as account.dfs.core.windows.net"
    elif not name:
        problem = None if slash else "it does not name a blob; for the whole container, put a slash at the end"
    else:
        problem = name_problem(name)
    if problem:
        # redact_url, because text before an invalid @ may be a password.
        message = f"a location in Azure is az://container/name, and {redact_url(location)!r} is not: {problem}"
        raise InvalidLocation(message)
    return Place(container, name, account and account["account"], account and account["suffix"])


def name_problem(name: str) -> str | None:
    """Return what is wrong with the name of a blob, or None."""
    if _CONTROL.search(name):
        return "its name contains control characters"
    if "\\" in name:
        return "its name contains a backslash, which Azure treats as a slash"
    segments = name.split("/")
    if {".", ".."} & set(segments):
        # HTTP clients and proxies resolve these segments, some of them to a path outside the container.
        return "its name contains a segment . or .."
    if any(segment.endswith(".") for segment in segments):
        return "a segment of its name ends in a dot, which Azure may remove"
    try:
        size = len(name.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return "its name is not Unicode text"
    return f"its name has {size} characters; the limit is {MAX_NAME_SIZE}" if size > MAX_NAME_SIZE else None
