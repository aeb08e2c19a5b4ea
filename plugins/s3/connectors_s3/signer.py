"""Signs requests with Signature Version 4, by botocore, with its credentials and their refresh."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from connectors.errors import AccessDenied, ConnectorError
from connectors.storage import FileBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage import Request

__all__ = ["SigV4Signer"]

_EMPTY = hashlib.sha256(b"").hexdigest()


class _Auth(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signature over a body whose digest is known: it would read the body once more."""

    def __init__(self, credentials: Any, region: str, digest: str) -> None:
        super().__init__(credentials, "s3", region)
        self._digest = digest

    def payload(self, request: Any) -> str:  # noqa: ARG002 - botocore's signature
        """Return the digest of the body."""
        return self._digest


class SigV4Signer:
    """Signs requests for one account.

    The body's SHA-256 is signed, which every store checks: so no other checksum is sent.

    Args:
        credentials: returns botocore's credentials, or None if there are none; called once, with the first request.
        region: returns the region to sign for, of a request.
    """

    def __init__(self, credentials: Callable[[], Any], region: Callable[[Request], str]) -> None:
        self._find = credentials
        self._region = region
        self._credentials: Any = None

    def sign(self, request: Request) -> Request:
        """Return the request with its signature.

        Raises:
            AccessDenied: the credentials are ambient, and the machine provides none that work.
        """
        url = f"{request.origin.scheme}://{request.origin.authority}{request.target.reveal()}"
        unsigned = AWSRequest(request.method, url, headers=request.all_headers)
        try:
            if self._credentials is None:
                self._credentials = self._find()
            frozen = self._credentials and self._credentials.get_frozen_credentials()
        except ConnectorError:
            raise
        except Exception:  # noqa: BLE001 - botocore and what it runs raise anything, with secrets in their frames
            frozen = None
        if not frozen or not frozen.access_key or not all(map(_is_text, frozen)):
            message = "the credentials are ambient, but this machine provides none that work"
            raise AccessDenied(message)
        _Auth(frozen, self._region(request), _digest(request)).add_auth(unsigned)
        return dataclasses.replace(request, headers=dict(unsigned.headers.items()), secrets=None)

    def renew(self) -> bool:
        """Return False: botocore renews credentials before they expire."""
        return False


def _is_text(value: object) -> bool:
    """Return whether a part of the credentials can be sent in a header; the token may be missing."""
    return value is None or (isinstance(value, str) and value.isascii() and value.isprintable())


def _digest(request: Request) -> str:
    if request.body is None:
        return _EMPTY
    if isinstance(request.body, FileBody):
        digest = hashlib.sha256()
        for block in request.body.blocks():
            digest.update(block)
        return digest.hexdigest()
    return hashlib.sha256(request.body).hexdigest()
