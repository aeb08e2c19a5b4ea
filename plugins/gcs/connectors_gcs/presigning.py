"""Presigned URLs, which let their holder GET or PUT one object for a limited time without credentials.

Cloud Storage documentation, "Signing URLs with your own program" and "Canonical requests": V4, signed with the private
key of a service account.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors.secrets import redact_url
from connectors_gcs.credentials import load_key
from connectors_gcs.location import GOOGLE, split_location

if TYPE_CHECKING:
    from connectors_gcs.credentials import GcsCredentials

__all__ = ["MAX_EXPIRES", "presign"]

MAX_EXPIRES = 7 * 24 * 3600
"""The longest time in seconds for which a URL can be valid: "V4 signing process"."""
ALGORITHM = "GOOG4-RSA-SHA256"


def presign(
    location: str, credentials: GcsCredentials, method: str, expires: int, *, now: datetime | None = None
) -> str:
    """Return a URL that can GET or PUT the object for `expires` seconds; makes no request.

    The signature covers no header but the host, so any HTTP client can use the URL.

    Args:
        location: ``gs://bucket/key``.
        credentials: a service account's.
        method: GET or PUT.
        expires: seconds.
        now: the start of the URL's validity, if not the current time.

    Raises:
        ConfigError: `expires` is not between 1 and 604,800.
        NotSupported: another method, or credentials other than a service account's key.
        InvalidLocation: this is not a location in Google Cloud Storage, or it is a folder.
    """
    bucket, key = split_location(location)
    if not key or key.endswith("/"):
        message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
        raise InvalidLocation(message)
    if method.upper() not in ("GET", "PUT"):
        message = f"URLs for Google Cloud Storage are presigned for GET or PUT, not for {method}"
        raise NotSupported(message)
    if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
        message = f"a presigned URL is valid for 1 to {MAX_EXPIRES} seconds, not for {expires}"
        raise ConfigError(message)
    account = credentials.service_account
    signer = load_key(account.private_key) if account else None
    if account is None or signer is None:
        message = "only a service_account can sign URLs; token, anonymous and ambient credentials have no private key"
        raise NotSupported(message)
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/auto/storage/goog4_request"
    # The signature covers the Host header, which clients send in lower case.
    endpoint = (credentials.endpoint_url or GOOGLE).rstrip("/").lower()
    resource = f"/{bucket}/{quote(key, safe='/~')}"
    members = {
        "X-Goog-Algorithm": ALGORITHM,
        "X-Goog-Credential": f"{account.client_email}/{scope}",
        "X-Goog-Date": time,
        "X-Goog-Expires": str(expires),
        "X-Goog-SignedHeaders": "host",
    }
    if credentials.billed_project:
        members["userProject"] = credentials.billed_project
    query = urlencode(sorted(members.items()), quote_via=quote, safe="~")
    request = "\n".join(
        (method.upper(), resource, query, f"host:{urlsplit(endpoint).netloc}", "", "host", "UNSIGNED-PAYLOAD")
    )
    signed = "\n".join((ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = signer.sign(signed.encode(), PKCS1v15(), SHA256()).hex()
    return f"{endpoint}{resource}?{query}&X-Goog-Signature={signature}"
