"""The model of the credentials document of a dataset on a WebDAV server.

For example::

{"type": "webdav", "user": "anna", "password": "…", "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.secrets import SecretText  # noqa: TC001 - pydantic evaluates the annotations
from connectors.storage import Credentials, SecretWord

__all__ = ["WebDavCredentials"]


class WebDavCredentials(Credentials):
    """Credentials: a user with a password, a bearer token, or neither for files that everyone may read.

    The last two members are promises that RFC 4918 does not make and a server may: see the README.
    """

    type: Literal["webdav"] = "webdav"
    user: str | None = Field(default=None, min_length=1, description="The user's name, for Basic authentication.")
    password: SecretText | None = Field(default=None, description="The user's password, or an app password.")
    token: SecretWord | None = Field(default=None, description="A bearer token, in place of user and password.")
    allow_http: bool = Field(
        default=False,
        strict=True,
        description="Also allow webdav:// locations on other hosts, which reveal the password to the network.",
    )
    atomic_replace: bool = Field(
        default=False,
        strict=True,
        description="The server's MOVE replaces a file in one step. Without this promise, no object is replaced.",
    )
    exclusive_create: bool = Field(
        default=False,
        strict=True,
        description="Of two simultaneous MOVEs to one new name, the server refuses one. Needed for mode 'xb'.",
    )

    @field_validator("user")
    @classmethod
    def _check_user(cls, value: str | None) -> str | None:
        if value is not None and (":" in value or not value.isprintable()):
            message = "contains a colon or a control character, which Basic authentication does not allow"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.user is None) != (self.password is None):
            message = "user and password belong together; give both, or neither"
            raise ValueError(message)
        if self.user is not None and self.token is not None:
            message = "either user and password, or token; not both"
            raise ValueError(message)
        return self
