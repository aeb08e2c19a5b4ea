"""Authorises requests: with a user and a password, or with a bearer token."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

from connectors.secrets import SecretText
from connectors.storage import BearerSigner, Unsigned

if TYPE_CHECKING:
    from connectors.storage import Request, Signer
    from connectors_webdav.credentials import WebDavCredentials

__all__ = ["HeaderSigner", "signer_for"]


class HeaderSigner:
    """Adds an Authorization header to each request.

    Args:
        authorization: the header's value.
    """

    def __init__(self, authorization: SecretText) -> None:
        self._authorization = authorization

    def sign(self, request: Request) -> Request:
        """Return the request with the header."""
        headers = {**request.headers, "Authorization": self._authorization.reveal()}
        return dataclasses.replace(request, headers=headers)

    def renew(self) -> bool:
        """Return False: a refused password stays refused."""
        return False


def signer_for(credentials: WebDavCredentials) -> Signer:
    """Return the signer for a credentials document."""
    if credentials.token is not None:
        return BearerSigner(credentials.token)
    if credentials.user is None or credentials.password is None:
        return Unsigned()
    pair = f"{credentials.user}:{credentials.password.reveal()}".encode()
    return HeaderSigner(SecretText(f"Basic {base64.b64encode(pair).decode()}"))
