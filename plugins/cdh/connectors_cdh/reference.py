"""The model of references: which resource of the key broker is the key."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.keys import KeyReference
from connectors.storage import checked, endpoint_problem, is_loopback, matching

__all__ = ["ResourceReference"]

_ADDRESS = "http://127.0.0.1:8006"
"""Where the guest's API server listens unless it is told otherwise: guest-components, api-server-rest/README.md."""
_PART = r"(?!\.{1,2}(/|$))[A-Za-z0-9_.-]{1,128}"
_RESOURCE = re.compile(rf"{_PART}/{_PART}/{_PART}", re.ASCII)


def _address_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example=_ADDRESS)
    if problem is None and not is_loopback(urlsplit(url).hostname or ""):
        return "not a loopback address; the Confidential Data Hub is inside the guest, and serves nobody else"
    return problem


class ResourceReference(KeyReference):
    """A key that is a resource of the key broker."""

    source: Literal["cdh"] = "cdh"
    resource: Annotated[
        str, matching(_RESOURCE, "a resource is REPOSITORY/TYPE/TAG, such as clinic/key/conditions, without kbs:///")
    ] = Field(description="The resource's path, REPOSITORY/TYPE/TAG.")
    address: Annotated[str, checked(_address_problem)] = Field(
        default=_ADDRESS, description="The URL of the guest's API server, on a loopback address."
    )

    @property
    def shown(self) -> str:
        """The resource and its server, for messages."""
        return f"{self.resource} at {self.address}"
