"""Headers of requests to S3 and of its responses."""

from __future__ import annotations

import base64
import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors.secrets import Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.secrets import SecretText
    from connectors.storage import Headers

__all__ = ["NO_PROPERTIES", "copied_key", "customer_key", "only_new", "user_metadata", "user_metadata_in"]

NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})
_USERS = "x-amz-meta-"
"""The start of the headers of user metadata: Amazon S3 User Guide, "Working with object metadata"."""
_CUSTOMERS = "x-amz-server-side-encryption-customer"


def user_metadata(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an object's user metadata."""
    return {f"{_USERS}{name}": value for name, value in properties.items()}


def user_metadata_in(headers: Headers) -> dict[str, str]:
    """Return the user metadata in a response's headers."""
    named = ((name.lower(), value) for name, value in headers.items())
    return {name.removeprefix(_USERS): value for name, value in named if name.startswith(_USERS)}


def only_new(exclusive: bool) -> dict[str, str]:  # noqa: FBT001 - the only argument
    """Return the headers of a write, which replaces no object if it is `exclusive`."""
    return {"If-None-Match": "*"} if exclusive else {}


def customer_key(key: SecretText) -> Hidden:
    """Return the headers of requests for objects that S3 encrypts with the customer's key, which is in base64."""
    raw = base64.b64decode(key.reveal())
    digest = base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode()
    return Hidden(
        {f"{_CUSTOMERS}-algorithm": "AES256", f"{_CUSTOMERS}-key": key.reveal(), f"{_CUSTOMERS}-key-MD5": digest}
    )


def copied_key(key: Hidden) -> Hidden:
    """Return the headers for a copy, from those of `customer_key`: for both objects."""
    return Hidden({**key.reveal(), **{f"x-amz-copy-source-{name[6:]}": value for name, value in key.reveal().items()}})
