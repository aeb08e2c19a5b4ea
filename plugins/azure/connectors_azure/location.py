"""Locations of blobs: ``az://container/name``, in which the name stands as it is, unquoted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

__all__ = ["ACCOUNT_HOST", "MAX_NAME_SIZE", "SCHEMES", "Place", "name_problem", "shown", "split_location", "split_path"]

SCHEMES = ("az", "abfs", "abfss", "azure")
"""The schemes that locations have; the one means what the other means."""
MAX_NAME_SIZE = 1024
"""Characters in the longest name: Azure Storage, "Naming and referencing containers, blobs, and metadata"."""

ACCOUNT_HOST = re.compile(
    r"(?P<account>[a-z0-9]{3,24})\.(?:blob|dfs)\."
    r"(?P<suffix>core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn)"
)
"""The hosts of accounts in Azure's clouds: whoever is sent requests there is Microsoft, whatever the account."""

_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*|\$root|\$web|\$logs")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object or a folder lies.

    Attributes:
        container: the container's name.
        name: the blob's name as it is, or the names' common start of a folder; empty for the whole container.
        account: the account, where the location names it.
        suffix: the host's end, where the location names the account.
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
        """Whether it is a folder, or a whole container."""
        return not self.name or self.name.endswith("/")


def shown(path: str) -> str:
    """Return ``container/name`` as messages and logs show it."""
    return redact_url(f"az://{path}")


def split_path(path: str) -> tuple[str, str]:
    """Return the container and the name of ``container/name``; the name may be empty, and is taken literally.

    Raises:
        InvalidLocation: no request can name that.
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
    """Take a location apart.

    It is ``az://container/name``, or ``abfss://container@account.dfs.core.windows.net/name``; of a folder,
    ``az://container/name/`` or ``az://container/``. The name stands in the location as it stands in the container:
    ``%``, ``?``, ``#``, spaces and the rest of Unicode mean themselves.

    Raises:
        InvalidLocation: it has another scheme, no container, no name, a host that is no account's, or a name that no
            request can name without Azure or some library on the way making another of it.

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
            "it has the account's host where the container belongs; leave the host out, and name the account in the "
            "credentials' account_name"
        )
    elif not container:
        problem = "it does not name a container"
    elif not _CONTAINER.fullmatch(container):
        problem = "it does not name a container, which has 3 to 63 small letters, digits and hyphens"
    elif at and not account:
        problem = "what stands after the @ is not the host of an account, as in account.dfs.core.windows.net"
    elif not name:
        problem = None if slash else "it does not name a blob; for all of the container, put a slash at the end"
    else:
        problem = name_problem(name)
    if problem:
        # Before an @ that is none of ours, a password may stand.
        message = f"a location in Azure is az://container/name, and {redact_url(location)!r} is not: {problem}"
        raise InvalidLocation(message)
    return Place(container, name, account and account["account"], account and account["suffix"])


def name_problem(name: str) -> str | None:
    """Return why no request can name the blob `name`, or None."""
    if _CONTROL.search(name):
        return "its name has control characters in it"
    if "\\" in name:
        return "its name has a backslash in it, which Azure takes for a slash"
    segments = name.split("/")
    if {".", ".."} & set(segments):
        # HTTP clients and proxies resolve these, and some resolve them out of the container.
        return "its name has a segment . or .. in it"
    if any(segment.endswith(".") for segment in segments):
        return "a segment of its name ends in a dot, which Azure may drop"
    try:
        size = len(name.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return "its name is not Unicode text"
    return f"its name has {size} characters, and {MAX_NAME_SIZE} is the most" if size > MAX_NAME_SIZE else None
