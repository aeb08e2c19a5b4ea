"""Signs requests to services of AWS with Signature Version 4, by botocore, with its credentials and their refresh."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth, SigV4Auth

from connectors.errors import AccessDenied, ConnectorError
from connectors.secrets import Hidden, SecretText
from connectors.storage import FileBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage import Request

__all__ = ["SigV4Signer"]

_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(slots=True)
class _Unsigned:
    """A request as botocore signs it; its own class would copy each header twice."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    context: dict[str, str] = field(repr=False)
    params: None = None  # they are in the URL


class _Auth(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signature of requests with few headers, all of them signed, over a body whose digest is known.

    Its own takes a quarter of the time of reading a small object.
    """

    def __init__(self, credentials: Any, service: str, region: str) -> None:
        super().__init__(credentials, service, region)
        self.service = service
        self.region = region
        self._key = ("", SecretText(""))  # the day, and its key

    def payload(self, request: _Unsigned) -> str:
        """Return the digest of the body."""
        return request.context["digest"]

    def headers_to_sign(self, request: _Unsigned) -> dict[str, str]:
        """Return all headers, by their names in lower case; Host is among them."""
        return {name.lower(): value for name, value in request.headers.items()}

    def canonical_headers(self, headers_to_sign: dict[str, str]) -> str:
        """Return the lines of the headers."""
        return "\n".join(f"{name}:{' '.join(headers_to_sign[name].split())}" for name in sorted(headers_to_sign))

    def signature(self, string_to_sign: str, request: _Unsigned) -> str:
        """Return the signature, by a key that is derived once a day."""
        day, key = self._key
        if day != request.context["timestamp"][:8]:
            day = request.context["timestamp"][:8]
            key = SecretText(self._derived(f"AWS4{self.credentials.secret_key}".encode(), day).hex())
            self._key = (day, key)
        return hmac.digest(bytes.fromhex(key.reveal()), string_to_sign.encode(), "sha256").hex()

    def _derived(self, key: bytes, day: str) -> bytes:
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


class _S3Auth(_Auth, S3SigV4Auth):  # type: ignore[misc]
    """The same with what S3 has otherwise: a header with the digest of the body, and paths that stay as they are."""


class SigV4Signer:
    """Signs requests for one account.

    The body's SHA-256 is signed, which every store and service checks: so no other checksum is sent.

    Args:
        credentials: returns botocore's credentials, or None if there are none; called once, with the first request.
        region: returns the region to sign for, of a request.
        service: the name of the service in signatures.
    """

    def __init__(self, credentials: Callable[[], Any], region: Callable[[Request], str], service: str = "s3") -> None:
        self._find = credentials
        self._region = region
        self._service = service
        self._credentials: Any = None
        self._auth: Hidden | None = None  # its attributes, which debuggers show, hold the secret key

    def sign(self, request: Request) -> Request:
        """Return the request with its signature.

        Raises:
            AccessDenied: the credentials are ambient, and the machine provides none that work.
        """
        frozen = self._frozen()
        region, held = self._region(request), self._auth
        if held is None or held.reveal().region != region or held.reveal().credentials != frozen:
            kind = _S3Auth if self._service == "s3" else _Auth
            held = self._auth = Hidden(kind(frozen, self._service, region))
        url = f"{request.origin.scheme}://{request.origin.authority}{request.target.reveal()}"
        headers = {"Host": request.origin.authority, **request.all_headers}
        held.reveal().add_auth(_Unsigned(request.method, url, headers, {"digest": _digest(request)}))
        del headers["Host"]
        return dataclasses.replace(request, headers=headers, secrets=None)

    def _frozen(self) -> Any:
        """Return the present credentials."""
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
        return frozen

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
